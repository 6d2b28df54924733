// RUN: tessera-opt %s -convert-tessera-to-tile | FileCheck %s
// RUN: tessera-opt %s -convert-tessera-to-tile=target=cuda | FileCheck %s

// Factors are matrices of rows, summed and columns, in any order before.
// CHECK: tile.kernel @batched_product grid [6] inputs 2
// CHECK: tile.dot {{.*}} : tensor<5x7xf32>, tensor<7x4xf32> -> tensor<5x4xf32>
func.func @batched(%q: tensor<2x3x5x7xf32>, %k: tensor<2x4x3x7xf32>) -> tensor<2x3x5x4xf32> {
  %0 = tessera.contract %q, %k "bhqd,bkhd->bhqk" : tensor<2x3x5x7xf32>, tensor<2x4x3x7xf32> -> tensor<2x3x5x4xf32>
  return %0 : tensor<2x3x5x4xf32>
}

// CHECK: tile.kernel @in_f32_product
// CHECK: tile.dot {{.*}} : tensor<2x3xbf16>, tensor<3x5xbf16> -> tensor<2x5xf32>
// CHECK: arith.truncf
func.func @in_f32(%x: tensor<2x3xbf16>, %w: tensor<3x5xbf16>) -> tensor<2x5xbf16> {
  %0 = tessera.contract %x, %w "mk,kn->mn" : tensor<2x3xbf16>, tensor<3x5xbf16> -> tensor<2x5xbf16>
  return %0 : tensor<2x5xbf16>
}

// A scalar has one element in memory, which is a matrix of one row and column.
// CHECK: tile.kernel @scaled_product grid [1] inputs 2
// CHECK: %[[SCALE:.*]] = tile.load {{.*}} : memref<1xf32> -> tensor<1xf32>
// CHECK: tile.dot {{.*}} : tensor<1x1xf32>, tensor<1x15xf32> -> tensor<1x15xf32>
func.func @scaled(%s: tensor<f32>, %x: tensor<3x5xf32>) -> tensor<5x3xf32> {
  %0 = tessera.contract %s, %x ",mn->nm" : tensor<f32>, tensor<3x5xf32> -> tensor<5x3xf32>
  return %0 : tensor<5x3xf32>
}

// A block of queries of one head; query heads 2h and 2h + 1 read key head h.
// CHECK: tile.kernel @grouped_attention grid [8] inputs 3
// CHECK: arith.divui
// CHECK-COUNT-2: tile.dot
func.func @grouped(%q: tensor<2x5x4x3xf32>, %k: tensor<2x7x2x3xf32>, %v: tensor<2x7x2x3xf32>) -> tensor<2x5x4x3xf32> {
  %0 = tessera.attention %q, %k, %v scale 0.5 : tensor<2x5x4x3xf32>, tensor<2x7x2x3xf32>, tensor<2x7x2x3xf32> -> tensor<2x5x4x3xf32>
  return %0 : tensor<2x5x4x3xf32>
}

// f64 is added in f64.
// CHECK: tile.kernel @in_doubles_attention
// CHECK: tile.dot {{.*}} : tensor<5x3xf64>, tensor<3x5xf64> -> tensor<5x5xf64>
func.func @in_doubles(%q: tensor<1x5x2x3xf64>) -> tensor<1x5x2x3xf64> {
  %0 = tessera.attention %q, %q, %q scale 0.5 causal : tensor<1x5x2x3xf64>, tensor<1x5x2x3xf64>, tensor<1x5x2x3xf64> -> tensor<1x5x2x3xf64>
  return %0 : tensor<1x5x2x3xf64>
}
