// RUN: tessera-opt %s -o /dev/null "--tessera-check-equivalence=pipeline=tessera-propagate-layouts,tessera-insert-reshards,tessera-partition runs=3"
// RUN: tessera-opt %s --tessera-propagate-layouts --tessera-insert-reshards --tessera-partition | FileCheck %s

// Padding is NaN in the interpreter: any that reached an element would show.

dist.mesh @mesh <[x = 4, y = 2]>

// CHECK-LABEL: @a_product_over_an_uneven_split_masks_both_operands
func.func @a_product_over_an_uneven_split_masks_both_operands(
    %x: !tessera.mesh_tensor<2x5xf32, @mesh, [{}, {x}]>,
    %w: !tessera.mesh_tensor<5x3xf32, @mesh>) -> !tessera.mesh_tensor<2x3xf32, @mesh> {
  // CHECK-COUNT-2: tessera.select
  // CHECK: tessera.contract
  %0 = tessera.contract %x, %w "mk,kn->mn" : !tessera.mesh_tensor<2x5xf32, @mesh, [{}, {x}]>, !tessera.mesh_tensor<5x3xf32, @mesh> -> !tessera.mesh_tensor<2x3xf32, @mesh>
  return %0 : !tessera.mesh_tensor<2x3xf32, @mesh>
}

// CHECK-LABEL: @a_maximum_over_an_uneven_split_masks_with_minus_infinity
func.func @a_maximum_over_an_uneven_split_masks_with_minus_infinity(%x: !tessera.mesh_tensor<2x5xf32, @mesh, [{}, {x}]>) -> !tessera.mesh_tensor<2xf32, @mesh> {
  // CHECK: dense<0xFF800000>
  // CHECK: dist.all_reduce max
  %0 = tessera.reduce max %x dims [1] : !tessera.mesh_tensor<2x5xf32, @mesh, [{}, {x}]> -> !tessera.mesh_tensor<2xf32, @mesh>
  return %0 : !tessera.mesh_tensor<2xf32, @mesh>
}

// CHECK-LABEL: @a_lookup_in_split_rows_is_a_sum
func.func @a_lookup_in_split_rows_is_a_sum(
    %table: !tessera.mesh_tensor<7x3xf32, @mesh, [{x}, {}]>,
    %i: !tessera.mesh_tensor<2xi32, @mesh>) -> !tessera.mesh_tensor<2x3xf32, @mesh> {
  // CHECK: dist.local_offset
  // CHECK: tessera.gather
  // CHECK: dist.all_reduce sum
  %0 = tessera.gather %table [%i] dims [0] : (!tessera.mesh_tensor<7x3xf32, @mesh, [{x}, {}]>, !tessera.mesh_tensor<2xi32, @mesh>) -> !tessera.mesh_tensor<2x3xf32, @mesh>
  return %0 : !tessera.mesh_tensor<2x3xf32, @mesh>
}

// Two elements cut in four lie on devices 0 and 1 of x; cut in two and in two
// again on 0 and 2. So the axis is gathered before it is seen in parts.
// CHECK-LABEL: @an_uneven_axis_is_not_its_two_halves
func.func @an_uneven_axis_is_not_its_two_halves(%a: !tessera.mesh_tensor<2xf32, @mesh, [{x}]>) -> !tessera.mesh_tensor<2xf32, @mesh> {
  // CHECK: dist.all_gather %arg0 dim 0 over @mesh {x}
  // CHECK: dist.all_slice {{.*}} over @mesh {x:(1)2}
  %0 = tessera.constrain %a to <@mesh, [{x:(1)2}]> : !tessera.mesh_tensor<2xf32, @mesh, [{x}]> -> !tessera.mesh_tensor<2xf32, @mesh>
  return %0 : !tessera.mesh_tensor<2xf32, @mesh>
}

// The numbers are those of the logical indices, wherever a part begins.
// CHECK-LABEL: @numbers_by_index_know_where_their_part_begins
func.func @numbers_by_index_know_where_their_part_begins() -> (!tessera.mesh_tensor<7x3xf32, @mesh>, !tessera.mesh_tensor<7x3xf32, @mesh>) {
  // CHECK-DAG: tessera.iota dim 0 offset
  // CHECK-DAG: tessera.rng uniform {{.*}} offsets
  %0 = tessera.iota dim 0 : !tessera.mesh_tensor<7x3xf32, @mesh>
  %1 = tessera.constrain %0 to <@mesh, [{x}, {y}]> : !tessera.mesh_tensor<7x3xf32, @mesh> -> !tessera.mesh_tensor<7x3xf32, @mesh>
  %key = tessera.constant dense<[7, 9]> : tensor<2xi32> : !tessera.mesh_tensor<2xi32, @mesh>
  %2 = tessera.rng uniform %key [7, 3] : !tessera.mesh_tensor<2xi32, @mesh> -> !tessera.mesh_tensor<7x3xf32, @mesh>
  %3 = tessera.constrain %2 to <@mesh, [{x}, {y}]> : !tessera.mesh_tensor<7x3xf32, @mesh> -> !tessera.mesh_tensor<7x3xf32, @mesh>
  return %1, %3 : !tessera.mesh_tensor<7x3xf32, @mesh>, !tessera.mesh_tensor<7x3xf32, @mesh>
}

// A device has the keys of its part of the batch.
// CHECK-LABEL: @keys_are_split_as_what_they_give
func.func @keys_are_split_as_what_they_give(%keys: !tessera.mesh_tensor<7x2xi32, @mesh, [{x}, {}]>) -> !tessera.mesh_tensor<7x3x5xf32, @mesh, [{x}, {}, {y}]> {
  // CHECK: tessera.rng normal %arg0 [7, 3, 5] offsets {{.*}} : tensor<2x2xi32> -> tensor<2x3x3xf32>
  // CHECK-NEXT: return
  %0 = tessera.rng normal %keys [7, 3, 5] : !tessera.mesh_tensor<7x2xi32, @mesh, [{x}, {}]> -> !tessera.mesh_tensor<7x3x5xf32, @mesh, [{x}, {}, {y}]>
  return %0 : !tessera.mesh_tensor<7x3x5xf32, @mesh, [{x}, {}, {y}]>
}

// CHECK-LABEL: @each_reduction_is_masked_with_its_neutral_element
func.func @each_reduction_is_masked_with_its_neutral_element(
    %x: !tessera.mesh_tensor<5xf32, @mesh, [{x}]>,
    %i: !tessera.mesh_tensor<5xi32, @mesh, [{x}]>,
    %u: !tessera.mesh_tensor<5xui32, @mesh, [{x}]>) -> (!tessera.mesh_tensor<f32, @mesh>, !tessera.mesh_tensor<i32, @mesh>, !tessera.mesh_tensor<i32, @mesh>, !tessera.mesh_tensor<ui32, @mesh>, !tessera.mesh_tensor<i32, @mesh>) {
  // CHECK: dense<1.000000e+00>
  // CHECK: tessera.reduce prod
  %0 = tessera.reduce prod %x dims [0] : !tessera.mesh_tensor<5xf32, @mesh, [{x}]> -> !tessera.mesh_tensor<f32, @mesh>
  // CHECK: dense<-2147483648>
  // CHECK: tessera.reduce max
  %1 = tessera.reduce max %i dims [0] : !tessera.mesh_tensor<5xi32, @mesh, [{x}]> -> !tessera.mesh_tensor<i32, @mesh>
  // CHECK: dense<2147483647>
  // CHECK: tessera.reduce min
  %2 = tessera.reduce min %i dims [0] : !tessera.mesh_tensor<5xi32, @mesh, [{x}]> -> !tessera.mesh_tensor<i32, @mesh>
  // CHECK: dense<4294967295>
  // CHECK: tessera.reduce min
  %3 = tessera.reduce min %u dims [0] : !tessera.mesh_tensor<5xui32, @mesh, [{x}]> -> !tessera.mesh_tensor<ui32, @mesh>
  // CHECK: dense<1>
  // CHECK: tessera.reduce prod
  %4 = tessera.reduce prod %i dims [0] : !tessera.mesh_tensor<5xi32, @mesh, [{x}]> -> !tessera.mesh_tensor<i32, @mesh>
  return %0, %1, %2, %3, %4 : !tessera.mesh_tensor<f32, @mesh>, !tessera.mesh_tensor<i32, @mesh>, !tessera.mesh_tensor<i32, @mesh>, !tessera.mesh_tensor<ui32, @mesh>, !tessera.mesh_tensor<i32, @mesh>
}

// CHECK-LABEL: @a_constant_of_unlike_elements_is_cut_axis_by_axis
func.func @a_constant_of_unlike_elements_is_cut_axis_by_axis() -> !tessera.mesh_tensor<5x3xi32, @mesh, [{x}, {y}]> {
  // CHECK: %[[C:.*]] = tessera.constant {{.*}} : tensor<5x3xi32>
  // CHECK: %[[X:.*]] = dist.all_slice %[[C]] dim 0 over @mesh {x} : tensor<5x3xi32> -> tensor<2x3xi32>
  // CHECK: dist.all_slice %[[X]] dim 1 over @mesh {y} : tensor<2x3xi32> -> tensor<2x2xi32>
  %0 = tessera.constant dense<[[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12], [13, 14, 15]]> : tensor<5x3xi32> : !tessera.mesh_tensor<5x3xi32, @mesh, [{x}, {y}]>
  return %0 : !tessera.mesh_tensor<5x3xi32, @mesh, [{x}, {y}]>
}

// CHECK-LABEL: @a_split_splat_is_made_small
func.func @a_split_splat_is_made_small() -> !tessera.mesh_tensor<5x3xi32, @mesh, [{x}, {y}]> {
  // CHECK-NEXT: %[[C:.*]] = tessera.constant dense<7> : tensor<2x2xi32> : tensor<2x2xi32>
  // CHECK: return %[[C]]
  %0 = tessera.constant dense<7> : tensor<5x3xi32> : !tessera.mesh_tensor<5x3xi32, @mesh, [{x}, {y}]>
  return %0 : !tessera.mesh_tensor<5x3xi32, @mesh, [{x}, {y}]>
}

// CHECK-LABEL: @a_slice_takes_all_of_its_part_of_a_split_dimension
func.func @a_slice_takes_all_of_its_part_of_a_split_dimension(%x: !tessera.mesh_tensor<5x7xf32, @mesh, [{x}, {}]>) -> !tessera.mesh_tensor<5x2xf32, @mesh> {
  // CHECK: tessera.slice %arg0 [0, 1] to [2, 5] by [1, 2] : tensor<2x7xf32> -> tensor<2x2xf32>
  %0 = tessera.slice %x [0, 1] to [5, 5] by [1, 2] : !tessera.mesh_tensor<5x7xf32, @mesh, [{x}, {}]> -> !tessera.mesh_tensor<5x2xf32, @mesh>
  return %0 : !tessera.mesh_tensor<5x2xf32, @mesh>
}

// CHECK-LABEL: @wide_indices_look_up_in_split_rows
func.func @wide_indices_look_up_in_split_rows(
    %table: !tessera.mesh_tensor<7x3xf32, @mesh, [{x}, {}]>,
    %i: !tessera.mesh_tensor<2xi64, @mesh>) -> !tessera.mesh_tensor<2x3xf32, @mesh> {
  // CHECK: tessera.convert {{.*}} : tensor<i32> -> tensor<i64>
  // CHECK: tessera.gather
  %0 = tessera.gather %table [%i] dims [0] : (!tessera.mesh_tensor<7x3xf32, @mesh, [{x}, {}]>, !tessera.mesh_tensor<2xi64, @mesh>) -> !tessera.mesh_tensor<2x3xf32, @mesh>
  return %0 : !tessera.mesh_tensor<2x3xf32, @mesh>
}
