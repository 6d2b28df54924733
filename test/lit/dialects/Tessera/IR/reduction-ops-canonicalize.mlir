// RUN: tessera-opt %s --canonicalize | FileCheck %s
// RUN: tessera-opt %s '--tessera-check-equivalence=pipeline=canonicalize runs=3' -o /dev/null

dist.mesh @mesh <[tp = 2]>

// CHECK-LABEL: @reducing_one_element_is_a_reshape
func.func @reducing_one_element_is_a_reshape(%x: tensor<2x1x3x1xf32>) -> tensor<2x3xf32> {
  // CHECK-NEXT: %[[R:.*]] = tessera.reshape %arg0 : tensor<2x1x3x1xf32> -> tensor<2x3xf32>
  // CHECK-NEXT: return %[[R]]
  %0 = tessera.reduce sum %x dims [1, 3] : tensor<2x1x3x1xf32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// CHECK-LABEL: @a_split_dimension_of_one_element_stays
func.func @a_split_dimension_of_one_element_stays(%x: !tessera.mesh_tensor<1x3xf32, @mesh, [{tp}, {}]>) -> !tessera.mesh_tensor<3xf32, @mesh> {
  // CHECK-NEXT: tessera.reduce
  %0 = tessera.reduce sum %x dims [0] : !tessera.mesh_tensor<1x3xf32, @mesh, [{tp}, {}]> -> !tessera.mesh_tensor<3xf32, @mesh>
  return %0 : !tessera.mesh_tensor<3xf32, @mesh>
}

// CHECK-LABEL: @maxima_join
func.func @maxima_join(%x: tensor<2x3x5x7xf32>) -> tensor<3xf32> {
  // CHECK-NEXT: tessera.reduce max %arg0 dims [0, 2, 3] : tensor<2x3x5x7xf32> -> tensor<3xf32>
  // CHECK-NEXT: return
  %0 = tessera.reduce max %x dims [2] : tensor<2x3x5x7xf32> -> tensor<2x3x7xf32>
  %1 = tessera.reduce max %0 dims [0, 2] : tensor<2x3x7xf32> -> tensor<3xf32>
  return %1 : tensor<3xf32>
}

// CHECK-LABEL: @integer_sums_join
func.func @integer_sums_join(%x: tensor<2x3x5xi32>) -> tensor<5xi32> {
  // CHECK-NEXT: tessera.reduce sum %arg0 dims [0, 1]
  %0 = tessera.reduce sum %x dims [1] : tensor<2x3x5xi32> -> tensor<2x5xi32>
  %1 = tessera.reduce sum %0 dims [0] : tensor<2x5xi32> -> tensor<5xi32>
  return %1 : tensor<5xi32>
}

// CHECK-LABEL: @float_sums_are_rounded_in_turn
func.func @float_sums_are_rounded_in_turn(%x: tensor<2x3x5xf32>) -> tensor<5xf32> {
  // CHECK-COUNT-2: tessera.reduce sum
  %0 = tessera.reduce sum %x dims [1] : tensor<2x3x5xf32> -> tensor<2x5xf32>
  %1 = tessera.reduce sum %0 dims [0] : tensor<2x5xf32> -> tensor<5xf32>
  return %1 : tensor<5xf32>
}

// CHECK-LABEL: @unlike_reductions_stay
func.func @unlike_reductions_stay(%x: tensor<2x3x5xf32>) -> tensor<5xf32> {
  // CHECK: tessera.reduce max
  // CHECK: tessera.reduce min
  %0 = tessera.reduce max %x dims [1] : tensor<2x3x5xf32> -> tensor<2x5xf32>
  %1 = tessera.reduce min %0 dims [0] : tensor<2x5xf32> -> tensor<5xf32>
  return %1 : tensor<5xf32>
}

// CHECK-LABEL: @an_extremum_of_equal_elements_is_one_of_them
func.func @an_extremum_of_equal_elements_is_one_of_them(%x: tensor<3x5xf32>) -> (tensor<3x5xf32>, tensor<3x7x5xf32>) {
  // CHECK-NEXT: %[[R:.*]] = tessera.broadcast %arg0 dims [0, 2] : tensor<3x5xf32> -> tensor<3x7x5xf32>
  // CHECK-NEXT: return %arg0, %[[R]]
  %0 = tessera.broadcast %x dims [1, 3] : tensor<3x5xf32> -> tensor<2x3x7x5xf32>
  %1 = tessera.reduce max %0 dims [0, 2] : tensor<2x3x7x5xf32> -> tensor<3x5xf32>
  %2 = tessera.reduce min %0 dims [0] : tensor<2x3x7x5xf32> -> tensor<3x7x5xf32>
  return %1, %2 : tensor<3x5xf32>, tensor<3x7x5xf32>
}

// The multiple rounds once, the sum at each step.
// CHECK-LABEL: @a_sum_of_equal_elements_stays
func.func @a_sum_of_equal_elements_stays(%x: tensor<3xf32>) -> tensor<3xf32> {
  // CHECK-NEXT: tessera.broadcast
  // CHECK-NEXT: tessera.reduce sum
  %0 = tessera.broadcast %x dims [1] : tensor<3xf32> -> tensor<2x3xf32>
  %1 = tessera.reduce sum %0 dims [0] : tensor<2x3xf32> -> tensor<3xf32>
  return %1 : tensor<3xf32>
}

// CHECK-LABEL: @an_extremum_of_unlike_elements_stays
func.func @an_extremum_of_unlike_elements_stays(%x: tensor<3xf32>) -> tensor<2xf32> {
  // CHECK-NEXT: tessera.broadcast
  // CHECK-NEXT: tessera.reduce max
  %0 = tessera.broadcast %x dims [1] : tensor<3xf32> -> tensor<2x3xf32>
  %1 = tessera.reduce max %0 dims [1] : tensor<2x3xf32> -> tensor<2xf32>
  return %1 : tensor<2xf32>
}
