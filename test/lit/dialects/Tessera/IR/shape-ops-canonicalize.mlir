// RUN: tessera-opt %s --canonicalize | FileCheck %s
// RUN: tessera-opt %s '--tessera-check-equivalence=pipeline=canonicalize runs=3' -o /dev/null

dist.mesh @mesh <[tp = 2]>

// CHECK-LABEL: @identities_do_nothing
func.func @identities_do_nothing(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK-NEXT: return %arg0
  %0 = tessera.reshape %x : tensor<2x3xf32> -> tensor<2x3xf32>
  %1 = tessera.transpose %0 [0, 1] : tensor<2x3xf32> -> tensor<2x3xf32>
  %2 = tessera.broadcast %1 dims [0, 1] : tensor<2x3xf32> -> tensor<2x3xf32>
  %3 = tessera.slice %2 [0, 0] to [2, 3] by [1, 1] : tensor<2x3xf32> -> tensor<2x3xf32>
  %4 = tessera.concatenate %3 dim 1 : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %5 = tessera.pad %4 low [0, 0] high [0, 0] value 1.0 : f32 : tensor<2x3xf32> -> tensor<2x3xf32>
  %6 = tessera.convert %5 : tensor<2x3xf32> -> tensor<2x3xf32>
  %7 = tessera.reduce sum %6 dims [] : tensor<2x3xf32> -> tensor<2x3xf32>
  return %7 : tensor<2x3xf32>
}

// CHECK-LABEL: @reshapes_join
func.func @reshapes_join(%x: tensor<2x3x5xf32>) -> tensor<5x6xf32> {
  // CHECK-NEXT: %[[R:.*]] = tessera.reshape %arg0 : tensor<2x3x5xf32> -> tensor<5x6xf32>
  // CHECK-NEXT: return %[[R]]
  %0 = tessera.reshape %x : tensor<2x3x5xf32> -> tensor<30xf32>
  %1 = tessera.reshape %0 : tensor<30xf32> -> tensor<5x6xf32>
  return %1 : tensor<5x6xf32>
}

// CHECK-LABEL: @reshape_and_back_is_the_value
func.func @reshape_and_back_is_the_value(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK-NEXT: return %arg0
  %0 = tessera.reshape %x : tensor<2x3xf32> -> tensor<6xf32>
  %1 = tessera.reshape %0 : tensor<6xf32> -> tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}

// CHECK-LABEL: @transposes_compose
func.func @transposes_compose(%x: tensor<2x3x5xf32>) -> tensor<5x2x3xf32> {
  // Dimension 0 of the result is dimension 2 of the middle, 2 of the input.
  // CHECK-NEXT: tessera.transpose %arg0 [2, 0, 1] : tensor<2x3x5xf32> -> tensor<5x2x3xf32>
  %0 = tessera.transpose %x [1, 0, 2] : tensor<2x3x5xf32> -> tensor<3x2x5xf32>
  %1 = tessera.transpose %0 [2, 1, 0] : tensor<3x2x5xf32> -> tensor<5x2x3xf32>
  return %1 : tensor<5x2x3xf32>
}

// CHECK-LABEL: @transpose_and_back_is_the_value
func.func @transpose_and_back_is_the_value(%x: tensor<2x3x5xf32>) -> tensor<2x3x5xf32> {
  // CHECK-NEXT: return %arg0
  %0 = tessera.transpose %x [2, 0, 1] : tensor<2x3x5xf32> -> tensor<5x2x3xf32>
  %1 = tessera.transpose %0 [1, 2, 0] : tensor<5x2x3xf32> -> tensor<2x3x5xf32>
  return %1 : tensor<2x3x5xf32>
}

// CHECK-LABEL: @broadcasts_compose
func.func @broadcasts_compose(%x: tensor<3xf32>) -> tensor<2x3x5xf32> {
  // CHECK-NEXT: tessera.broadcast %arg0 dims [1] : tensor<3xf32> -> tensor<2x3x5xf32>
  %0 = tessera.broadcast %x dims [0] : tensor<3xf32> -> tensor<3x5xf32>
  %1 = tessera.broadcast %0 dims [1, 2] : tensor<3x5xf32> -> tensor<2x3x5xf32>
  return %1 : tensor<2x3x5xf32>
}

// CHECK-LABEL: @splats_take_any_shape
func.func @splats_take_any_shape() -> tensor<2x3xf32> {
  // CHECK-NEXT: %[[C:.*]] = tessera.constant dense<2.000000e+00> : tensor<2x3xf32> : tensor<2x3xf32>
  // CHECK-NEXT: return %[[C]]
  %0 = tessera.constant dense<2.0> : tensor<f32> : tensor<f32>
  %1 = tessera.broadcast %0 dims [] : tensor<f32> -> tensor<3x4x5xf32>
  %2 = tessera.transpose %1 [2, 1, 0] : tensor<3x4x5xf32> -> tensor<5x4x3xf32>
  %3 = tessera.slice %2 [0, 0, 0] to [3, 4, 3] by [2, 1, 1] : tensor<5x4x3xf32> -> tensor<2x4x3xf32>
  %4 = tessera.reduce max %3 dims [1] : tensor<2x4x3xf32> -> tensor<2x3xf32>
  %5 = tessera.reshape %4 : tensor<2x3xf32> -> tensor<2x3xf32>
  return %5 : tensor<2x3xf32>
}

// CHECK-LABEL: @a_maximum_of_nothing_is_not_a_splat
func.func @a_maximum_of_nothing_is_not_a_splat() -> tensor<2xf32> {
  // CHECK: tessera.reduce
  %0 = tessera.constant dense<2.0> : tensor<f32> : tensor<f32>
  %1 = tessera.broadcast %0 dims [] : tensor<f32> -> tensor<2x0xf32>
  %2 = tessera.reduce max %1 dims [1] : tensor<2x0xf32> -> tensor<2xf32>
  return %2 : tensor<2xf32>
}

// CHECK-LABEL: @open_layouts_may_disappear
func.func @open_layouts_may_disappear(%x: !tessera.mesh_tensor<2x3x5xf32, @mesh>) -> !tessera.mesh_tensor<5x6xf32, @mesh> {
  // CHECK-NEXT: tessera.reshape %arg0 :
  // CHECK-NEXT: return
  %0 = tessera.reshape %x : !tessera.mesh_tensor<2x3x5xf32, @mesh> -> !tessera.mesh_tensor<30xf32, @mesh>
  %1 = tessera.reshape %0 : !tessera.mesh_tensor<30xf32, @mesh> -> !tessera.mesh_tensor<5x6xf32, @mesh>
  return %1 : !tessera.mesh_tensor<5x6xf32, @mesh>
}

// CHECK-LABEL: @layouts_that_were_asked_for_stay
func.func @layouts_that_were_asked_for_stay(%x: !tessera.mesh_tensor<2x3x5xf32, @mesh>) -> !tessera.mesh_tensor<5x6xf32, @mesh> {
  // CHECK-COUNT-2: tessera.reshape
  %0 = tessera.reshape %x : !tessera.mesh_tensor<2x3x5xf32, @mesh> -> !tessera.mesh_tensor<30xf32, @mesh, [{tp}]>
  %1 = tessera.reshape %0 : !tessera.mesh_tensor<30xf32, @mesh, [{tp}]> -> !tessera.mesh_tensor<5x6xf32, @mesh>
  return %1 : !tessera.mesh_tensor<5x6xf32, @mesh>
}

// CHECK-LABEL: @slices_compose
func.func @slices_compose(%x: tensor<17x5xf32>) -> tensor<3x2xf32> {
  // Rows 2, 5, 8, 11 and 14; of them 2, 8 and 14.
  // CHECK-NEXT: %[[S:.*]] = tessera.slice %arg0 [2, 1] to [15, 4] by [6, 2] : tensor<17x5xf32> -> tensor<3x2xf32>
  // CHECK-NEXT: return %[[S]]
  %0 = tessera.slice %x [2, 1] to [17, 5] by [3, 1] : tensor<17x5xf32> -> tensor<5x4xf32>
  %1 = tessera.slice %0 [0, 0] to [5, 3] by [2, 2] : tensor<5x4xf32> -> tensor<3x2xf32>
  return %1 : tensor<3x2xf32>
}

// CHECK-LABEL: @a_step_past_the_end_stays_a_stride
func.func @a_step_past_the_end_stays_a_stride(%x: tensor<5x7xf32>) -> tensor<1x1xf32> {
  // CHECK: tessera.slice %arg0 [1, 2] to [2, 3] by [1, 1]
  %0 = tessera.slice %x [1, 2] to [5, 7] by [3037000500, 4294967296] : tensor<5x7xf32> -> tensor<1x1xf32>
  %1 = tessera.slice %0 [0, 0] to [1, 1] by [3037000500, 4294967296] : tensor<1x1xf32> -> tensor<1x1xf32>
  return %1 : tensor<1x1xf32>
}

// CHECK-LABEL: @the_largest_stride_takes_one_element
func.func @the_largest_stride_takes_one_element(%x: tensor<5xf32>) -> tensor<1xf32> {
  // CHECK: tessera.slice %arg0 [1] to [5]
  %0 = tessera.slice %x [1] to [5] by [9223372036854775807] : tensor<5xf32> -> tensor<1xf32>
  return %0 : tensor<1xf32>
}

// CHECK-LABEL: @an_empty_slice_stays_inside
func.func @an_empty_slice_stays_inside(%x: tensor<7xf32>) -> tensor<0xf32> {
  // CHECK-COUNT-2: tessera.slice
  %0 = tessera.slice %x [1] to [7] by [5] : tensor<7xf32> -> tensor<2xf32>
  %1 = tessera.slice %0 [2] to [2] by [1] : tensor<2xf32> -> tensor<0xf32>
  return %1 : tensor<0xf32>
}

// CHECK-LABEL: @concatenations_join_and_empty_inputs_drop
func.func @concatenations_join_and_empty_inputs_drop(%x: tensor<2x3xf32>, %y: tensor<2x5xf32>, %e: tensor<2x0xf32>) -> tensor<2x11xf32> {
  // CHECK-NEXT: %[[C:.*]] = tessera.concatenate %arg0, %arg1, %arg0 dim 1
  // CHECK-NEXT: return %[[C]]
  %0 = tessera.concatenate %x, %y dim 1 : (tensor<2x3xf32>, tensor<2x5xf32>) -> tensor<2x8xf32>
  %1 = tessera.concatenate %0, %e, %x dim 1 : (tensor<2x8xf32>, tensor<2x0xf32>, tensor<2x3xf32>) -> tensor<2x11xf32>
  return %1 : tensor<2x11xf32>
}

// CHECK-LABEL: @concatenations_along_two_dimensions_stay
func.func @concatenations_along_two_dimensions_stay(%x: tensor<2x3xf32>) -> tensor<4x6xf32> {
  // CHECK-COUNT-2: tessera.concatenate
  %0 = tessera.concatenate %x, %x dim 1 : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x6xf32>
  %1 = tessera.concatenate %0, %0 dim 0 : (tensor<2x6xf32>, tensor<2x6xf32>) -> tensor<4x6xf32>
  return %1 : tensor<4x6xf32>
}

// CHECK-LABEL: @equal_splats_are_joined_and_padded_as_one
func.func @equal_splats_are_joined_and_padded_as_one() -> tensor<2x9xf32> {
  // CHECK-NEXT: %[[C:.*]] = tessera.constant dense<2.000000e+00> : tensor<2x9xf32> : tensor<2x9xf32>
  // CHECK-NEXT: return %[[C]]
  %0 = tessera.constant dense<2.0> : tensor<2x3xf32> : tensor<2x3xf32>
  %1 = tessera.constant dense<2.0> : tensor<2x5xf32> : tensor<2x5xf32>
  %2 = tessera.concatenate %0, %1 dim 1 : (tensor<2x3xf32>, tensor<2x5xf32>) -> tensor<2x8xf32>
  %3 = tessera.pad %2 low [0, 1] high [0, 0] value 2.0 : f32 : tensor<2x8xf32> -> tensor<2x9xf32>
  return %3 : tensor<2x9xf32>
}

// CHECK-LABEL: @unlike_splats_stay
func.func @unlike_splats_stay() -> tensor<9xf32> {
  // CHECK: tessera.concatenate
  // CHECK: tessera.pad
  %0 = tessera.constant dense<2.0> : tensor<3xf32> : tensor<3xf32>
  %1 = tessera.constant dense<3.0> : tensor<5xf32> : tensor<5xf32>
  %2 = tessera.concatenate %0, %1 dim 0 : (tensor<3xf32>, tensor<5xf32>) -> tensor<8xf32>
  %3 = tessera.pad %2 low [1] high [0] value 2.0 : f32 : tensor<8xf32> -> tensor<9xf32>
  return %3 : tensor<9xf32>
}

// CHECK-LABEL: @pads_of_one_element_add_up
func.func @pads_of_one_element_add_up(%x: tensor<2x3xf32>) -> (tensor<4x8xf32>, tensor<3x6xf32>) {
  // CHECK-NEXT: tessera.pad %arg0 low [1, 2] high [1, 3] value 0.000000e+00 : f32 : tensor<2x3xf32> -> tensor<4x8xf32>
  %0 = tessera.pad %x low [1, 0] high [0, 3] value 0.0 : f32 : tensor<2x3xf32> -> tensor<3x6xf32>
  %1 = tessera.pad %0 low [0, 2] high [1, 0] value 0.0 : f32 : tensor<3x6xf32> -> tensor<4x8xf32>
  // CHECK-NEXT: %[[P:.*]] = tessera.pad %arg0 low [0, 1]
  // CHECK-NEXT: tessera.pad %[[P]]
  %2 = tessera.pad %x low [0, 1] high [0, 2] value 0.0 : f32 : tensor<2x3xf32> -> tensor<2x6xf32>
  %3 = tessera.pad %2 low [1, 0] high [0, 0] value 1.0 : f32 : tensor<2x6xf32> -> tensor<3x6xf32>
  return %1, %3 : tensor<4x8xf32>, tensor<3x6xf32>
}

// CHECK-LABEL: @a_slice_of_one_joined_value_cuts_that
func.func @a_slice_of_one_joined_value_cuts_that(%x: tensor<2x3xf32>, %y: tensor<2x7xf32>) -> (tensor<1x3xf32>, tensor<2x3xf32>) {
  // CHECK-NEXT: %[[A:.*]] = tessera.slice %arg1 [1, 0] to [2, 5] by [1, 2] : tensor<2x7xf32> -> tensor<1x3xf32>
  // CHECK-NEXT: return %[[A]], %arg0
  %0 = tessera.concatenate %x, %y dim 1 : (tensor<2x3xf32>, tensor<2x7xf32>) -> tensor<2x10xf32>
  %1 = tessera.slice %0 [1, 3] to [2, 9] by [1, 2] : tensor<2x10xf32> -> tensor<1x3xf32>
  %2 = tessera.slice %0 [0, 0] to [2, 3] by [1, 1] : tensor<2x10xf32> -> tensor<2x3xf32>
  return %1, %2 : tensor<1x3xf32>, tensor<2x3xf32>
}

// CHECK-LABEL: @a_slice_of_two_joined_values_stays
func.func @a_slice_of_two_joined_values_stays(%x: tensor<2x3xf32>, %y: tensor<2x7xf32>) -> tensor<2x2xf32> {
  // CHECK-NEXT: tessera.concatenate
  // CHECK-NEXT: tessera.slice
  %0 = tessera.concatenate %x, %y dim 1 : (tensor<2x3xf32>, tensor<2x7xf32>) -> tensor<2x10xf32>
  %1 = tessera.slice %0 [0, 2] to [2, 4] by [1, 1] : tensor<2x10xf32> -> tensor<2x2xf32>
  return %1 : tensor<2x2xf32>
}

// CHECK-LABEL: @a_slice_without_padding_cuts_what_was_padded
func.func @a_slice_without_padding_cuts_what_was_padded(%x: tensor<3x5xf32>) -> tensor<2x2xf32> {
  // CHECK-NEXT: %[[R:.*]] = tessera.slice %arg0 [1, 0] to [3, 4] by [1, 3] : tensor<3x5xf32> -> tensor<2x2xf32>
  // CHECK-NEXT: return %[[R]]
  %0 = tessera.pad %x low [1, 2] high [1, 0] value 7.0 : f32 : tensor<3x5xf32> -> tensor<5x7xf32>
  %1 = tessera.slice %0 [2, 2] to [4, 7] by [1, 3] : tensor<5x7xf32> -> tensor<2x2xf32>
  return %1 : tensor<2x2xf32>
}

// CHECK-LABEL: @a_slice_of_padding_is_a_splat
func.func @a_slice_of_padding_is_a_splat(%x: tensor<3x5xf32>) -> (tensor<4x2xf32>, tensor<1x5xf32>) {
  // CHECK-DAG: %[[A:.*]] = tessera.constant dense<7.000000e+00> : tensor<4x2xf32>
  // CHECK-DAG: %[[B:.*]] = tessera.constant dense<7.000000e+00> : tensor<1x5xf32>
  // CHECK: return %[[A]], %[[B]]
  %0 = tessera.pad %x low [0, 2] high [1, 0] value 7.0 : f32 : tensor<3x5xf32> -> tensor<4x7xf32>
  %1 = tessera.slice %0 [0, 0] to [4, 2] by [1, 1] : tensor<4x7xf32> -> tensor<4x2xf32>
  %2 = tessera.slice %0 [3, 1] to [4, 6] by [1, 1] : tensor<4x7xf32> -> tensor<1x5xf32>
  return %1, %2 : tensor<4x2xf32>, tensor<1x5xf32>
}

// One column of padding, one element of each row.
// CHECK-LABEL: @a_slice_of_both_stays
func.func @a_slice_of_both_stays(%x: tensor<3x5xf32>) -> tensor<3x2xf32> {
  // CHECK-NEXT: tessera.pad
  // CHECK-NEXT: tessera.slice
  %0 = tessera.pad %x low [0, 2] high [0, 0] value 7.0 : f32 : tensor<3x5xf32> -> tensor<3x7xf32>
  %1 = tessera.slice %0 [0, 1] to [3, 3] by [1, 1] : tensor<3x7xf32> -> tensor<3x2xf32>
  return %1 : tensor<3x2xf32>
}

// CHECK-LABEL: @only_what_is_taken_is_repeated
func.func @only_what_is_taken_is_repeated(%x: tensor<5x1xf32>) -> (tensor<2x3x4xf32>, tensor<1x5x1xf32>) {
  // CHECK-DAG: %[[S:.*]] = tessera.slice %arg0 [1, 0] to [4, 1] by [1, 1] : tensor<5x1xf32> -> tensor<3x1xf32>
  // CHECK-DAG: %[[A:.*]] = tessera.broadcast %[[S]] dims [1, 2] : tensor<3x1xf32> -> tensor<2x3x4xf32>
  // CHECK-DAG: %[[B:.*]] = tessera.broadcast %arg0 dims [1, 2] : tensor<5x1xf32> -> tensor<1x5x1xf32>
  // CHECK: return %[[A]], %[[B]]
  %0 = tessera.broadcast %x dims [1, 2] : tensor<5x1xf32> -> tensor<7x5x9xf32>
  %1 = tessera.slice %0 [3, 1, 1] to [7, 4, 8] by [2, 1, 2] : tensor<7x5x9xf32> -> tensor<2x3x4xf32>
  %2 = tessera.slice %0 [6, 0, 8] to [7, 5, 9] by [1, 1, 1] : tensor<7x5x9xf32> -> tensor<1x5x1xf32>
  return %1, %2 : tensor<2x3x4xf32>, tensor<1x5x1xf32>
}

// CHECK-LABEL: @what_is_repeated_with_a_layout_stays
func.func @what_is_repeated_with_a_layout_stays(%x: !tessera.mesh_tensor<5xf32, @mesh>) -> !tessera.mesh_tensor<2x5xf32, @mesh> {
  // CHECK-NEXT: tessera.broadcast
  // CHECK-NEXT: tessera.slice
  %0 = tessera.broadcast %x dims [1] : !tessera.mesh_tensor<5xf32, @mesh> -> !tessera.mesh_tensor<4x5xf32, @mesh, [{tp}, {}]>
  %1 = tessera.slice %0 [0, 0] to [2, 5] by [1, 1] : !tessera.mesh_tensor<4x5xf32, @mesh, [{tp}, {}]> -> !tessera.mesh_tensor<2x5xf32, @mesh>
  return %1 : !tessera.mesh_tensor<2x5xf32, @mesh>
}

// A transposition is part of the kernel of its neighbours, where a reshape
// would part them.
// CHECK-LABEL: @moving_a_dimension_of_one_element_stays_a_transposition
func.func @moving_a_dimension_of_one_element_stays_a_transposition(%x: tensor<1x3xf32>) -> tensor<3x1xf32> {
  // CHECK-NEXT: tessera.transpose
  %0 = tessera.transpose %x [1, 0] : tensor<1x3xf32> -> tensor<3x1xf32>
  return %0 : tensor<3x1xf32>
}

// CHECK-LABEL: @a_padded_scalar_is_cut_once
func.func @a_padded_scalar_is_cut_once(%x: !tessera.mesh_tensor<f32, @mesh, [], reduced = {tp}>) -> !tessera.mesh_tensor<f32, @mesh, [], reduced = {tp}> {
  // CHECK-NEXT: return %arg0
  %0 = tessera.pad %x low [] high [] value 0.0 : f32 : !tessera.mesh_tensor<f32, @mesh, [], reduced = {tp}> -> !tessera.mesh_tensor<f32, @mesh>
  %1 = tessera.slice %0 [] to [] by [] : !tessera.mesh_tensor<f32, @mesh> -> !tessera.mesh_tensor<f32, @mesh, [], reduced = {tp}>
  return %1 : !tessera.mesh_tensor<f32, @mesh, [], reduced = {tp}>
}
