// RUN: tessera-opt %s | tessera-opt | FileCheck %s
// RUN: tessera-opt %s --mlir-print-op-generic | tessera-opt | FileCheck %s

// CHECK-LABEL: func.func @products_of_narrow_floats_are_added_in_f32
func.func @products_of_narrow_floats_are_added_in_f32(%a: tensor<2x3xbf16>, %b: tensor<3x5xbf16>, %c: tensor<2x5xf32>) -> tensor<2x5xf32> {
  // CHECK: tile.dot %{{.*}}, %{{.*}}, %{{.*}} : tensor<2x3xbf16>, tensor<3x5xbf16> -> tensor<2x5xf32>
  %0 = tile.dot %a, %b, %c : tensor<2x3xbf16>, tensor<3x5xbf16> -> tensor<2x5xf32>
  return %0 : tensor<2x5xf32>
}

// CHECK-LABEL: func.func @products_of_integers_stay_integers
func.func @products_of_integers_stay_integers(%a: tensor<2x3xi64>, %b: tensor<3x5xi64>, %c: tensor<2x5xi64>) -> tensor<2x5xi64> {
  // CHECK: tile.dot %{{.*}}, %{{.*}}, %{{.*}} : tensor<2x3xi64>, tensor<3x5xi64> -> tensor<2x5xi64>
  %0 = tile.dot %a, %b, %c : tensor<2x3xi64>, tensor<3x5xi64> -> tensor<2x5xi64>
  return %0 : tensor<2x5xi64>
}

// CHECK-LABEL: func.func @triangles_of_products
func.func @triangles_of_products(%a: tensor<2x3xf32>, %b: tensor<3x5xf32>, %c: tensor<2x5xf32>, %d: index) -> (tensor<2x5xf32>, tensor<2x5xf32>) {
  // CHECK: tile.dot %{{.*}}, %{{.*}}, %{{.*}} result lower at %{{.*}} : tensor<2x3xf32>, tensor<3x5xf32> -> tensor<2x5xf32>
  // CHECK: tile.dot %{{.*}}, %{{.*}}, %{{.*}} lhs upper at %{{.*}} : tensor<2x3xf32>, tensor<3x5xf32> -> tensor<2x5xf32>
  %0 = tile.dot %a, %b, %c result lower at %d : tensor<2x3xf32>, tensor<3x5xf32> -> tensor<2x5xf32>
  %1 = tile.dot %a, %b, %c lhs upper at %d : tensor<2x3xf32>, tensor<3x5xf32> -> tensor<2x5xf32>
  return %0, %1 : tensor<2x5xf32>, tensor<2x5xf32>
}

// CHECK-LABEL: func.func @the_largest_of_numbers
func.func @the_largest_of_numbers(%x: tensor<2x3xf32>) -> tensor<2x1xf32> {
  // CHECK: tile.reduce max %{{.*}} dim 1 numbers : tensor<2x3xf32> -> tensor<2x1xf32>
  %0 = tile.reduce max %x dim 1 numbers : tensor<2x3xf32> -> tensor<2x1xf32>
  return %0 : tensor<2x1xf32>
}

// CHECK-LABEL: func.func @reductions
func.func @reductions(%x: tensor<2x3x5xf32>) -> (tensor<2x1x5xf32>, tensor<1x3x5xf32>, tensor<2x3x1xf32>, tensor<2x3x1xf32>) {
  // CHECK: tile.reduce sum %{{.*}} dim 1 : tensor<2x3x5xf32> -> tensor<2x1x5xf32>
  // CHECK: tile.reduce max %{{.*}} dim 0 : tensor<2x3x5xf32> -> tensor<1x3x5xf32>
  // CHECK: tile.reduce min %{{.*}} dim 2 : tensor<2x3x5xf32> -> tensor<2x3x1xf32>
  // CHECK: tile.reduce prod %{{.*}} dim 2 : tensor<2x3x5xf32> -> tensor<2x3x1xf32>
  %0 = tile.reduce sum %x dim 1 : tensor<2x3x5xf32> -> tensor<2x1x5xf32>
  %1 = tile.reduce max %x dim 0 : tensor<2x3x5xf32> -> tensor<1x3x5xf32>
  %2 = tile.reduce min %x dim 2 : tensor<2x3x5xf32> -> tensor<2x3x1xf32>
  %3 = tile.reduce prod %x dim 2 : tensor<2x3x5xf32> -> tensor<2x3x1xf32>
  return %0, %1, %2, %3 : tensor<2x1x5xf32>, tensor<1x3x5xf32>, tensor<2x3x1xf32>, tensor<2x3x1xf32>
}

// CHECK-LABEL: func.func @movements
func.func @movements(%x: tensor<2x1x5xi1>, %s: f32) -> (tensor<2x3x5xi1>, tensor<10xi1>, tensor<5x2x1xi1>, tensor<2x3xi32>, tensor<2x3xf32>) {
  // CHECK: tile.broadcast %{{.*}} : tensor<2x1x5xi1> -> tensor<2x3x5xi1>
  // CHECK: tile.reshape %{{.*}} : tensor<2x1x5xi1> -> tensor<10xi1>
  // CHECK: tile.trans %{{.*}} [2, 0, 1] : tensor<2x1x5xi1> -> tensor<5x2x1xi1>
  // CHECK: tile.iota dim 1 : tensor<2x3xi32>
  // CHECK: tile.splat %{{.*}} : f32 -> tensor<2x3xf32>
  %0 = tile.broadcast %x : tensor<2x1x5xi1> -> tensor<2x3x5xi1>
  %1 = tile.reshape %x : tensor<2x1x5xi1> -> tensor<10xi1>
  %2 = tile.trans %x [2, 0, 1] : tensor<2x1x5xi1> -> tensor<5x2x1xi1>
  %3 = tile.iota dim 1 : tensor<2x3xi32>
  %4 = tile.splat %s : f32 -> tensor<2x3xf32>
  return %0, %1, %2, %3, %4 : tensor<2x3x5xi1>, tensor<10xi1>, tensor<5x2x1xi1>, tensor<2x3xi32>, tensor<2x3xf32>
}
