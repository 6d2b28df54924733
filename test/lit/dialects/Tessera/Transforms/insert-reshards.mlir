// RUN: tessera-opt %s --tessera-insert-reshards --split-input-file | FileCheck %s
// RUN: tessera-opt %s --split-input-file '--tessera-check-equivalence=pipeline=tessera-insert-reshards,tessera-partition runs=3' -o /dev/null

dist.mesh @mesh <[dp = 2, tp = 4]>

// The larger operand keeps its layout; the reason names the user of the value.
// CHECK-LABEL: @the_smaller_operand_moves
func.func @the_smaller_operand_moves(
    %x: !tessera.mesh_tensor<64x8xf32, @mesh, [{}, {tp}]>,
    %w: !tessera.mesh_tensor<8x5xf32, @mesh, [{}, {}]>) -> !tessera.mesh_tensor<64x5xf32, @mesh, [{}, {}]> {
  // CHECK: %[[W:.*]] = tessera.reshard %arg1 {why = #dist.why<rule = "tessera.contract
  // CHECK-SAME: -> <8x5xf32, @mesh, [{tp}, {}]>
  // CHECK: %[[P:.*]] = tessera.contract %arg0, %[[W]] {{.*}} -> !tessera.mesh_tensor<64x5xf32, @mesh, [{}, {}], partial = sum{tp}>
  // CHECK: %[[R:.*]] = tessera.reshard %[[P]]
  // CHECK: return %[[R]]
  %0 = tessera.contract %x, %w "mk,kn->mn" : !tessera.mesh_tensor<64x8xf32, @mesh, [{}, {tp}]>, !tessera.mesh_tensor<8x5xf32, @mesh, [{}, {}]> -> !tessera.mesh_tensor<64x5xf32, @mesh, [{}, {}]>
  return %0 : !tessera.mesh_tensor<64x5xf32, @mesh, [{}, {}]>
}

// -----

dist.mesh @mesh <[tp = 4]>

// The sum of two partial products is reduced, not each product.
// CHECK-LABEL: @partial_terms_meet_before_they_are_reduced
// CHECK-COUNT-1: tessera.reshard
// CHECK-NOT: tessera.reshard
func.func @partial_terms_meet_before_they_are_reduced(
    %x: !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]>,
    %v: !tessera.mesh_tensor<8x5xf32, @mesh, [{tp}, {}]>,
    %w: !tessera.mesh_tensor<8x5xf32, @mesh, [{tp}, {}]>) -> !tessera.mesh_tensor<3x5xf32, @mesh, [{}, {}]> {
  %0 = tessera.contract %x, %v "mk,kn->mn" : !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]>, !tessera.mesh_tensor<8x5xf32, @mesh, [{tp}, {}]> -> !tessera.mesh_tensor<3x5xf32, @mesh, [{}, {}]>
  %1 = tessera.contract %x, %w "mk,kn->mn" : !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]>, !tessera.mesh_tensor<8x5xf32, @mesh, [{tp}, {}]> -> !tessera.mesh_tensor<3x5xf32, @mesh, [{}, {}]>
  %2 = tessera.add %0, %1 : !tessera.mesh_tensor<3x5xf32, @mesh, [{}, {}]>
  return %2 : !tessera.mesh_tensor<3x5xf32, @mesh, [{}, {}]>
}

// -----

dist.mesh @mesh <[tp = 4]>

// The partial terms are added before the whole one, whatever the order in which
// the program adds them.
// CHECK-LABEL: @partial_terms_of_a_longer_sum_are_reduced_once
func.func @partial_terms_of_a_longer_sum_are_reduced_once(
    %r: !tessera.mesh_tensor<3x5xf32, @mesh, [{}, {}]>,
    %x: !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]>,
    %v: !tessera.mesh_tensor<8x5xf32, @mesh, [{tp}, {}]>,
    %w: !tessera.mesh_tensor<8x5xf32, @mesh, [{tp}, {}]>) -> !tessera.mesh_tensor<3x5xf32, @mesh, [{}, {}]> {
  // CHECK: %[[A:.*]] = tessera.contract
  // CHECK: %[[B:.*]] = tessera.contract
  // CHECK: %[[P:.*]] = tessera.add %[[A]], %[[B]]
  // CHECK: %[[R:.*]] = tessera.reshard %[[P]]
  // CHECK: tessera.add %arg0, %[[R]]
  // CHECK-NOT: tessera.reshard
  %0 = tessera.contract %x, %v "mk,kn->mn" : !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]>, !tessera.mesh_tensor<8x5xf32, @mesh, [{tp}, {}]> -> !tessera.mesh_tensor<3x5xf32, @mesh, [{}, {}]>
  %1 = tessera.add %r, %0 : !tessera.mesh_tensor<3x5xf32, @mesh, [{}, {}]>
  %2 = tessera.contract %x, %w "mk,kn->mn" : !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]>, !tessera.mesh_tensor<8x5xf32, @mesh, [{tp}, {}]> -> !tessera.mesh_tensor<3x5xf32, @mesh, [{}, {}]>
  %3 = tessera.add %1, %2 : !tessera.mesh_tensor<3x5xf32, @mesh, [{}, {}]>
  return %3 : !tessera.mesh_tensor<3x5xf32, @mesh, [{}, {}]>
}

// -----

dist.mesh @mesh <[tp = 4]>

// Two users that need the value whole share one reshard.
// CHECK-LABEL: @one_reshard_serves_all_users
// CHECK-COUNT-1: tessera.reshard
// CHECK-NOT: tessera.reshard
func.func @one_reshard_serves_all_users(%x: !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]>) -> (!tessera.mesh_tensor<3x8xf32, @mesh, [{}, {}]>, !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {}]>) {
  %0 = tessera.softmax %x dim 1 : !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]> -> !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {}]>
  %1 = tessera.softmax %x dim 1 : !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]> -> !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {}]>
  return %0, %1 : !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {}]>, !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {}]>
}

// -----

dist.mesh @mesh <[tp = 4]>

// What a scalar fills is made anew in each layout.
// CHECK-LABEL: @a_filled_tensor_is_never_communicated
// CHECK-NOT: tessera.reshard
func.func @a_filled_tensor_is_never_communicated(
    %s: !tessera.mesh_tensor<f32, @mesh>,
    %x: !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]>,
    %y: !tessera.mesh_tensor<3x8xf32, @mesh, [{tp}, {}]>) -> (!tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]>, !tessera.mesh_tensor<3x8xf32, @mesh, [{tp}, {}]>) {
  %b = tessera.broadcast %s dims [] : !tessera.mesh_tensor<f32, @mesh> -> !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]>
  %0 = tessera.mul %x, %b : !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]>
  %1 = tessera.mul %y, %b : (!tessera.mesh_tensor<3x8xf32, @mesh, [{tp}, {}]>, !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]>) -> !tessera.mesh_tensor<3x8xf32, @mesh, [{tp}, {}]>
  return %0, %1 : !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]>, !tessera.mesh_tensor<3x8xf32, @mesh, [{tp}, {}]>
}

// -----

dist.mesh @mesh <[tp = 4]>

// Passing the terms on would reduce twice, once for each user.
// CHECK-LABEL: @a_partial_value_with_two_users_is_reduced_once
// CHECK-COUNT-1: tessera.reshard
// CHECK-NOT: tessera.reshard
func.func @a_partial_value_with_two_users_is_reduced_once(%x: !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]>) -> (!tessera.mesh_tensor<3xf32, @mesh, [{}]>, !tessera.mesh_tensor<3xf32, @mesh, [{}]>) {
  %0 = tessera.reduce sum %x dims [1] : !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]> -> !tessera.mesh_tensor<3xf32, @mesh, [{}]>
  %1 = tessera.neg %0 : !tessera.mesh_tensor<3xf32, @mesh, [{}]>
  %2 = tessera.add %0, %0 : !tessera.mesh_tensor<3xf32, @mesh, [{}]>
  return %1, %2 : !tessera.mesh_tensor<3xf32, @mesh, [{}]>, !tessera.mesh_tensor<3xf32, @mesh, [{}]>
}

// -----

dist.mesh @mesh <[tp = 4]>

// Three numbers are reduced, not the fifteen that they become.
// CHECK-LABEL: @a_partial_value_is_reduced_before_it_grows
func.func @a_partial_value_is_reduced_before_it_grows(%x: !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]>) -> !tessera.mesh_tensor<5x3xf32, @mesh, [{}, {}]> {
  // CHECK: tessera.reshard {{.*}} -> <3xf32, @mesh, [{}]>
  // CHECK-NEXT: = tessera.broadcast %
  // CHECK-NEXT: return
  %0 = tessera.reduce sum %x dims [1] : !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]> -> !tessera.mesh_tensor<3xf32, @mesh, [{}]>
  %1 = tessera.broadcast %0 dims [1] : !tessera.mesh_tensor<3xf32, @mesh, [{}]> -> !tessera.mesh_tensor<5x3xf32, @mesh, [{}, {}]>
  return %1 : !tessera.mesh_tensor<5x3xf32, @mesh, [{}, {}]>
}

// -----

dist.mesh @mesh <[tp = 4]>

// CHECK-LABEL: @a_reshard_of_the_program_stays
func.func @a_reshard_of_the_program_stays(%x: !tessera.mesh_tensor<8x3xf32, @mesh, [{tp}, {}]>) -> !tessera.mesh_tensor<8x3xf32, @mesh, [{}, {}]> {
  // CHECK: %[[WHOLE:.*]] = tessera.reshard %arg0 : {{.*}} -> <8x3xf32, @mesh, [{}, {}]>
  // CHECK-NEXT: %[[RESULT:.*]] = tessera.tanh %[[WHOLE]] : !tessera.mesh_tensor<8x3xf32, @mesh, [{}, {}]>
  // CHECK-NEXT: return %[[RESULT]]
  %0 = tessera.reshard %x : !tessera.mesh_tensor<8x3xf32, @mesh, [{tp}, {}]> -> !tessera.mesh_tensor<8x3xf32, @mesh, [{}, {}]>
  %1 = tessera.tanh %0 : !tessera.mesh_tensor<8x3xf32, @mesh, [{}, {}]>
  return %1 : !tessera.mesh_tensor<8x3xf32, @mesh, [{}, {}]>
}

// -----

dist.mesh @mesh <[tp = 4]>

// The maximum of sums is not the sum of maxima.
// CHECK-LABEL: @terms_of_a_maximum_do_not_pass_an_addition
func.func @terms_of_a_maximum_do_not_pass_an_addition(%x: !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]>, %y: !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]>) -> !tessera.mesh_tensor<3xf32, @mesh, [{}]> {
  // CHECK-COUNT-2: tessera.reshard
  // CHECK: = tessera.add %
  // CHECK-NEXT: return
  %0 = tessera.reduce max %x dims [1] : !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]> -> !tessera.mesh_tensor<3xf32, @mesh, [{}]>
  %1 = tessera.reduce max %y dims [1] : !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]> -> !tessera.mesh_tensor<3xf32, @mesh, [{}]>
  %2 = tessera.add %0, %1 : !tessera.mesh_tensor<3xf32, @mesh, [{}]>
  return %2 : !tessera.mesh_tensor<3xf32, @mesh, [{}]>
}

// -----

dist.mesh @mesh <[tp = 4]>
!terms = !tessera.mesh_tensor<3x5xf32, @mesh, [{}, {}], partial = sum{tp}>
!whole = !tessera.mesh_tensor<3x5xf32, @mesh, [{}, {}]>

// The reduction's reason goes back to where the terms come from: the user's
// annotation, and the sum over a split dimension, through ops that pass them on.
// CHECK-LABEL: @partial_arguments_are_named
func.func @partial_arguments_are_named(
    %x: !terms {tessera.name = "x"}, %y: !terms, %v: !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]>,
    %w: !tessera.mesh_tensor<8x5xf32, @mesh, [{tp}, {}]> {tessera.origins = {tp = ["annotated: w"]}}) -> (!whole, !whole) {
  // CHECK: tessera.reshard %arg1
  // CHECK-SAME: origins = ["annotated: argument 1 is partial along 'tp'"]
  // CHECK: tessera.reshard
  // CHECK-SAME: origins = ["tessera.contract at {{[^"]*}} sums over a dimension that 'tp' splits", "annotated: w", "annotated: argument 'x' is partial along 'tp'"]
  %0 = tessera.neg %x : (!terms) -> !whole
  %1 = tessera.contract %v, %w "mk,kn->mn" : !tessera.mesh_tensor<3x8xf32, @mesh, [{}, {tp}]>, !tessera.mesh_tensor<8x5xf32, @mesh, [{tp}, {}]> -> !whole
  %2 = tessera.add %0, %1 : !whole
  %3 = tessera.tanh %y : (!terms) -> !whole
  return %2, %3 : !whole, !whole
}

// -----

dist.mesh @mesh <[dp = 2, tp = 2]>

// A result that no user annotated is laid out as what computes it, whatever
// propagation gave it; one that was annotated is resharded.
// CHECK-LABEL: @an_unannotated_result_follows_what_computes_it
// CHECK-SAME: -> (!tessera.mesh_tensor<64x8xf32, @mesh, [{dp}, {}]>, !tessera.mesh_tensor<64x8xf32, @mesh, [{tp}, {}]>)
func.func @an_unannotated_result_follows_what_computes_it(
    %x: !tessera.mesh_tensor<64x8xf32, @mesh, [{dp}, {}]>) -> (!tessera.mesh_tensor<64x8xf32, @mesh, [{tp}, {}]> {tessera.unannotated}, !tessera.mesh_tensor<64x8xf32, @mesh, [{tp}, {}]>) {
  // CHECK: %[[T:.*]] = tessera.tanh %arg0
  // CHECK: %[[R:.*]] = tessera.reshard %[[T]]
  // CHECK: return %[[T]], %[[R]]
  %0 = tessera.tanh %x : (!tessera.mesh_tensor<64x8xf32, @mesh, [{dp}, {}]>) -> !tessera.mesh_tensor<64x8xf32, @mesh, [{tp}, {}]>
  return %0, %0 : !tessera.mesh_tensor<64x8xf32, @mesh, [{tp}, {}]>, !tessera.mesh_tensor<64x8xf32, @mesh, [{tp}, {}]>
}

// -----

dist.mesh @mesh <[tp = 2]>

// The gradient of a weight is split as the weight: its cotangent is gathered for
// the product before it, too, and not again.
// CHECK-LABEL: @a_gathered_value_is_shared
// CHECK: %[[C:.*]] = tessera.reshard %arg1 {{.*}} -> <4x16x8xf32, @mesh, [{}, {}, {}]>
// CHECK-NEXT: tessera.contract %arg0, %[[C]] {{.*}} -> !tessera.mesh_tensor<8x8xf32, @mesh, [{tp}, {}]>
// CHECK-NEXT: tessera.contract %[[C]], %arg2
// CHECK-NOT: tessera.reshard
func.func @a_gathered_value_is_shared(
    %x: !tessera.mesh_tensor<4x16x8xf32, @mesh, [{}, {}, {tp}]>,
    %ct: !tessera.mesh_tensor<4x16x8xf32, @mesh, [{}, {tp}, {}]>,
    %w: !tessera.mesh_tensor<8x8xf32, @mesh, [{tp}, {}]>)
    -> (!tessera.mesh_tensor<8x8xf32, @mesh, [{tp}, {}]>, !tessera.mesh_tensor<4x16x8xf32, @mesh, [{}, {}, {tp}]>) {
  %0 = tessera.contract %x, %ct "bsk,bsn->kn" : !tessera.mesh_tensor<4x16x8xf32, @mesh, [{}, {}, {tp}]>, !tessera.mesh_tensor<4x16x8xf32, @mesh, [{}, {tp}, {}]> -> !tessera.mesh_tensor<8x8xf32, @mesh, [{tp}, {}]>
  %1 = tessera.contract %ct, %w "bsn,kn->bsk" : !tessera.mesh_tensor<4x16x8xf32, @mesh, [{}, {tp}, {}]>, !tessera.mesh_tensor<8x8xf32, @mesh, [{tp}, {}]> -> !tessera.mesh_tensor<4x16x8xf32, @mesh, [{}, {}, {tp}]>
  return %0, %1 : !tessera.mesh_tensor<8x8xf32, @mesh, [{tp}, {}]>, !tessera.mesh_tensor<4x16x8xf32, @mesh, [{}, {}, {tp}]>
}

// -----

dist.mesh @mesh <[dp = 2]>

// Terms are added before the sum is scattered, though the result is split.
// CHECK-LABEL: @terms_are_scattered_once
// CHECK: %[[S:.*]] = tessera.add {{.*}} partial = sum{dp}>
// CHECK-NEXT: %[[R:.*]] = tessera.reshard %[[S]] {{.*}} -> <4x6xf32, @mesh, [{dp}, {}]>
// CHECK-NEXT: return %[[R]]
func.func @terms_are_scattered_once(
    %x: !tessera.mesh_tensor<8x4xf32, @mesh, [{dp}, {}]>,
    %y: !tessera.mesh_tensor<8x6xf32, @mesh, [{dp}, {}]>) -> !tessera.mesh_tensor<4x6xf32, @mesh, [{dp}, {}]> {
  %0 = tessera.contract %x, %y "bk,bn->kn" : !tessera.mesh_tensor<8x4xf32, @mesh, [{dp}, {}]>, !tessera.mesh_tensor<8x6xf32, @mesh, [{dp}, {}]> -> !tessera.mesh_tensor<4x6xf32, @mesh, [{}, {}]>
  %1 = tessera.contract %x, %y "bk,bn->kn" : !tessera.mesh_tensor<8x4xf32, @mesh, [{dp}, {}]>, !tessera.mesh_tensor<8x6xf32, @mesh, [{dp}, {}]> -> !tessera.mesh_tensor<4x6xf32, @mesh, [{}, {}]>
  %2 = tessera.add %0, %1 : (!tessera.mesh_tensor<4x6xf32, @mesh, [{}, {}]>, !tessera.mesh_tensor<4x6xf32, @mesh, [{}, {}]>) -> !tessera.mesh_tensor<4x6xf32, @mesh, [{dp}, {}]>
  return %2 : !tessera.mesh_tensor<4x6xf32, @mesh, [{dp}, {}]>
}
