// RUN: tessera-opt %s -convert-tile-to-cpu | FileCheck %s
// RUN: tessera-opt %s -convert-tile-to-cpu=vector-bits=256 | FileCheck %s --check-prefix=AVX2

// A product keeps 6 x 4 vectors of the result in registers over the whole depth
// (6 x 2 of 256 bits), four turns at once and then what is left. It reads the
// left factor in place, while it fetches the rows below.
// CHECK-LABEL: llvm.func @product(%arg0: !llvm.ptr, %arg1: i64, %arg2: i64)
// CHECK-COUNT-6: llvm.intr.prefetch
// CHECK-NOT: llvm.intr.prefetch
// CHECK-COUNT-96: llvm.intr.fma({{.*}}) : (vector<16xf32>, vector<16xf32>, vector<16xf32>) -> vector<16xf32>
// CHECK: llvm.br
// CHECK-COUNT-24: llvm.intr.fma
// CHECK-NOT: llvm.intr.fma
// AVX2-LABEL: llvm.func @product
// AVX2-COUNT-48: llvm.intr.fma({{.*}}) : (vector<8xf32>, vector<8xf32>, vector<8xf32>) -> vector<8xf32>
// AVX2: llvm.br
// AVX2-COUNT-12: llvm.intr.fma
// AVX2-NOT: llvm.intr.fma
tile.kernel @product grid [1] inputs 2 {
^bb0(%a: memref<6x9xf32>, %b: memref<9x64xf32>, %c: memref<6x64xf32>):
  %c0 = arith.constant 0 : index
  %z = arith.constant dense<0.0> : tensor<6x64xf32>
  %x = tile.load %a[%c0, %c0] : memref<6x9xf32> -> tensor<6x9xf32>
  %y = tile.load %b[%c0, %c0] : memref<9x64xf32> -> tensor<9x64xf32>
  %r = tile.dot %x, %y, %z : tensor<6x9xf32>, tensor<9x64xf32> -> tensor<6x64xf32>
  tile.store %r, %c[%c0, %c0] : tensor<6x64xf32>, memref<6x64xf32>
}

// An exponential that two consumers need is computed once.
// CHECK-LABEL: llvm.func @softmax
// AVX2-LABEL: llvm.func @softmax
// CHECK-COUNT-1: dense<1.44269502>
// CHECK-NOT: dense<1.44269502>
tile.kernel @softmax grid [1] inputs 1 {
^bb0(%x: memref<3x16xf32>, %o: memref<3x16xf32>):
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : memref<3x16xf32> -> tensor<3x16xf32>
  %e = math.exp %t : tensor<3x16xf32>
  %s = tile.reduce sum %e dim 1 : tensor<3x16xf32> -> tensor<3x1xf32>
  %b = tile.broadcast %s : tensor<3x1xf32> -> tensor<3x16xf32>
  %q = arith.divf %e, %b : tensor<3x16xf32>
  tile.store %q, %o[%c0, %c0] : tensor<3x16xf32>, memref<3x16xf32>
}

// A product of few columns accumulates in rows of whole vectors: the buffer of
// the loop-carried tile is made for them.
// CHECK-LABEL: llvm.func @few_columns
// CHECK: %[[BYTES:.*]] = llvm.mlir.constant(256 : i64)
// CHECK: llvm.alloca %[[BYTES]] x i8
// CHECK-COUNT-2: llvm.store %{{.*}} : vector<16xf32>
tile.kernel @few_columns grid [1] inputs 2 {
^bb0(%a: memref<3x2x2xf32>, %b: memref<3x2x1xf32>, %c: memref<2x1xf32>):
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %z = arith.constant dense<0.0> : tensor<2x1xf32>
  %sum = scf.for %i = %c0 to %c3 step %c1 iter_args(%acc = %z) -> (tensor<2x1xf32>) {
    %x = tile.load %a[%i, %c0, %c0] : memref<3x2x2xf32> -> tensor<1x2x2xf32>
    %y = tile.load %b[%i, %c0, %c0] : memref<3x2x1xf32> -> tensor<1x2x1xf32>
    %l = tile.reshape %x : tensor<1x2x2xf32> -> tensor<2x2xf32>
    %r = tile.reshape %y : tensor<1x2x1xf32> -> tensor<2x1xf32>
    %d = tile.dot %l, %r, %acc : tensor<2x2xf32>, tensor<2x1xf32> -> tensor<2x1xf32>
    scf.yield %d : tensor<2x1xf32>
  }
  tile.store %sum, %c[%c0, %c0] : tensor<2x1xf32>, memref<2x1xf32>
}
