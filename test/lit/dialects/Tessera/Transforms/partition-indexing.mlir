// RUN: tessera-opt %s -o /dev/null "--tessera-check-equivalence=pipeline=tessera-propagate-layouts,tessera-insert-reshards,tessera-partition runs=3"
// RUN: tessera-opt %s --tessera-propagate-layouts --tessera-insert-reshards --tessera-partition | FileCheck %s

dist.mesh @mesh <[x = 4, y = 2]>

// Both indexed dimensions are split: for what another device holds this one adds
// -0.0, the neutral element, and 0.0 for what none holds.
// CHECK-LABEL: @points_of_a_split_value_are_summed
func.func @points_of_a_split_value_are_summed(
    %t: !tessera.mesh_tensor<7x3xf32, @mesh, [{x}, {y}]>,
    %i: !tessera.mesh_tensor<5xi32, @mesh>, %j: !tessera.mesh_tensor<5xi64, @mesh>) -> !tessera.mesh_tensor<5xf32, @mesh> {
  // CHECK-NOT: dist.all_gather
  // CHECK: %[[ELSEWHERE:.*]] = tessera.or {{.*}} : tensor<5xi1>
  // CHECK: %[[ROWS:.*]] = tessera.gather {{.*}} dims [0, 1] : (tensor<2x2xf32>, tensor<5xi32>, tensor<5xi64>) -> tensor<5xf32>
  // CHECK: %[[NEUTRAL:.*]] = tessera.constant dense<-0.000000e+00>
  // CHECK: %[[TERM:.*]] = tessera.select %[[ELSEWHERE]], %[[NEUTRAL]], %[[ROWS]]
  // CHECK-NEXT: dist.all_reduce sum %[[TERM]]
  %0 = tessera.gather %t [%i, %j] dims [0, 1] : (!tessera.mesh_tensor<7x3xf32, @mesh, [{x}, {y}]>, !tessera.mesh_tensor<5xi32, @mesh>, !tessera.mesh_tensor<5xi64, @mesh>) -> !tessera.mesh_tensor<5xf32, @mesh>
  return %0 : !tessera.mesh_tensor<5xf32, @mesh>
}

// A batch whose dimension is not the first of the indices.
// CHECK-LABEL: @a_lookup_of_a_permuted_batch_is_masked
func.func @a_lookup_of_a_permuted_batch_is_masked(
    %t: !tessera.mesh_tensor<3x7x5xf32, @mesh, [{}, {x}, {}]>,
    %i: !tessera.mesh_tensor<5x2x3xi32, @mesh>) -> !tessera.mesh_tensor<3x2x5xf32, @mesh> {
  // CHECK: %[[ROWS:.*]] = tessera.gather {{.*}} dims [1] batch [0, 2] = [2, 0] : (tensor<3x2x5xf32>, tensor<5x2x3xi32>) -> tensor<3x2x5xf32>
  // CHECK: %[[ELSEWHERE:.*]] = tessera.transpose {{.*}} [2, 1, 0] : tensor<5x2x3xi1> -> tensor<3x2x5xi1>
  // CHECK: tessera.select %[[ELSEWHERE]], {{.*}}, %[[ROWS]]
  %0 = tessera.gather %t [%i] dims [1] batch [0, 2] = [2, 0] : (!tessera.mesh_tensor<3x7x5xf32, @mesh, [{}, {x}, {}]>, !tessera.mesh_tensor<5x2x3xi32, @mesh>) -> !tessera.mesh_tensor<3x2x5xf32, @mesh>
  return %0 : !tessera.mesh_tensor<3x2x5xf32, @mesh>
}

// Integers have one zero.
// CHECK-LABEL: @a_lookup_of_integers_needs_no_mask
func.func @a_lookup_of_integers_needs_no_mask(
    %t: !tessera.mesh_tensor<7xi32, @mesh, [{x}]>, %i: !tessera.mesh_tensor<5xi32, @mesh>) -> !tessera.mesh_tensor<5xi32, @mesh> {
  // CHECK: tessera.gather
  // CHECK-NEXT: dist.all_reduce sum
  %0 = tessera.gather %t [%i] dims [0] : (!tessera.mesh_tensor<7xi32, @mesh, [{x}]>, !tessera.mesh_tensor<5xi32, @mesh>) -> !tessera.mesh_tensor<5xi32, @mesh>
  return %0 : !tessera.mesh_tensor<5xi32, @mesh>
}

// CHECK-LABEL: @a_batch_is_split_on_both_sides
func.func @a_batch_is_split_on_both_sides(
    %t: !tessera.mesh_tensor<5x3x7xf32, @mesh, [{x}, {}, {}]>,
    %i: !tessera.mesh_tensor<5x3x2xi32, @mesh, [{?}, {?}, {?}]>) -> !tessera.mesh_tensor<5x3x2xf32, @mesh, [{x}, {}, {}]> {
  // CHECK-NOT: dist.all_gather
  // CHECK: tessera.gather {{.*}} dims [2] batch [0, 1] = [0, 1] : (tensor<2x3x7xf32>, tensor<2x3x2xi32>) -> tensor<2x3x2xf32>
  // CHECK-NEXT: return
  %0 = tessera.gather %t [%i] dims [2] batch [0, 1] = [0, 1] : (!tessera.mesh_tensor<5x3x7xf32, @mesh, [{x}, {}, {}]>, !tessera.mesh_tensor<5x3x2xi32, @mesh, [{?}, {?}, {?}]>) -> !tessera.mesh_tensor<5x3x2xf32, @mesh, [{x}, {}, {}]>
  return %0 : !tessera.mesh_tensor<5x3x2xf32, @mesh, [{x}, {}, {}]>
}

// CHECK-LABEL: @each_device_updates_what_it_holds
func.func @each_device_updates_what_it_holds(
    %t: !tessera.mesh_tensor<7x3xf32, @mesh, [{x}, {}]>,
    %i: !tessera.mesh_tensor<5xi32, @mesh>, %u: !tessera.mesh_tensor<5x3xf32, @mesh>) -> !tessera.mesh_tensor<7x3xf32, @mesh, [{x}, {}]> {
  // CHECK: dist.local_offset
  // CHECK: tessera.scatter set {{.*}} dims [0] : (tensor<2x3xf32>, tensor<5xi32>, tensor<5x3xf32>) -> tensor<2x3xf32>
  // CHECK-NEXT: return
  %0 = tessera.scatter set %t [%i] = %u dims [0] : (!tessera.mesh_tensor<7x3xf32, @mesh, [{x}, {}]>, !tessera.mesh_tensor<5xi32, @mesh>, !tessera.mesh_tensor<5x3xf32, @mesh>) -> !tessera.mesh_tensor<7x3xf32, @mesh, [{x}, {}]>
  return %0 : !tessera.mesh_tensor<7x3xf32, @mesh, [{x}, {}]>
}

// The input counts on one device of x, and padding adds nothing.
// CHECK-LABEL: @split_updates_add_up
func.func @split_updates_add_up(
    %t: !tessera.mesh_tensor<7x3xf32, @mesh>,
    %i: !tessera.mesh_tensor<5xi32, @mesh, [{x}]>, %u: !tessera.mesh_tensor<5x3xf32, @mesh, [{x}, {}]>) -> !tessera.mesh_tensor<7x3xf32, @mesh> {
  // CHECK: dist.axis_index @mesh {x}
  // CHECK: tessera.constant dense<-0.000000e+00>
  // CHECK: tessera.scatter add {{.*}} : (tensor<7x3xf32>, tensor<2xi32>, tensor<2x3xf32>) -> tensor<7x3xf32>
  // CHECK: dist.all_reduce sum
  %0 = tessera.scatter add %t [%i] = %u dims [0] : (!tessera.mesh_tensor<7x3xf32, @mesh>, !tessera.mesh_tensor<5xi32, @mesh, [{x}]>, !tessera.mesh_tensor<5x3xf32, @mesh, [{x}, {}]>) -> !tessera.mesh_tensor<7x3xf32, @mesh>
  return %0 : !tessera.mesh_tensor<7x3xf32, @mesh>
}

// CHECK-LABEL: @split_updates_take_the_greatest
func.func @split_updates_take_the_greatest(
    %t: !tessera.mesh_tensor<7xi32, @mesh>,
    %i: !tessera.mesh_tensor<5xi64, @mesh, [{x}]>, %u: !tessera.mesh_tensor<5xi32, @mesh, [{x}]>) -> !tessera.mesh_tensor<7xi32, @mesh> {
  // CHECK: tessera.scatter max
  // CHECK: dist.all_reduce max
  %0 = tessera.scatter max %t [%i] = %u dims [0] : (!tessera.mesh_tensor<7xi32, @mesh>, !tessera.mesh_tensor<5xi64, @mesh, [{x}]>, !tessera.mesh_tensor<5xi32, @mesh, [{x}]>) -> !tessera.mesh_tensor<7xi32, @mesh>
  return %0 : !tessera.mesh_tensor<7xi32, @mesh>
}

// CHECK-LABEL: @boxes_keep_splits_of_whole_dimensions
func.func @boxes_keep_splits_of_whole_dimensions(
    %t: !tessera.mesh_tensor<7x5xf32, @mesh, [{}, {y}]>, %u: !tessera.mesh_tensor<2x5xf32, @mesh>,
    %s: !tessera.mesh_tensor<i32, @mesh>) -> (!tessera.mesh_tensor<2x5xf32, @mesh, [{}, {y}]>, !tessera.mesh_tensor<7x5xf32, @mesh, [{}, {y}]>) {
  // CHECK: tessera.dynamic_slice {{.*}} : (tensor<7x3xf32>, tensor<i32>, tensor<i32>) -> tensor<2x3xf32>
  // CHECK: tessera.dynamic_update_slice {{.*}} : (tensor<7x3xf32>, tensor<i32>, tensor<i32>, tensor<2x3xf32>) -> tensor<7x3xf32>
  %0 = tessera.dynamic_slice %t [%s, %s] : (!tessera.mesh_tensor<7x5xf32, @mesh, [{}, {y}]>, !tessera.mesh_tensor<i32, @mesh>, !tessera.mesh_tensor<i32, @mesh>) -> !tessera.mesh_tensor<2x5xf32, @mesh, [{}, {y}]>
  %1 = tessera.dynamic_update_slice %t [%s, %s] = %u : (!tessera.mesh_tensor<7x5xf32, @mesh, [{}, {y}]>, !tessera.mesh_tensor<i32, @mesh>, !tessera.mesh_tensor<i32, @mesh>, !tessera.mesh_tensor<2x5xf32, @mesh>) -> !tessera.mesh_tensor<7x5xf32, @mesh, [{}, {y}]>
  return %0, %1 : !tessera.mesh_tensor<2x5xf32, @mesh, [{}, {y}]>, !tessera.mesh_tensor<7x5xf32, @mesh, [{}, {y}]>
}

// CHECK-LABEL: @a_sorted_dimension_is_gathered
func.func @a_sorted_dimension_is_gathered(%t: !tessera.mesh_tensor<5x7xf32, @mesh, [{x}, {y}]>) -> !tessera.mesh_tensor<5x7xi32, @mesh, [{x}, {}]> {
  // CHECK: dist.all_gather {{.*}} dim 1
  // CHECK: tessera.argsort {{.*}} dim 1 : tensor<2x7xf32> -> tensor<2x7xi32>
  %0 = tessera.argsort %t dim 1 : !tessera.mesh_tensor<5x7xf32, @mesh, [{x}, {y}]> -> !tessera.mesh_tensor<5x7xi32, @mesh, [{x}, {}]>
  return %0 : !tessera.mesh_tensor<5x7xi32, @mesh, [{x}, {}]>
}
