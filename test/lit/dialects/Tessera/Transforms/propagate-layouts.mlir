// RUN: tessera-opt %s --tessera-propagate-layouts --split-input-file | FileCheck %s
// RUN: tessera-opt %s --split-input-file '--tessera-check-equivalence=pipeline=tessera-propagate-layouts,tessera-insert-reshards,tessera-partition' -o /dev/null

dist.mesh @mesh <[dp = 2, tp = 4]>

// The second weight's rows follow from the first weight's columns.
// CHECK-LABEL: @one_weight_decides_the_other
// CHECK-SAME: %arg2: !tessera.mesh_tensor<20x12xf32, @mesh, [{tp}, {}]>
// CHECK-SAME: tessera.contract{{.*}} ties it to dimension 1 of tessera.tanh
// CHECK-SAME: annotated: dimension 1 of argument 1 is split by 'tp'
// CHECK-SAME: -> (!tessera.mesh_tensor<3x12xf32, @mesh, [{}, {}]> {tessera.unannotated})
func.func @one_weight_decides_the_other(
    %x: !tessera.mesh_tensor<3x12xf32, @mesh>,
    %w1: !tessera.mesh_tensor<12x20xf32, @mesh, [{}, {tp}]>,
    %w2: !tessera.mesh_tensor<20x12xf32, @mesh>) -> !tessera.mesh_tensor<3x12xf32, @mesh> {
  // CHECK: tessera.contract {{.*}} -> !tessera.mesh_tensor<3x20xf32, @mesh, [{}, {tp}]>
  %0 = tessera.contract %x, %w1 "mk,kn->mn" : !tessera.mesh_tensor<3x12xf32, @mesh>, !tessera.mesh_tensor<12x20xf32, @mesh, [{}, {tp}]> -> !tessera.mesh_tensor<3x20xf32, @mesh>
  %1 = tessera.tanh %0 : !tessera.mesh_tensor<3x20xf32, @mesh>
  %2 = tessera.contract %1, %w2 "mk,kn->mn" : !tessera.mesh_tensor<3x20xf32, @mesh>, !tessera.mesh_tensor<20x12xf32, @mesh> -> !tessera.mesh_tensor<3x12xf32, @mesh>
  return %2 : !tessera.mesh_tensor<3x12xf32, @mesh>
}

// CHECK-LABEL: @a_constraint_spreads_both_ways
// CHECK-SAME: %arg0: !tessera.mesh_tensor<8x3xf32, @mesh, [{dp}, {}]>
// CHECK-SAME: -> (!tessera.mesh_tensor<8x3xf32, @mesh, [{dp}, {}]> {tessera.unannotated})
func.func @a_constraint_spreads_both_ways(%x: !tessera.mesh_tensor<8x3xf32, @mesh>) -> !tessera.mesh_tensor<8x3xf32, @mesh> {
  %0 = tessera.constrain %x to <@mesh, [{dp}, {?}]> : !tessera.mesh_tensor<8x3xf32, @mesh> -> !tessera.mesh_tensor<8x3xf32, @mesh>
  %1 = tessera.tanh %0 : !tessera.mesh_tensor<8x3xf32, @mesh>
  return %1 : !tessera.mesh_tensor<8x3xf32, @mesh>
}

// CHECK-LABEL: @no_layout_spreads_over_a_reshard
// CHECK-SAME: %arg0: !tessera.mesh_tensor<8x3xf32, @mesh, [{dp}, {}]>
// CHECK-SAME: -> (!tessera.mesh_tensor<8x3xf32, @mesh, [{tp}, {}]> {tessera.unannotated})
func.func @no_layout_spreads_over_a_reshard(%x: !tessera.mesh_tensor<8x3xf32, @mesh, [{dp, ?}, {?}]>) -> !tessera.mesh_tensor<8x3xf32, @mesh> {
  // CHECK: tessera.reshard %arg0 {{.*}} -> <8x3xf32, @mesh, [{tp}, {}]>
  %0 = tessera.reshard %x : !tessera.mesh_tensor<8x3xf32, @mesh, [{dp, ?}, {?}]> -> !tessera.mesh_tensor<8x3xf32, @mesh, [{tp, ?}, {?}]>
  %1 = tessera.tanh %0 : (!tessera.mesh_tensor<8x3xf32, @mesh, [{tp, ?}, {?}]>) -> !tessera.mesh_tensor<8x3xf32, @mesh>
  return %1 : !tessera.mesh_tensor<8x3xf32, @mesh>
}

// One constant for two users ties nothing together.
// CHECK-LABEL: @a_shared_constant_carries_nothing_over
// CHECK-SAME: %arg1: !tessera.mesh_tensor<8x4xf32, @mesh, [{}, {}]>
func.func @a_shared_constant_carries_nothing_over(
    %x: !tessera.mesh_tensor<8x4xf32, @mesh, [{dp}, {}]>,
    %y: !tessera.mesh_tensor<8x4xf32, @mesh>) -> (!tessera.mesh_tensor<8x4xf32, @mesh>, !tessera.mesh_tensor<8x4xf32, @mesh>) {
  %c = tessera.constant dense<2.0> : tensor<8x4xf32> : !tessera.mesh_tensor<8x4xf32, @mesh>
  %0 = tessera.mul %x, %c : (!tessera.mesh_tensor<8x4xf32, @mesh, [{dp}, {}]>, !tessera.mesh_tensor<8x4xf32, @mesh>) -> !tessera.mesh_tensor<8x4xf32, @mesh>
  %1 = tessera.mul %y, %c : !tessera.mesh_tensor<8x4xf32, @mesh>
  return %0, %1 : !tessera.mesh_tensor<8x4xf32, @mesh>, !tessera.mesh_tensor<8x4xf32, @mesh>
}

// -----

// An axis of one device is used once like any other; the two factors of the
// heads once handed it to each other without end.
dist.mesh @mesh <[x = 2, y = 1]>

// CHECK-LABEL: @axis_of_one_device
// CHECK: return %0 : !tessera.mesh_tensor<2x2x3x4xf32, @mesh, [{}, {}, {y}, {}]>
func.func @axis_of_one_device(%q: !tessera.mesh_tensor<2x2x3x2xf32, @mesh>, %k: !tessera.mesh_tensor<2x2x1x2xf32, @mesh>, %v: !tessera.mesh_tensor<2x2x1x4xf32, @mesh, [{?}, {}, {y, ?}, {}]>, %bias: !tessera.mesh_tensor<2x3x1x2xf32, @mesh, [{?}, {x}, {}, {?}]>) -> !tessera.mesh_tensor<2x2x3x4xf32, @mesh> {
  %0 = tessera.attention %q, %k, %v bias %bias scale 0.5 : !tessera.mesh_tensor<2x2x3x2xf32, @mesh>, !tessera.mesh_tensor<2x2x1x2xf32, @mesh>, !tessera.mesh_tensor<2x2x1x4xf32, @mesh, [{?}, {}, {y, ?}, {}]>, !tessera.mesh_tensor<2x3x1x2xf32, @mesh, [{?}, {x}, {}, {?}]> -> !tessera.mesh_tensor<2x2x3x4xf32, @mesh>
  return %0 : !tessera.mesh_tensor<2x2x3x4xf32, @mesh>
}

// -----

dist.mesh @mesh <[x = 2, y = 3]>

// A sub-axis that spans its axis is that axis: the operands agree.
// CHECK-LABEL: @a_sub_axis_of_all_devices_is_the_axis
// CHECK-SAME: %arg0: !tessera.mesh_tensor<6x5xf32, @mesh, [{x}, {}]>
// CHECK-SAME: -> (!tessera.mesh_tensor<6x5xf32, @mesh, [{x, y}, {}]> {tessera.unannotated})
func.func @a_sub_axis_of_all_devices_is_the_axis(
    %x: !tessera.mesh_tensor<6x5xf32, @mesh, [{x:(1)2}, {}]>,
    %y: !tessera.mesh_tensor<6x5xf32, @mesh, [{x, y}, {}]>) -> !tessera.mesh_tensor<6x5xf32, @mesh> {
  // CHECK: tessera.add {{.*}} -> !tessera.mesh_tensor<6x5xf32, @mesh, [{x, y}, {}]>
  %0 = tessera.add %x, %y : (!tessera.mesh_tensor<6x5xf32, @mesh, [{x:(1)2}, {}]>, !tessera.mesh_tensor<6x5xf32, @mesh, [{x, y}, {}]>) -> !tessera.mesh_tensor<6x5xf32, @mesh>
  return %0 : !tessera.mesh_tensor<6x5xf32, @mesh>
}
