// RUN: tessera-opt %s --tessera-propagate-layouts --tessera-insert-reshards --tessera-partition | FileCheck %s
// RUN: tessera-opt %s '--tessera-check-equivalence=pipeline=tessera-propagate-layouts,tessera-insert-reshards,tessera-partition runs=3' -o /dev/null

// A varying value is a replicated one, of which only the cotangent is not. So
// much for values, which are all that a partitioned program computes.

dist.mesh @mesh <[dp = 2, tp = 3]>
!split = !tessera.mesh_tensor<6x5xf32, @mesh, [{tp}, {}]>
!terms = !tessera.mesh_tensor<6x5xf32, @mesh, [{}, {}], partial = sum{tp}>
!whole = !tessera.mesh_tensor<6x5xf32, @mesh, [{}, {}]>
!varying = !tessera.mesh_tensor<6x5xf32, @mesh, [{}, {}], varying = {tp}>

// CHECK-LABEL: @the_mark_comes_and_goes_without_communication
// CHECK-SAME: %arg0: tensor<6x5xf32> {{[^%]*}}varying = {tp}
// CHECK-SAME: %arg1: tensor<6x5xf32>
// CHECK-SAME: -> (tensor<6x5xf32> {{[^-]*}}[{}, {}]>}, tensor<6x5xf32> {{[^-]*}}varying = {tp}
func.func @the_mark_comes_and_goes_without_communication(%x: !varying, %y: !whole) -> (!whole, !varying) {
  // CHECK-NEXT: return %arg0, %arg1
  %0 = tessera.reshard %x : !varying -> !whole
  %1 = tessera.reshard %y : !whole -> !varying
  return %0, %1 : !whole, !varying
}

// CHECK-LABEL: @every_device_cuts_a_varying_value
func.func @every_device_cuts_a_varying_value(%x: !varying) -> !split {
  // CHECK-NEXT: %[[R:.*]] = dist.all_slice %arg0 dim 0 over @mesh {tp}
  // CHECK-NEXT: return %[[R]]
  %0 = tessera.reshard %x : !varying -> !split
  return %0 : !split
}

// CHECK-LABEL: @a_varying_value_is_gathered_or_reduced
func.func @a_varying_value_is_gathered_or_reduced(%x: !split, %y: !terms) -> (!varying, !varying) {
  // CHECK-DAG: %[[G:.*]] = dist.all_gather %arg0 dim 0 over @mesh {tp}
  // CHECK-DAG: %[[R:.*]] = dist.all_reduce sum %arg1 over @mesh {tp}
  // CHECK: return %[[G]], %[[R]]
  %0 = tessera.reshard %x : !split -> !varying
  %1 = tessera.reshard %y : !terms -> !varying
  return %0, %1 : !varying, !varying
}

// Open dimensions of the value take no axis along which it varies.
// CHECK-LABEL: @ops_use_a_varying_value_as_a_whole_one
func.func @ops_use_a_varying_value_as_a_whole_one(
    %x: !tessera.mesh_tensor<6x5xf32, @mesh, [{?}, {?}], varying = {tp}>, %y: !split) -> !tessera.mesh_tensor<6x5xf32, @mesh> {
  // CHECK-NEXT: %[[X:.*]] = dist.all_slice %arg0 dim 0 over @mesh {tp}
  // CHECK-NEXT: %[[R:.*]] = tessera.add %[[X]], %arg1 : tensor<2x5xf32>
  // CHECK-NEXT: return %[[R]]
  %0 = tessera.add %x, %y : (!tessera.mesh_tensor<6x5xf32, @mesh, [{?}, {?}], varying = {tp}>, !split) -> !tessera.mesh_tensor<6x5xf32, @mesh>
  return %0 : !tessera.mesh_tensor<6x5xf32, @mesh>
}

// A constraint may ask for the mark; ops do not pass it on.
// CHECK-LABEL: @what_an_op_makes_of_a_varying_value_does_not_vary
// CHECK-SAME: -> (tensor<6x5xf32> {{[^-]*}}[{}, {}]>})
func.func @what_an_op_makes_of_a_varying_value_does_not_vary(%x: !split) -> !tessera.mesh_tensor<6x5xf32, @mesh> {
  // CHECK-NEXT: %[[X:.*]] = dist.all_gather %arg0 dim 0 over @mesh {tp}
  // CHECK-NEXT: %[[R:.*]] = tessera.tanh %[[X]]
  // CHECK-NEXT: return %[[R]]
  %0 = tessera.constrain %x to <@mesh, [{}, {}], varying = {tp}> : !split -> !tessera.mesh_tensor<6x5xf32, @mesh>
  %1 = tessera.tanh %0 : !tessera.mesh_tensor<6x5xf32, @mesh>
  return %1 : !tessera.mesh_tensor<6x5xf32, @mesh>
}
