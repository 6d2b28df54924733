// RUN: tessera-opt %s --pass-pipeline='builtin.module(tessera-verify-program,tessera-propagate-layouts,tessera-insert-reshards,tessera-verify-stage{stage=reshards},tessera-partition)' | FileCheck %s
// RUN: tessera-opt %s '--tessera-check-equivalence=pipeline=tessera-propagate-layouts,tessera-insert-reshards,tessera-partition runs=3' -o /dev/null

dist.mesh @mesh <[dp = 2, tp = 3]>
!split = !tessera.mesh_tensor<6x5xf32, @mesh, [{tp}, {}]>
!terms = !tessera.mesh_tensor<6x5xf32, @mesh, [{}, {}], partial = sum{tp}>
!whole = !tessera.mesh_tensor<6x5xf32, @mesh, [{}, {}]>
!open = !tessera.mesh_tensor<6x5xf32, @mesh>
!varying = !tessera.mesh_tensor<6x5xf32, @mesh, [{?}, {?}], varying = {tp}>
!closed = !tessera.mesh_tensor<6x5xf32, @mesh, [{}, {}], varying = {tp}>

// CHECK-LABEL: @every_device_keeps_its_copy
func.func @every_device_keeps_its_copy(%x: !whole, %y: !split, %z: !terms) -> (!closed, !closed, !closed) {
  // CHECK-DAG: %[[G:.*]] = dist.all_gather %arg1 dim 0 over @mesh {tp}
  // CHECK-DAG: %[[R:.*]] = dist.all_reduce sum %arg2 over @mesh {tp}
  // CHECK: return %arg0, %[[G]], %[[R]]
  %0 = tessera.reshard %x : !whole -> !closed
  %1 = tessera.reshard %y : !split -> !closed
  %2 = tessera.reshard %z : !terms -> !closed
  return %0, %1, %2 : !closed, !closed, !closed
}

// The other operand is gathered along the axis, and split along another.
// CHECK-LABEL: @an_op_computes_on_each_devices_own_value
// CHECK-SAME: -> (tensor<3x5xf32> {{.*}}[{dp}, {}], varying = {tp}>
func.func @an_op_computes_on_each_devices_own_value(%x: !tessera.mesh_tensor<6x5xf32, @mesh, [{dp}, {}], varying = {tp}>,
    %y: !tessera.mesh_tensor<6x5xf32, @mesh, [{dp, tp}, {}]>) -> !tessera.mesh_tensor<6x5xf32, @mesh, [{dp}, {}], varying = {tp}> {
  // CHECK-NEXT: %[[Y:.*]] = dist.all_gather %arg1 dim 0 over @mesh {tp}
  // CHECK-NEXT: %[[R:.*]] = tessera.add %arg0, %[[Y]] : tensor<3x5xf32>
  // CHECK-NEXT: return %[[R]]
  %0 = tessera.add %x, %y : (!tessera.mesh_tensor<6x5xf32, @mesh, [{dp}, {}], varying = {tp}>, !tessera.mesh_tensor<6x5xf32, @mesh, [{dp, tp}, {}]>) -> !tessera.mesh_tensor<6x5xf32, @mesh, [{dp}, {}], varying = {tp}>
  return %0 : !tessera.mesh_tensor<6x5xf32, @mesh, [{dp}, {}], varying = {tp}>
}

// Terms are combined before they meet a value that differs by device.
// CHECK-LABEL: @terms_are_reduced_before_they_meet_a_varying_value
func.func @terms_are_reduced_before_they_meet_a_varying_value(%x: !closed, %z: !terms) -> !closed {
  // CHECK-NEXT: %[[Z:.*]] = dist.all_reduce sum %arg1 over @mesh {tp}
  // CHECK-NEXT: tessera.mul %arg0, %[[Z]]
  %0 = tessera.mul %x, %z : (!closed, !terms) -> !closed
  return %0 : !closed
}

// An unannotated result keeps the state of what computes it.
// CHECK-LABEL: @the_state_reaches_the_function_result
// CHECK-SAME: varying = {tp}>
func.func @the_state_reaches_the_function_result(%x: !varying) -> !varying {
  // CHECK-NEXT: tessera.tanh
  // CHECK-NEXT: return
  %0 = tessera.tanh %x : !varying
  return %0 : !varying
}

// CHECK-LABEL: @a_loop_carries_a_varying_value
func.func @a_loop_carries_a_varying_value(%x: !whole) -> !varying {
  // CHECK: tessera.scan (%arg0)
  // CHECK-NOT: = dist.
  // CHECK: return
  %0 = tessera.reshard %x : !whole -> !closed
  %r = tessera.scan (%0) over () length 3 : (!closed) over () -> (!varying) {
  ^bb0(%i: !tessera.mesh_tensor<i32, @mesh>, %c: !varying):
    %1 = tessera.tanh %c : !varying
    tessera.yield %1 : !varying
  }
  return %r : !varying
}
