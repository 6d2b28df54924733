// RUN: tessera-opt %s -convert-tile-to-cpu | FileCheck %s

// Many columns: four rows are combined pairwise before they join the result.
// CHECK-LABEL: llvm.func @columns
// CHECK-COUNT-4: llvm.load %{{.*}} -> vector<16xf32>
// CHECK-COUNT-3: llvm.fadd
// CHECK: %[[BEFORE:.*]] = llvm.load %{{.*}} -> vector<16xf32>
// CHECK: llvm.fadd %[[BEFORE]], %{{.*}} : vector<16xf32>
// CHECK: llvm.store
tile.kernel @columns grid [1] inputs 1 {
^bb0(%x: memref<16x80xf32>, %y: memref<1x80xf32>):
  %c0 = arith.constant 0 : index
  %0 = tile.load %x[%c0, %c0] : memref<16x80xf32> -> tensor<16x80xf32>
  %1 = tile.reduce sum %0 dim 0 : tensor<16x80xf32> -> tensor<1x80xf32>
  tile.store %1, %y[%c0, %c0] : tensor<1x80xf32>, memref<1x80xf32>
}

// A sum that a loop carries is formed in place: one buffer, no copies.
// CHECK-LABEL: llvm.func @carried
// CHECK-COUNT-1: llvm.alloca
// CHECK-NOT: llvm.alloca
tile.kernel @carried grid [1] inputs 1 {
^bb0(%x: memref<32x80xf32>, %y: memref<1x80xf32>):
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %c32 = arith.constant 32 : index
  %zero = arith.constant dense<0.0> : tensor<1x80xf32>
  %sum = scf.for %i = %c0 to %c32 step %c16 iter_args(%acc = %zero) -> (tensor<1x80xf32>) {
    %0 = tile.load %x[%i, %c0] : memref<32x80xf32> -> tensor<16x80xf32>
    %1 = tile.reduce sum %0 dim 0 : tensor<16x80xf32> -> tensor<1x80xf32>
    %2 = arith.addf %acc, %1 : tensor<1x80xf32>
    scf.yield %2 : tensor<1x80xf32>
  }
  tile.store %sum, %y[%c0, %c0] : tensor<1x80xf32>, memref<1x80xf32>
}

// Not where the result is used again.
// CHECK-LABEL: llvm.func @used_twice
// CHECK-COUNT-3: llvm.alloca
tile.kernel @used_twice grid [1] inputs 1 {
^bb0(%x: memref<32x80xf32>, %y: memref<1x80xf32>):
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %c32 = arith.constant 32 : index
  %zero = arith.constant dense<0.0> : tensor<1x80xf32>
  %sum = scf.for %i = %c0 to %c32 step %c16 iter_args(%acc = %zero) -> (tensor<1x80xf32>) {
    %0 = tile.load %x[%i, %c0] : memref<32x80xf32> -> tensor<16x80xf32>
    %1 = tile.reduce sum %0 dim 0 : tensor<16x80xf32> -> tensor<1x80xf32>
    %2 = arith.addf %acc, %1 : tensor<1x80xf32>
    %3 = arith.mulf %2, %1 : tensor<1x80xf32>
    scf.yield %3 : tensor<1x80xf32>
  }
  tile.store %sum, %y[%c0, %c0] : tensor<1x80xf32>, memref<1x80xf32>
}

// Which of two zeros is the greatest of a row is open.
// CHECK-LABEL: llvm.func @greatest
// CHECK: llvm.intr.maximum({{.*}}) {fastmathFlags = #llvm.fastmath<nsz>} : (vector<16xf32>
tile.kernel @greatest grid [1] inputs 1 {
^bb0(%x: memref<1x80xf32>, %y: memref<1x1xf32>):
  %c0 = arith.constant 0 : index
  %0 = tile.load %x[%c0, %c0] : memref<1x80xf32> -> tensor<1x80xf32>
  %1 = tile.reduce max %0 dim 1 : tensor<1x80xf32> -> tensor<1x1xf32>
  tile.store %1, %y[%c0, %c0] : tensor<1x1xf32>, memref<1x1xf32>
}
