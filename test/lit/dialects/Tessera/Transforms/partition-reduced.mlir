// RUN: tessera-opt %s --tessera-propagate-layouts --tessera-insert-reshards --tessera-partition | FileCheck %s
// RUN: tessera-opt %s '--tessera-check-equivalence=pipeline=tessera-propagate-layouts,tessera-insert-reshards,tessera-partition runs=3' -o /dev/null

// A reduced value is replicated; only its cotangent is partial. A partitioned
// program computes values, so the state has no effect there.

dist.mesh @mesh <[dp = 2, tp = 3]>
!split = !tessera.mesh_tensor<6x5xf32, @mesh, [{tp}, {}]>
!terms = !tessera.mesh_tensor<6x5xf32, @mesh, [{}, {}], partial = sum{tp}>
!whole = !tessera.mesh_tensor<6x5xf32, @mesh, [{}, {}]>
!reduced = !tessera.mesh_tensor<6x5xf32, @mesh, [{}, {}], reduced = {tp}>

// CHECK-LABEL: @the_mark_comes_and_goes_without_communication
// CHECK-SAME: %arg0: tensor<6x5xf32> {{[^%]*}}reduced = {tp}
// CHECK-SAME: %arg1: tensor<6x5xf32>
// CHECK-SAME: -> (tensor<6x5xf32> {{[^-]*}}[{}, {}]>}, tensor<6x5xf32> {{[^-]*}}reduced = {tp}
func.func @the_mark_comes_and_goes_without_communication(%x: !reduced, %y: !whole) -> (!whole, !reduced) {
  // CHECK-NEXT: return %arg0, %arg1
  %0 = tessera.reshard %x : !reduced -> !whole
  %1 = tessera.reshard %y : !whole -> !reduced
  return %0, %1 : !whole, !reduced
}

// CHECK-LABEL: @every_device_cuts_a_reduced_value
func.func @every_device_cuts_a_reduced_value(%x: !reduced) -> !split {
  // CHECK-NEXT: %[[R:.*]] = dist.all_slice %arg0 dim 0 over @mesh {tp}
  // CHECK-NEXT: return %[[R]]
  %0 = tessera.reshard %x : !reduced -> !split
  return %0 : !split
}

// CHECK-LABEL: @a_split_or_partial_value_becomes_reduced
func.func @a_split_or_partial_value_becomes_reduced(%x: !split, %y: !terms) -> (!reduced, !reduced) {
  // CHECK-DAG: %[[G:.*]] = dist.all_gather %arg0 dim 0 over @mesh {tp}
  // CHECK-DAG: %[[R:.*]] = dist.all_reduce sum %arg1 over @mesh {tp}
  // CHECK: return %[[G]], %[[R]]
  %0 = tessera.reshard %x : !split -> !reduced
  %1 = tessera.reshard %y : !terms -> !reduced
  return %0, %1 : !reduced, !reduced
}

// Open dimensions of the value do not take an axis along which it is reduced.
// CHECK-LABEL: @ops_use_a_reduced_value_as_a_whole_one
func.func @ops_use_a_reduced_value_as_a_whole_one(
    %x: !tessera.mesh_tensor<6x5xf32, @mesh, [{?}, {?}], reduced = {tp}>, %y: !split) -> !tessera.mesh_tensor<6x5xf32, @mesh> {
  // CHECK-NEXT: %[[X:.*]] = dist.all_slice %arg0 dim 0 over @mesh {tp}
  // CHECK-NEXT: %[[R:.*]] = tessera.add %[[X]], %arg1 : tensor<2x5xf32>
  // CHECK-NEXT: return %[[R]]
  %0 = tessera.add %x, %y : (!tessera.mesh_tensor<6x5xf32, @mesh, [{?}, {?}], reduced = {tp}>, !split) -> !tessera.mesh_tensor<6x5xf32, @mesh>
  return %0 : !tessera.mesh_tensor<6x5xf32, @mesh>
}

// A constraint may ask for the mark; ops do not pass it on.
// CHECK-LABEL: @the_result_of_an_op_is_not_reduced
// CHECK-SAME: -> (tensor<6x5xf32> {{[^-]*}}[{}, {}]>})
func.func @the_result_of_an_op_is_not_reduced(%x: !split) -> !tessera.mesh_tensor<6x5xf32, @mesh> {
  // CHECK-NEXT: %[[X:.*]] = dist.all_gather %arg0 dim 0 over @mesh {tp}
  // CHECK-NEXT: %[[R:.*]] = tessera.tanh %[[X]]
  // CHECK-NEXT: return %[[R]]
  %0 = tessera.constrain %x to <@mesh, [{}, {}], reduced = {tp}> : !split -> !tessera.mesh_tensor<6x5xf32, @mesh>
  %1 = tessera.tanh %0 : !tessera.mesh_tensor<6x5xf32, @mesh>
  return %1 : !tessera.mesh_tensor<6x5xf32, @mesh>
}
