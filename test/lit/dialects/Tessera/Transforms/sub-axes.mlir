// RUN: tessera-opt %s -o /dev/null "--tessera-check-equivalence=pipeline=tessera-propagate-layouts,tessera-insert-reshards,tessera-partition runs=3"
// RUN: tessera-opt %s --tessera-propagate-layouts --tessera-insert-reshards --tessera-partition | FileCheck %s

// Parts of an axis, on sizes that they do not divide and in numberings that do
// not fit together: docs/decisions/0005-uneven-sizes.md.

dist.mesh @mesh <[x = 6]>

// Halves of six devices and their last digit in threes of two are digits of no
// common numbering: no op may use both.
// CHECK-LABEL: @unlike_numberings_never_meet_in_one_op
func.func @unlike_numberings_never_meet_in_one_op(
    %a: !tessera.mesh_tensor<5x4xf32, @mesh, [{x:(1)2}, {?}]>,
    %b: !tessera.mesh_tensor<5x4xf32, @mesh, [{?}, {x:(3)2, x:(1)3}]>) -> !tessera.mesh_tensor<5x4xf32, @mesh> {
  // CHECK-COUNT-2: dist.all_gather
  // CHECK-NEXT: dist.all_slice {{.*}} over @mesh {x:(1)2}
  // CHECK-NEXT: tessera.mul {{.*}} : tensor<3x4xf32>
  %0 = tessera.mul %a, %b : (!tessera.mesh_tensor<5x4xf32, @mesh, [{x:(1)2}, {?}]>, !tessera.mesh_tensor<5x4xf32, @mesh, [{?}, {x:(3)2, x:(1)3}]>) -> !tessera.mesh_tensor<5x4xf32, @mesh>
  return %0 : !tessera.mesh_tensor<5x4xf32, @mesh>
}

// CHECK-LABEL: @an_axis_in_thirds_is_gathered_before_it_is_halved
func.func @an_axis_in_thirds_is_gathered_before_it_is_halved(%a: !tessera.mesh_tensor<12xf32, @mesh, [{x:(1)3}]>) -> !tessera.mesh_tensor<12xf32, @mesh> {
  // CHECK: dist.all_gather %arg0 dim 0 over @mesh {x:(1)3}
  // CHECK-NEXT: dist.all_slice {{.*}} over @mesh {x:(1)2}
  %0 = tessera.constrain %a to <@mesh, [{x:(1)2}]> : !tessera.mesh_tensor<12xf32, @mesh, [{x:(1)3}]> -> !tessera.mesh_tensor<12xf32, @mesh>
  return %0 : !tessera.mesh_tensor<12xf32, @mesh>
}

// Both factors are partial along the whole axis, the one by its name, the other
// by those of its digits: they are reduced before they are multiplied.
// CHECK-LABEL: @a_product_of_two_sums_over_one_axis_reduces_both
func.func @a_product_of_two_sums_over_one_axis_reduces_both(
    %a: !tessera.mesh_tensor<7xf32, @mesh, [{x:(1)3, x:(3)2}]>,
    %b: !tessera.mesh_tensor<7xf32, @mesh, [{x}]>) -> !tessera.mesh_tensor<f32, @mesh> {
  // CHECK-DAG: dist.all_reduce sum {{.*}} over @mesh {x}
  // CHECK-DAG: dist.all_reduce sum {{.*}} over @mesh {x}
  // CHECK: tessera.mul
  %0 = tessera.reduce sum %a dims [0] : !tessera.mesh_tensor<7xf32, @mesh, [{x:(1)3, x:(3)2}]> -> !tessera.mesh_tensor<f32, @mesh>
  %1 = tessera.reduce sum %b dims [0] : !tessera.mesh_tensor<7xf32, @mesh, [{x}]> -> !tessera.mesh_tensor<f32, @mesh>
  %2 = tessera.mul %0, %1 : (!tessera.mesh_tensor<f32, @mesh>, !tessera.mesh_tensor<f32, @mesh>) -> !tessera.mesh_tensor<f32, @mesh>
  return %2 : !tessera.mesh_tensor<f32, @mesh>
}

// Only the digits change that the layouts do not share: where sizes divide, an
// axis is its two parts and nothing moves.
// CHECK-LABEL: @an_even_axis_is_its_parts
func.func @an_even_axis_is_its_parts(%a: !tessera.mesh_tensor<12xf32, @mesh, [{x}]>) -> !tessera.mesh_tensor<12xf32, @mesh> {
  // CHECK-NEXT: return %arg0
  %0 = tessera.constrain %a to <@mesh, [{x:(1)2, x:(2)3}]> : !tessera.mesh_tensor<12xf32, @mesh, [{x}]> -> !tessera.mesh_tensor<12xf32, @mesh>
  return %0 : !tessera.mesh_tensor<12xf32, @mesh>
}
