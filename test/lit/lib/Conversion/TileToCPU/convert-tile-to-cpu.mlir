// RUN: tessera-opt %s -convert-tile-to-cpu | FileCheck %s
// RUN: tessera-opt %s -convert-tile-to-cpu=vector-bits=256 | FileCheck %s --check-prefix=AVX2

// A product keeps 12 x 2 vectors of the result in registers over the whole depth
// and reads the left factor in place.
// CHECK-LABEL: llvm.func @product(%arg0: !llvm.ptr, %arg1: i64, %arg2: i64)
// CHECK-COUNT-24: llvm.intr.fma({{.*}}) : (vector<16xf32>, vector<16xf32>, vector<16xf32>) -> vector<16xf32>
// CHECK-NOT: llvm.intr.fma
// AVX2-LABEL: llvm.func @product
// AVX2-COUNT-12: llvm.intr.fma({{.*}}) : (vector<8xf32>, vector<8xf32>, vector<8xf32>) -> vector<8xf32>
tile.kernel @product grid [1] inputs 2 {
^bb0(%a: memref<12x5xf32>, %b: memref<5x32xf32>, %c: memref<12x32xf32>):
  %c0 = arith.constant 0 : index
  %z = arith.constant dense<0.0> : tensor<12x32xf32>
  %x = tile.load %a[%c0, %c0] : memref<12x5xf32> -> tensor<12x5xf32>
  %y = tile.load %b[%c0, %c0] : memref<5x32xf32> -> tensor<5x32xf32>
  %r = tile.dot %x, %y, %z : tensor<12x5xf32>, tensor<5x32xf32> -> tensor<12x32xf32>
  tile.store %r, %c[%c0, %c0] : tensor<12x32xf32>, memref<12x32xf32>
}

// An exponential that two consumers need is computed once.
// CHECK-LABEL: llvm.func @softmax
// CHECK-COUNT-1: dense<1.44269502>
// CHECK-NOT: dense<1.44269502>
tile.kernel @softmax grid [1] inputs 1 {
^bb0(%x: memref<3x16xf32>, %o: memref<3x16xf32>):
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : memref<3x16xf32> -> tensor<3x16xf32>
  %e = math.exp %t : tensor<3x16xf32>
  %s = tile.reduce "sum" %e dim 1 : tensor<3x16xf32> -> tensor<3x1xf32>
  %b = tile.broadcast %s : tensor<3x1xf32> -> tensor<3x16xf32>
  %q = arith.divf %e, %b : tensor<3x16xf32>
  tile.store %q, %o[%c0, %c0] : tensor<3x16xf32>, memref<3x16xf32>
}
