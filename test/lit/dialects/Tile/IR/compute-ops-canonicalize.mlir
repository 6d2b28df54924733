// RUN: tessera-opt %s --canonicalize | FileCheck %s

// CHECK-LABEL: func.func @ops_that_change_nothing_go_away(
// CHECK-SAME: %[[X:.*]]: tensor<2x1xf32>
// CHECK-NEXT: return %[[X]], %[[X]], %[[X]], %[[X]]
func.func @ops_that_change_nothing_go_away(%x: tensor<2x1xf32>) -> (tensor<2x1xf32>, tensor<2x1xf32>, tensor<2x1xf32>, tensor<2x1xf32>) {
  %0 = tile.broadcast %x : tensor<2x1xf32> -> tensor<2x1xf32>
  %1 = tile.reshape %x : tensor<2x1xf32> -> tensor<2x1xf32>
  %2 = tile.trans %x [0, 1] : tensor<2x1xf32> -> tensor<2x1xf32>
  %3 = tile.reduce sum %x dim 1 : tensor<2x1xf32> -> tensor<2x1xf32>
  return %0, %1, %2, %3 : tensor<2x1xf32>, tensor<2x1xf32>, tensor<2x1xf32>, tensor<2x1xf32>
}

// CHECK-LABEL: func.func @broadcasts_join
// CHECK-NEXT: %[[R:.*]] = tile.broadcast %{{.*}} : tensor<1x1xf32> -> tensor<2x3xf32>
// CHECK-NEXT: return %[[R]]
func.func @broadcasts_join(%x: tensor<1x1xf32>) -> tensor<2x3xf32> {
  %0 = tile.broadcast %x : tensor<1x1xf32> -> tensor<2x1xf32>
  %1 = tile.broadcast %0 : tensor<2x1xf32> -> tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}

// CHECK-LABEL: func.func @reshapes_join
// CHECK-NEXT: %[[R:.*]] = tile.reshape %{{.*}} : tensor<2x3xf32> -> tensor<3x2xf32>
// CHECK-NEXT: return %[[R]]
func.func @reshapes_join(%x: tensor<2x3xf32>) -> tensor<3x2xf32> {
  %0 = tile.reshape %x : tensor<2x3xf32> -> tensor<6xf32>
  %1 = tile.reshape %0 : tensor<6xf32> -> tensor<3x2xf32>
  return %1 : tensor<3x2xf32>
}

// CHECK-LABEL: func.func @a_reshape_back_is_the_value(
// CHECK-SAME: %[[X:.*]]: tensor<2x3xf32>
// CHECK-NEXT: return %[[X]]
func.func @a_reshape_back_is_the_value(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %0 = tile.reshape %x : tensor<2x3xf32> -> tensor<6xf32>
  %1 = tile.reshape %0 : tensor<6xf32> -> tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}

// result[i, j, k] = inner[k, i, j] = input[j, k, i].
// CHECK-LABEL: func.func @transpositions_join
// CHECK-NEXT: %[[R:.*]] = tile.trans %{{.*}} [2, 0, 1] : tensor<2x3x5xf32> -> tensor<5x2x3xf32>
// CHECK-NEXT: return %[[R]]
func.func @transpositions_join(%x: tensor<2x3x5xf32>) -> tensor<5x2x3xf32> {
  %0 = tile.trans %x [1, 2, 0] : tensor<2x3x5xf32> -> tensor<3x5x2xf32>
  %1 = tile.trans %0 [1, 2, 0] : tensor<3x5x2xf32> -> tensor<5x2x3xf32>
  return %1 : tensor<5x2x3xf32>
}

// CHECK-LABEL: func.func @a_transposition_back_is_the_value(
// CHECK-SAME: %[[X:.*]]: tensor<2x3x5xf32>
// CHECK-NEXT: return %[[X]]
func.func @a_transposition_back_is_the_value(%x: tensor<2x3x5xf32>) -> tensor<2x3x5xf32> {
  %0 = tile.trans %x [1, 2, 0] : tensor<2x3x5xf32> -> tensor<3x5x2xf32>
  %1 = tile.trans %0 [2, 0, 1] : tensor<3x5x2xf32> -> tensor<2x3x5xf32>
  return %1 : tensor<2x3x5xf32>
}

// CHECK-LABEL: func.func @moved_constants_are_constants
// CHECK-DAG: %[[A:.*]] = arith.constant dense<1.500000e+00> : tensor<2x3xf32>
// CHECK-DAG: %[[B:.*]] = arith.constant dense<1.500000e+00> : tensor<2xf32>
// CHECK-DAG: %[[C:.*]] = arith.constant dense<1.500000e+00> : tensor<1x2xf32>
// CHECK-DAG: %[[D:.*]] = arith.constant dense<1.500000e+00> : tensor<1x1xf32>
// CHECK: return %[[A]], %[[B]], %[[C]], %[[D]]
func.func @moved_constants_are_constants() -> (tensor<2x3xf32>, tensor<2xf32>, tensor<1x2xf32>, tensor<1x1xf32>) {
  %x = arith.constant dense<1.5> : tensor<2x1xf32>
  %0 = tile.broadcast %x : tensor<2x1xf32> -> tensor<2x3xf32>
  %1 = tile.reshape %x : tensor<2x1xf32> -> tensor<2xf32>
  %2 = tile.trans %x [1, 0] : tensor<2x1xf32> -> tensor<1x2xf32>
  %3 = tile.reduce max %x dim 0 : tensor<2x1xf32> -> tensor<1x1xf32>
  return %0, %1, %2, %3 : tensor<2x3xf32>, tensor<2xf32>, tensor<1x2xf32>, tensor<1x1xf32>
}

// The order of a sum, and so its rounding, is the target's choice.
// CHECK-LABEL: func.func @sums_of_constants_stay
// CHECK: tile.reduce sum
func.func @sums_of_constants_stay() -> tensor<1x3xf32> {
  %x = arith.constant dense<0.1> : tensor<2x3xf32>
  %0 = tile.reduce sum %x dim 0 : tensor<2x3xf32> -> tensor<1x3xf32>
  return %0 : tensor<1x3xf32>
}

// CHECK-LABEL: func.func @an_index_along_one_element_is_zero
// CHECK-NEXT: %[[R:.*]] = arith.constant dense<0> : tensor<2x1xi32>
// CHECK-NEXT: return %[[R]]
func.func @an_index_along_one_element_is_zero() -> tensor<2x1xi32> {
  %0 = tile.iota dim 1 : tensor<2x1xi32>
  return %0 : tensor<2x1xi32>
}

// CHECK-LABEL: func.func @a_constant_scalar_makes_a_constant_tile
// CHECK-NEXT: %[[R:.*]] = arith.constant dense<7> : tensor<2x3xi32>
// CHECK-NEXT: return %[[R]]
func.func @a_constant_scalar_makes_a_constant_tile() -> tensor<2x3xi32> {
  %s = arith.constant 7 : i32
  %0 = tile.splat %s : i32 -> tensor<2x3xi32>
  return %0 : tensor<2x3xi32>
}
