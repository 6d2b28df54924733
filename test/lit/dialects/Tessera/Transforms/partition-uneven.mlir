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
  %0 = tessera.gather %table [%i] dim 0 : !tessera.mesh_tensor<7x3xf32, @mesh, [{x}, {}]>, !tessera.mesh_tensor<2xi32, @mesh> -> !tessera.mesh_tensor<2x3xf32, @mesh>
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
