// RUN: tessera-opt %s -convert-tile-to-cpu -allow-unregistered-dialect -split-input-file -verify-diagnostics

// expected-error @below {{bytes of stack, a thread has 4194304; choose smaller tiles}}
tile.kernel @too_big grid [1] inputs 1 {
^bb0(%x: memref<2048x1024xf32>, %o: memref<2048x1024xf32>):
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : memref<2048x1024xf32> -> tensor<2048x1024xf32>
  %e = math.exp %t : tensor<2048x1024xf32>
  %s = tile.reduce sum %e dim 1 : tensor<2048x1024xf32> -> tensor<2048x1xf32>
  %b = tile.broadcast %s : tensor<2048x1xf32> -> tensor<2048x1024xf32>
  %q = arith.divf %e, %b : tensor<2048x1024xf32>
  tile.store %q, %o[%c0, %c0] : tensor<2048x1024xf32>, memref<2048x1024xf32>
}

// -----

tile.kernel @foreign grid [1] inputs 1 {
^bb0(%x: memref<5xf32>, %o: memref<5xf32>):
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0] : memref<5xf32> -> tensor<5xf32>
  // expected-error @below {{cannot be lowered}}
  // expected-note @below {{kernels hold tile ops, arith and math ops, scf.for and static memref.reinterpret_cast}}
  %i = "test.foreign"(%t) : (tensor<5xf32>) -> tensor<5xf32>
  tile.store %i, %o[%c0] : tensor<5xf32>, memref<5xf32>
}
