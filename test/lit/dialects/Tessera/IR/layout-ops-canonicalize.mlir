// RUN: tessera-opt %s --canonicalize | FileCheck %s
// RUN: sed '/^\/\/ Not to be partitioned/,$d' %s | tessera-opt '--tessera-check-equivalence=pipeline=canonicalize,tessera-insert-reshards,tessera-partition runs=3' -o /dev/null

dist.mesh @mesh <[dp = 2, tp = 3]>
!split = !tessera.mesh_tensor<6x3xf32, @mesh, [{tp}, {}]>
!whole = !tessera.mesh_tensor<6x3xf32, @mesh, [{}, {}]>
!other = !tessera.mesh_tensor<6x3xf32, @mesh, [{}, {tp}]>
!terms = !tessera.mesh_tensor<6x3xf32, @mesh, [{}, {}], partial = sum{dp}>

// CHECK-LABEL: @resharding_to_the_same_layout_does_nothing
func.func @resharding_to_the_same_layout_does_nothing(%x: !split) -> !split {
  // CHECK-NEXT: return %arg0
  %0 = tessera.reshard %x : !split -> !split
  return %0 : !split
}

// CHECK-LABEL: @a_reshard_goes_the_direct_way
func.func @a_reshard_goes_the_direct_way(%x: !split) -> !other {
  // CHECK-NEXT: tessera.reshard %arg0 : <6x3xf32, @mesh, [{tp}, {}]> -> <6x3xf32, @mesh, [{}, {tp}]>
  // CHECK-NEXT: return
  %0 = tessera.reshard %x : !split -> !whole
  %1 = tessera.reshard %0 : !whole -> !other
  return %1 : !other
}

// CHECK-LABEL: @there_and_back_is_the_value
func.func @there_and_back_is_the_value(%x: !split) -> !split {
  // CHECK-NEXT: return %arg0
  %0 = tessera.reshard %x : !split -> !whole
  %1 = tessera.reshard %0 : !whole -> !split
  return %1 : !split
}

// CHECK-LABEL: @constants_are_made_where_they_are_used
func.func @constants_are_made_where_they_are_used() -> !split {
  // CHECK-NEXT: %[[C:.*]] = tessera.constant dense<1.000000e+00> : tensor<6x3xf32> : !tessera.mesh_tensor<6x3xf32, @mesh, [{tp}, {}]>
  // CHECK-NEXT: return %[[C]]
  %0 = tessera.constant dense<1.0> : tensor<6x3xf32> : !whole
  %1 = tessera.reshard %0 : !whole -> !split
  return %1 : !split
}

// CHECK-LABEL: @a_constraint_stays
func.func @a_constraint_stays(%x: !split) -> !split {
  // CHECK-NEXT: tessera.constrain %arg0 to <@mesh, [{tp}, {}]>
  %0 = tessera.constrain %x to <@mesh, [{tp}, {}]> : !split -> !split
  return %0 : !split
}

// CHECK-LABEL: @a_constraint_that_is_repeated_stays_once
func.func @a_constraint_that_is_repeated_stays_once(%x: !whole) -> (!split, !split) {
  // CHECK-NEXT: %[[C:.*]] = tessera.constrain %arg0 to <@mesh, [{tp}, {}]>
  // CHECK-NEXT: %[[D:.*]] = tessera.constrain %[[C]] to <@mesh, [{dp}, {}]>
  // CHECK-NEXT: return %[[C]], %[[D]]
  %0 = tessera.constrain %x to <@mesh, [{tp}, {}]> : !whole -> !split
  %1 = tessera.constrain %0 to <@mesh, [{tp}, {}]> : !split -> !split
  %2 = tessera.constrain %1 to <@mesh, [{dp}, {}]> : !split -> !split
  return %1, %2 : !split, !split
}

// Not to be partitioned: no collective takes a whole value apart into terms.
// CHECK-LABEL: @a_constant_holds_no_terms
func.func @a_constant_holds_no_terms() -> !terms {
  // CHECK: tessera.reshard
  %0 = tessera.constant dense<1.0> : tensor<6x3xf32> : !whole
  %1 = tessera.reshard %0 : !whole -> !terms
  return %1 : !terms
}
