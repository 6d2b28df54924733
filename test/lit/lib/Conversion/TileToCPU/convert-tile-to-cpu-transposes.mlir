// RUN: tessera-opt %s -convert-tile-to-cpu | FileCheck %s
// RUN: tessera-opt %s -convert-tile-to-cpu=vector-bits=256 | FileCheck %s --check-prefix=AVX2

// A square of 16 x 16 elements is read and written in whole vectors, and turned
// in four rounds of 16 shuffles (three of 8 with 256 bits).
// CHECK-LABEL: llvm.func @turned
// CHECK-COUNT-16: llvm.load %{{.*}} -> vector<16xf32>
// CHECK-NOT: -> f32
// CHECK-COUNT-64: llvm.shufflevector
// CHECK-NOT: llvm.shufflevector
// CHECK-COUNT-16: llvm.store %{{.*}} : vector<16xf32>
// CHECK-NOT: llvm.store
// AVX2-LABEL: llvm.func @turned
// AVX2-COUNT-8: llvm.load %{{.*}} -> vector<8xf32>
// AVX2-COUNT-24: llvm.shufflevector
// AVX2-COUNT-8: llvm.store %{{.*}} : vector<8xf32>
tile.kernel @turned grid [1] inputs 1 {
^bb0(%x: memref<32x64xf32>, %y: memref<64x32xf32>):
  %c0 = arith.constant 0 : index
  %0 = tile.load %x[%c0, %c0] : memref<32x64xf32> -> tensor<32x64xf32>
  %1 = tile.trans %0 [1, 0] : tensor<32x64xf32> -> tensor<64x32xf32>
  tile.store %1, %y[%c0, %c0] : tensor<64x32xf32>, memref<64x32xf32>
}

// Ragged ends are smaller squares: 3 columns of 16 rows, then of 2.
// CHECK-LABEL: llvm.func @ragged
// CHECK-COUNT-3: llvm.load %{{.*}} -> vector<16xf32>
// CHECK-COUNT-16: llvm.store %{{.*}} : vector<3xf32>
// CHECK-COUNT-3: llvm.load %{{.*}} -> vector<2xf32>
// CHECK-COUNT-2: llvm.store %{{.*}} : vector<3xf32>
tile.kernel @ragged grid [1] inputs 1 {
^bb0(%x: memref<3x18xf32>, %y: memref<18x3xf32>):
  %c0 = arith.constant 0 : index
  %0 = tile.load %x[%c0, %c0] : memref<3x18xf32> -> tensor<3x18xf32>
  %1 = tile.trans %0 [1, 0] : tensor<3x18xf32> -> tensor<18x3xf32>
  tile.store %1, %y[%c0, %c0] : tensor<18x3xf32>, memref<18x3xf32>
}

// What is computed before the transposition is computed on vectors as turned,
// and what lies along the lanes anyhow is not turned.
// CHECK-LABEL: llvm.func @computed
// CHECK-COUNT-16: llvm.load %{{.*}} -> vector<16xf32>
// CHECK-COUNT-64: llvm.shufflevector
// CHECK: llvm.fneg %{{.*}} : vector<16xf32>
// CHECK: llvm.load %{{.*}} -> vector<16xf32>
// CHECK: llvm.fadd %{{.*}} : vector<16xf32>
tile.kernel @computed grid [1] inputs 2 {
^bb0(%x: memref<16x16xf32>, %y: memref<16x16xf32>, %z: memref<16x16xf32>):
  %c0 = arith.constant 0 : index
  %0 = tile.load %x[%c0, %c0] : memref<16x16xf32> -> tensor<16x16xf32>
  %1 = tile.load %y[%c0, %c0] : memref<16x16xf32> -> tensor<16x16xf32>
  %2 = arith.negf %0 : tensor<16x16xf32>
  %3 = tile.trans %2 [1, 0] : tensor<16x16xf32> -> tensor<16x16xf32>
  %4 = arith.addf %3, %1 : tensor<16x16xf32>
  tile.store %4, %z[%c0, %c0] : tensor<16x16xf32>, memref<16x16xf32>
}

// Where much is computed of a square, its rows are a loop: code once.
// CHECK-LABEL: llvm.func @long
// CHECK-COUNT-64: llvm.shufflevector
// CHECK-COUNT-16: llvm.store %{{.*}} : vector<16xf32>
// CHECK-COUNT-6: llvm.fmul
// CHECK-NOT: llvm.fmul
// CHECK-LABEL: llvm.func @
tile.kernel @long grid [1] inputs 1 {
^bb0(%x: memref<16x16xf32>, %z: memref<16x16xf32>):
  %c0 = arith.constant 0 : index
  %0 = tile.load %x[%c0, %c0] : memref<16x16xf32> -> tensor<16x16xf32>
  %1 = tile.trans %0 [1, 0] : tensor<16x16xf32> -> tensor<16x16xf32>
  %2 = arith.mulf %1, %1 : tensor<16x16xf32>
  %3 = arith.mulf %2, %2 : tensor<16x16xf32>
  %4 = arith.mulf %3, %3 : tensor<16x16xf32>
  %5 = arith.mulf %4, %4 : tensor<16x16xf32>
  %6 = arith.mulf %5, %5 : tensor<16x16xf32>
  %7 = arith.mulf %6, %6 : tensor<16x16xf32>
  tile.store %7, %z[%c0, %c0] : tensor<16x16xf32>, memref<16x16xf32>
}
tile.kernel @end grid [1] inputs 0 {
^bb0(%z: memref<1xf32>):
  %c0 = arith.constant 0 : index
  %0 = arith.constant dense<0.0> : tensor<1xf32>
  tile.store %0, %z[%c0] : tensor<1xf32>, memref<1xf32>
}
