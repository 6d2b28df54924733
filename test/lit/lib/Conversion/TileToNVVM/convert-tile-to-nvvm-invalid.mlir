// RUN: tessera-opt %s -convert-tile-to-nvvm -split-input-file -verify-diagnostics

// expected-error @below {{needs 262144 bytes of shared memory, a block has 166912; choose smaller tiles}}
tile.kernel @too_big grid [1] inputs 1 {
^bb0(%x: memref<256x256x2xf32>, %o: memref<256x256x1xf32>):
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0, %c0] : memref<256x256x2xf32> -> tensor<256x256x2xf32>
  %s = tile.reduce sum %t dim 2 : tensor<256x256x2xf32> -> tensor<256x256x1xf32>
  tile.store %s, %o[%c0, %c0, %c0] : tensor<256x256x1xf32>, memref<256x256x1xf32>
}

// -----

tile.kernel @f64_exp grid [1] inputs 1 {
^bb0(%x: memref<7xf64>, %o: memref<7xf64>):
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0] : memref<7xf64> -> tensor<7xf64>
  // expected-error @below {{no GPU implementation for element type 'f64'; compute it in f32}}
  %e = math.exp %t : tensor<7xf64>
  tile.store %e, %o[%c0] : tensor<7xf64>, memref<7xf64>
}

// -----

// expected-error @below {{has 65536 blocks along grid dimension 1, a GPU takes at most 65535; put the largest dimension first, or choose larger tiles}}
tile.kernel @tall grid [1, 65536] inputs 0 {
^bb0(%o: memref<65536xf32>):
  %one = arith.constant dense<1.0> : tensor<1xf32>
  %i = tile.program_id 1
  tile.store %one, %o[%i] : tensor<1xf32>, memref<65536xf32>
}
