// RUN: tessera-opt %s --canonicalize --split-input-file | FileCheck %s
// RUN: tessera-opt %s '--tessera-check-equivalence=pipeline=canonicalize runs=3' -o /dev/null

// CHECK-LABEL: @adding_zero_does_nothing
func.func @adding_zero_does_nothing(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK-NEXT: return %arg0
  %0 = tessera.constant dense<0.0> : tensor<2x3xf32> : tensor<2x3xf32>
  %1 = tessera.add %x, %0 : tensor<2x3xf32>
  %2 = tessera.add %0, %1 : tensor<2x3xf32>
  %3 = tessera.sub %2, %0 : tensor<2x3xf32>
  return %3 : tensor<2x3xf32>
}

// CHECK-LABEL: @zero_minus_x_is_not_x
func.func @zero_minus_x_is_not_x(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK: tessera.sub
  %0 = tessera.constant dense<0.0> : tensor<2x3xf32> : tensor<2x3xf32>
  %1 = tessera.sub %0, %x : tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}

// CHECK-LABEL: @multiplying_and_dividing_by_one_do_nothing
func.func @multiplying_and_dividing_by_one_do_nothing(%x: tensor<2x3xi32>) -> tensor<2x3xi32> {
  // CHECK-NEXT: return %arg0
  %0 = tessera.constant dense<1> : tensor<2x3xi32> : tensor<2x3xi32>
  %1 = tessera.mul %x, %0 : tensor<2x3xi32>
  %2 = tessera.mul %0, %1 : tensor<2x3xi32>
  %3 = tessera.div %2, %0 : tensor<2x3xi32>
  return %3 : tensor<2x3xi32>
}

// CHECK-LABEL: @one_divided_by_x_is_not_x
func.func @one_divided_by_x_is_not_x(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK: tessera.div
  %0 = tessera.constant dense<1.0> : tensor<2x3xf32> : tensor<2x3xf32>
  %1 = tessera.div %0, %x : tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}

// CHECK-LABEL: @neg_of_neg_and_not_of_not_are_the_value
func.func @neg_of_neg_and_not_of_not_are_the_value(%x: tensor<2x3xf32>, %p: tensor<2x3xi1>) -> (tensor<2x3xf32>, tensor<2x3xi1>) {
  // CHECK-NEXT: return %arg0, %arg1
  %0 = tessera.neg %x : tensor<2x3xf32>
  %1 = tessera.neg %0 : tensor<2x3xf32>
  %2 = tessera.not %p : tensor<2x3xi1>
  %3 = tessera.not %2 : tensor<2x3xi1>
  return %1, %3 : tensor<2x3xf32>, tensor<2x3xi1>
}

// CHECK-LABEL: @logic_with_a_neutral_operand_does_nothing
func.func @logic_with_a_neutral_operand_does_nothing(%p: tensor<2x3xi1>) -> tensor<2x3xi1> {
  // CHECK-NEXT: return %arg0
  %true = tessera.constant dense<true> : tensor<2x3xi1> : tensor<2x3xi1>
  %false = tessera.constant dense<false> : tensor<2x3xi1> : tensor<2x3xi1>
  %0 = tessera.and %p, %true : tensor<2x3xi1>
  %1 = tessera.or %false, %0 : tensor<2x3xi1>
  %2 = tessera.xor %1, %false : tensor<2x3xi1>
  %3 = tessera.and %2, %2 : tensor<2x3xi1>
  return %3 : tensor<2x3xi1>
}

// CHECK-LABEL: @splats_are_computed_as_floats
func.func @splats_are_computed_as_floats() -> tensor<2x3xf32> {
  // (3 * 4 + 4) = 16, its root 4, the larger of it and -1.
  // CHECK-NEXT: %[[C:.*]] = tessera.constant dense<4.000000e+00> : tensor<2x3xf32> : tensor<2x3xf32>
  // CHECK-NEXT: return %[[C]]
  %3 = tessera.constant dense<3.0> : tensor<2x3xf32> : tensor<2x3xf32>
  %4 = tessera.constant dense<4.0> : tensor<2x3xf32> : tensor<2x3xf32>
  %m1 = tessera.constant dense<-1.0> : tensor<2x3xf32> : tensor<2x3xf32>
  %a = tessera.mul %3, %4 : tensor<2x3xf32>
  %b = tessera.add %a, %4 : tensor<2x3xf32>
  %c = tessera.sqrt %b : tensor<2x3xf32>
  %d = tessera.max %c, %m1 : tensor<2x3xf32>
  return %d : tensor<2x3xf32>
}

// CHECK-LABEL: @nan_wins_max
func.func @nan_wins_max() -> tensor<2x3xf32> {
  // CHECK-NEXT: tessera.constant dense<0x7FC00000>
  %0 = tessera.constant dense<0x7FC00000> : tensor<2x3xf32> : tensor<2x3xf32>
  %1 = tessera.constant dense<1.0> : tensor<2x3xf32> : tensor<2x3xf32>
  %2 = tessera.max %1, %0 : tensor<2x3xf32>
  return %2 : tensor<2x3xf32>
}

// CHECK-LABEL: @splats_are_computed_as_integers
func.func @splats_are_computed_as_integers() -> (tensor<2xi64>, tensor<2xi64>, tensor<2xui32>) {
  // CHECK-DAG: %[[Q:.*]] = tessera.constant dense<-3> : tensor<2xi64>
  // CHECK-DAG: %[[R:.*]] = tessera.constant dense<-1> : tensor<2xi64>
  // CHECK-DAG: %[[U:.*]] = tessera.constant dense<4294967295> : tensor<2xui32>
  // CHECK: return %[[Q]], %[[R]], %[[U]]
  %0 = tessera.constant dense<-7> : tensor<2xi64> : tensor<2xi64>
  %1 = tessera.constant dense<2> : tensor<2xi64> : tensor<2xi64>
  %2 = tessera.div %0, %1 : tensor<2xi64>
  %3 = tessera.rem %0, %1 : tensor<2xi64>
  %4 = tessera.constant dense<4294967295> : tensor<2xui32> : tensor<2xui32>
  %5 = tessera.constant dense<1> : tensor<2xui32> : tensor<2xui32>
  %6 = tessera.max %4, %5 : tensor<2xui32>
  return %2, %3, %6 : tensor<2xi64>, tensor<2xi64>, tensor<2xui32>
}

// CHECK-LABEL: @division_by_zero_is_left_to_run_time
func.func @division_by_zero_is_left_to_run_time() -> tensor<2xi32> {
  // CHECK: tessera.div
  %0 = tessera.constant dense<7> : tensor<2xi32> : tensor<2xi32>
  %1 = tessera.constant dense<0> : tensor<2xi32> : tensor<2xi32>
  %2 = tessera.div %0, %1 : tensor<2xi32>
  return %2 : tensor<2xi32>
}

// CHECK-LABEL: @exp_is_left_to_the_kernel
func.func @exp_is_left_to_the_kernel() -> tensor<2xf32> {
  // CHECK: tessera.exp
  %0 = tessera.constant dense<1.0> : tensor<2xf32> : tensor<2xf32>
  %1 = tessera.exp %0 : tensor<2xf32>
  return %1 : tensor<2xf32>
}

// CHECK-LABEL: @constants_that_are_no_splats_stay
func.func @constants_that_are_no_splats_stay() -> tensor<2xf32> {
  // CHECK: tessera.neg
  %0 = tessera.constant dense<[1.0, 2.0]> : tensor<2xf32> : tensor<2xf32>
  %1 = tessera.neg %0 : tensor<2xf32>
  return %1 : tensor<2xf32>
}

// CHECK-LABEL: @empty_constants_stay
func.func @empty_constants_stay() -> tensor<0x3xf32> {
  // CHECK: %[[EMPTY:.*]] = tessera.constant dense<>
  // CHECK: tessera.add %[[EMPTY]], %[[EMPTY]]
  %0 = tessera.constant dense<> : tensor<0x3xf32> : tensor<0x3xf32>
  %1 = tessera.add %0, %0 : tensor<0x3xf32>
  return %1 : tensor<0x3xf32>
}

// CHECK-LABEL: @comparisons_of_splats
func.func @comparisons_of_splats() -> (tensor<2xi1>, tensor<2xi1>, tensor<2xi1>) {
  // CHECK-DAG: %[[TRUE:.*]] = tessera.constant dense<true>
  // CHECK-DAG: %[[FALSE:.*]] = tessera.constant dense<false>
  // CHECK: return %[[TRUE]], %[[FALSE]], %[[TRUE]]
  %0 = tessera.constant dense<-1> : tensor<2xi32> : tensor<2xi32>
  %1 = tessera.constant dense<1> : tensor<2xi32> : tensor<2xi32>
  %2 = tessera.compare lt %0, %1 : tensor<2xi32>, tensor<2xi32> -> tensor<2xi1>
  %nan = tessera.constant dense<0x7FC00000> : tensor<2xf32> : tensor<2xf32>
  %3 = tessera.compare ge %nan, %nan : tensor<2xf32>, tensor<2xf32> -> tensor<2xi1>
  %4 = tessera.compare ne %nan, %nan : tensor<2xf32>, tensor<2xf32> -> tensor<2xi1>
  return %2, %3, %4 : tensor<2xi1>, tensor<2xi1>, tensor<2xi1>
}

// CHECK-LABEL: @a_constant_predicate_picks_a_side
func.func @a_constant_predicate_picks_a_side(%x: tensor<2xf32>, %y: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  // CHECK-NEXT: return %arg0, %arg1
  %true = tessera.constant dense<true> : tensor<2xi1> : tensor<2xi1>
  %false = tessera.constant dense<false> : tensor<2xi1> : tensor<2xi1>
  %0 = tessera.select %true, %x, %y : tensor<2xi1>, tensor<2xf32>, tensor<2xf32> -> tensor<2xf32>
  %1 = tessera.select %false, %x, %y : tensor<2xi1>, tensor<2xf32>, tensor<2xf32> -> tensor<2xf32>
  return %0, %1 : tensor<2xf32>, tensor<2xf32>
}

// CHECK-LABEL: @equal_sides_need_no_predicate
func.func @equal_sides_need_no_predicate(%p: tensor<2xi1>, %x: tensor<2xf32>) -> tensor<2xf32> {
  // CHECK-NEXT: return %arg1
  %0 = tessera.select %p, %x, %x : tensor<2xi1>, tensor<2xf32>, tensor<2xf32> -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// CHECK-LABEL: @widening_and_narrowing_back_is_exact
func.func @widening_and_narrowing_back_is_exact(%x: tensor<2xbf16>, %i: tensor<2xi32>) -> (tensor<2xbf16>, tensor<2xi32>) {
  // CHECK-NEXT: return %arg0, %arg1
  %0 = tessera.convert %x : tensor<2xbf16> -> tensor<2xf32>
  %1 = tessera.convert %0 : tensor<2xf32> -> tensor<2xbf16>
  %2 = tessera.convert %i : tensor<2xi32> -> tensor<2xf64>
  %3 = tessera.convert %2 : tensor<2xf64> -> tensor<2xi32>
  return %1, %3 : tensor<2xbf16>, tensor<2xi32>
}

// CHECK-LABEL: @narrowing_and_widening_back_rounds
func.func @narrowing_and_widening_back_rounds(%x: tensor<2xf32>, %i: tensor<2xi32>) -> (tensor<2xf32>, tensor<2xi32>) {
  // CHECK-COUNT-4: tessera.convert
  %0 = tessera.convert %x : tensor<2xf32> -> tensor<2xbf16>
  %1 = tessera.convert %0 : tensor<2xbf16> -> tensor<2xf32>
  %2 = tessera.convert %i : tensor<2xi32> -> tensor<2xf32>
  %3 = tessera.convert %2 : tensor<2xf32> -> tensor<2xi32>
  return %1, %3 : tensor<2xf32>, tensor<2xi32>
}

// CHECK-LABEL: @conversions_of_splats_round_truncate_and_saturate
func.func @conversions_of_splats_round_truncate_and_saturate() -> (tensor<2xbf16>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, tensor<2xi1>) {
  // CHECK-DAG: %[[BF:.*]] = tessera.constant dense<3.320310e-01> : tensor<2xbf16>
  // CHECK-DAG: %[[TRUNC:.*]] = tessera.constant dense<-2> : tensor<2xi32>
  // CHECK-DAG: %[[MAX:.*]] = tessera.constant dense<2147483647> : tensor<2xi32>
  // CHECK-DAG: %[[ZERO:.*]] = tessera.constant dense<0> : tensor<2xi32>
  // CHECK-DAG: %[[TRUE:.*]] = tessera.constant dense<true> : tensor<2xi1>
  // CHECK: return %[[BF]], %[[TRUNC]], %[[MAX]], %[[ZERO]], %[[TRUE]]
  %third = tessera.constant dense<0.333> : tensor<2xf32> : tensor<2xf32>
  %0 = tessera.convert %third : tensor<2xf32> -> tensor<2xbf16>
  %x = tessera.constant dense<-2.75> : tensor<2xf32> : tensor<2xf32>
  %1 = tessera.convert %x : tensor<2xf32> -> tensor<2xi32>
  %big = tessera.constant dense<1.0e30> : tensor<2xf32> : tensor<2xf32>
  %2 = tessera.convert %big : tensor<2xf32> -> tensor<2xi32>
  %nan = tessera.constant dense<0x7FC00000> : tensor<2xf32> : tensor<2xf32>
  %3 = tessera.convert %nan : tensor<2xf32> -> tensor<2xi32>
  %4 = tessera.convert %third : tensor<2xf32> -> tensor<2xi1>
  return %0, %1, %2, %3, %4 : tensor<2xbf16>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, tensor<2xi1>
}

// -----

dist.mesh @mesh <[tp = 2]>

// CHECK-LABEL: @a_neutral_operand_stays_where_the_layout_changes
func.func @a_neutral_operand_stays_where_the_layout_changes(%x: !tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {}]>) -> !tessera.mesh_tensor<2x3xf32, @mesh, [{}, {}]> {
  // CHECK: tessera.add
  %0 = tessera.constant dense<0.0> : tensor<2x3xf32> : !tessera.mesh_tensor<2x3xf32, @mesh, [{}, {}]>
  %1 = tessera.add %x, %0 : (!tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {}]>, !tessera.mesh_tensor<2x3xf32, @mesh, [{}, {}]>) -> !tessera.mesh_tensor<2x3xf32, @mesh, [{}, {}]>
  return %1 : !tessera.mesh_tensor<2x3xf32, @mesh, [{}, {}]>
}

// CHECK-LABEL: @splats_fold_into_the_layout_of_the_result
func.func @splats_fold_into_the_layout_of_the_result() -> !tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {}]> {
  // CHECK-NEXT: tessera.constant dense<-1.000000e+00> : tensor<2x3xf32> : !tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {}]>
  %0 = tessera.constant dense<1.0> : tensor<2x3xf32> : !tessera.mesh_tensor<2x3xf32, @mesh, [{}, {}]>
  %1 = tessera.neg %0 : (!tessera.mesh_tensor<2x3xf32, @mesh, [{}, {}]>) -> !tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {}]>
  return %1 : !tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {}]>
}

// CHECK-LABEL: @adding_minus_zero_and_the_first_power_do_nothing
func.func @adding_minus_zero_and_the_first_power_do_nothing(%x: tensor<2xf32>) -> tensor<2xf32> {
  // CHECK-NEXT: return %arg0
  %z = tessera.constant dense<-0.0> : tensor<2xf32> : tensor<2xf32>
  %one = tessera.constant dense<1.0> : tensor<2xf32> : tensor<2xf32>
  %0 = tessera.add %x, %z : tensor<2xf32>
  %1 = tessera.pow %0, %one : tensor<2xf32>
  return %1 : tensor<2xf32>
}

// CHECK-LABEL: @a_power_of_one_is_not_the_exponent
func.func @a_power_of_one_is_not_the_exponent(%x: tensor<2xf32>) -> tensor<2xf32> {
  // CHECK: tessera.pow
  %one = tessera.constant dense<1.0> : tensor<2xf32> : tensor<2xf32>
  %0 = tessera.pow %one, %x : tensor<2xf32>
  return %0 : tensor<2xf32>
}

// CHECK-LABEL: @zero_absorbs_integers
func.func @zero_absorbs_integers(%i: tensor<2xi32>, %p: tensor<2xi1>) -> (tensor<2xi32>, tensor<2xi32>, tensor<2xi1>, tensor<2xi1>) {
  // CHECK-DAG: %[[ZERO:.*]] = tessera.constant dense<0> : tensor<2xi32>
  // CHECK-DAG: %[[FALSE:.*]] = tessera.constant dense<false>
  // CHECK-DAG: %[[TRUE:.*]] = tessera.constant dense<true>
  // CHECK: return %[[ZERO]], %[[ZERO]], %[[FALSE]], %[[TRUE]]
  %zero = tessera.constant dense<0> : tensor<2xi32> : tensor<2xi32>
  %false = tessera.constant dense<false> : tensor<2xi1> : tensor<2xi1>
  %true = tessera.constant dense<true> : tensor<2xi1> : tensor<2xi1>
  %0 = tessera.mul %zero, %i : tensor<2xi32>
  %1 = tessera.and %i, %zero : tensor<2xi32>
  %2 = tessera.and %p, %false : tensor<2xi1>
  %3 = tessera.or %true, %p : tensor<2xi1>
  return %0, %1, %2, %3 : tensor<2xi32>, tensor<2xi32>, tensor<2xi1>, tensor<2xi1>
}

// CHECK-LABEL: @zero_absorbs_no_float
func.func @zero_absorbs_no_float(%x: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>, tensor<2xi1>) {
  // Infinity and NaN give NaN.
  // CHECK: tessera.mul
  // CHECK: tessera.sub
  // CHECK: tessera.compare
  %zero = tessera.constant dense<0.0> : tensor<2xf32> : tensor<2xf32>
  %0 = tessera.mul %x, %zero : tensor<2xf32>
  %1 = tessera.sub %x, %x : tensor<2xf32>
  %2 = tessera.compare eq %x, %x : tensor<2xf32>, tensor<2xf32> -> tensor<2xi1>
  return %0, %1, %2 : tensor<2xf32>, tensor<2xf32>, tensor<2xi1>
}

// CHECK-LABEL: @an_integer_equals_itself
func.func @an_integer_equals_itself(%i: tensor<2xi64>) -> (tensor<2xi64>, tensor<2xi64>, tensor<2xi1>, tensor<2xi1>) {
  // CHECK-DAG: %[[ZERO:.*]] = tessera.constant dense<0>
  // CHECK-DAG: %[[TRUE:.*]] = tessera.constant dense<true>
  // CHECK-DAG: %[[FALSE:.*]] = tessera.constant dense<false>
  // CHECK: return %[[ZERO]], %[[ZERO]], %[[TRUE]], %[[FALSE]]
  %0 = tessera.sub %i, %i : tensor<2xi64>
  %1 = tessera.xor %i, %i : tensor<2xi64>
  %2 = tessera.compare le %i, %i : tensor<2xi64>, tensor<2xi64> -> tensor<2xi1>
  %3 = tessera.compare ne %i, %i : tensor<2xi64>, tensor<2xi64> -> tensor<2xi1>
  return %0, %1, %2, %3 : tensor<2xi64>, tensor<2xi64>, tensor<2xi1>, tensor<2xi1>
}

// CHECK-LABEL: @the_second_time_changes_nothing
func.func @the_second_time_changes_nothing(%x: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) {
  // CHECK-NEXT: %[[A:.*]] = tessera.abs %arg0
  // CHECK-NEXT: %[[S:.*]] = tessera.sign %arg0
  // CHECK-NEXT: %[[F:.*]] = tessera.floor %arg0
  // CHECK-NEXT: return %[[A]], %[[S]], %[[F]]
  %n = tessera.neg %x : tensor<2xf32>
  %0 = tessera.abs %n : tensor<2xf32>
  %1 = tessera.abs %0 : tensor<2xf32>
  %2 = tessera.sign %x : tensor<2xf32>
  %3 = tessera.sign %2 : tensor<2xf32>
  %4 = tessera.floor %3 : tensor<2xf32>
  %5 = tessera.floor %x : tensor<2xf32>
  %6 = tessera.floor %5 : tensor<2xf32>
  return %1, %4, %6 : tensor<2xf32>, tensor<2xf32>, tensor<2xf32>
}

// CHECK-LABEL: @a_negation_is_subtracted
func.func @a_negation_is_subtracted(%x: tensor<2xf32>, %y: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  // CHECK-NEXT: %[[D:.*]] = tessera.sub %arg0, %arg1
  // CHECK-NEXT: %[[S:.*]] = tessera.add %arg0, %arg1
  // CHECK-NEXT: return %[[D]], %[[S]]
  %n = tessera.neg %y : tensor<2xf32>
  %0 = tessera.add %x, %n : tensor<2xf32>
  %1 = tessera.sub %x, %n : tensor<2xf32>
  return %0, %1 : tensor<2xf32>, tensor<2xf32>
}

// CHECK-LABEL: @an_inverted_predicate_swaps_the_sides
func.func @an_inverted_predicate_swaps_the_sides(%p: tensor<2xi1>, %x: tensor<2xf32>, %y: tensor<2xf32>) -> tensor<2xf32> {
  // CHECK-NEXT: %[[S:.*]] = tessera.select %arg0, %arg2, %arg1
  // CHECK-NEXT: return %[[S]]
  %n = tessera.not %p : tensor<2xi1>
  %0 = tessera.select %n, %x, %y : tensor<2xi1>, tensor<2xf32>, tensor<2xf32> -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// CHECK-LABEL: @true_where_true_is_the_predicate
func.func @true_where_true_is_the_predicate(%p: tensor<2xi1>) -> tensor<2xi1> {
  // CHECK-NEXT: return %arg0
  %true = tessera.constant dense<true> : tensor<2xi1> : tensor<2xi1>
  %false = tessera.constant dense<false> : tensor<2xi1> : tensor<2xi1>
  %0 = tessera.select %p, %true, %false : tensor<2xi1>, tensor<2xi1>, tensor<2xi1> -> tensor<2xi1>
  return %0 : tensor<2xi1>
}

// CHECK-LABEL: @conversions_through_a_wider_type_are_one
func.func @conversions_through_a_wider_type_are_one(%x: tensor<2xbf16>, %i: tensor<2xi32>) -> (tensor<2xf16>, tensor<2xf32>, tensor<2xi32>) {
  // CHECK-NEXT: %[[H:.*]] = tessera.convert %arg0 : tensor<2xbf16> -> tensor<2xf16>
  // CHECK-NEXT: %[[F:.*]] = tessera.convert %arg1 : tensor<2xi32> -> tensor<2xf32>
  // CHECK-NEXT: %[[T:.*]] = tessera.convert %arg0 : tensor<2xbf16> -> tensor<2xi32>
  // CHECK-NEXT: return %[[H]], %[[F]], %[[T]]
  %0 = tessera.convert %x : tensor<2xbf16> -> tensor<2xf32>
  %1 = tessera.convert %0 : tensor<2xf32> -> tensor<2xf16>
  %2 = tessera.convert %i : tensor<2xi32> -> tensor<2xi64>
  %3 = tessera.convert %2 : tensor<2xi64> -> tensor<2xf32>
  %4 = tessera.convert %0 : tensor<2xf32> -> tensor<2xi32>
  return %1, %3, %4 : tensor<2xf16>, tensor<2xf32>, tensor<2xi32>
}

// CHECK-LABEL: @conversions_that_round_or_saturate_on_the_way_stay
func.func @conversions_that_round_or_saturate_on_the_way_stay(%x: tensor<2xf32>, %i: tensor<2xi32>) -> (tensor<2xf64>, tensor<2xui32>) {
  // CHECK-COUNT-4: tessera.convert
  %0 = tessera.convert %x : tensor<2xf32> -> tensor<2xf16>
  %1 = tessera.convert %0 : tensor<2xf16> -> tensor<2xf64>
  // -1 becomes 0 through f64, and 2^32 - 1 at once.
  %2 = tessera.convert %i : tensor<2xi32> -> tensor<2xf64>
  %3 = tessera.convert %2 : tensor<2xf64> -> tensor<2xui32>
  return %1, %3 : tensor<2xf64>, tensor<2xui32>
}

// CHECK-LABEL: @an_inverted_comparison_is_the_opposite_one
func.func @an_inverted_comparison_is_the_opposite_one(%i: tensor<2xi32>, %j: tensor<2xi32>, %x: tensor<2xf32>, %y: tensor<2xf32>) -> (tensor<2xi1>, tensor<2xi1>, tensor<2xi1>, tensor<2xi1>, tensor<2xi1>) {
  // CHECK-NEXT: %[[A:.*]] = tessera.compare ge %arg0, %arg1
  // CHECK-NEXT: %[[B:.*]] = tessera.compare gt %arg0, %arg1
  // CHECK-NEXT: %[[C:.*]] = tessera.compare le %arg0, %arg1
  // CHECK-NEXT: %[[D:.*]] = tessera.compare lt %arg0, %arg1
  // CHECK-NEXT: %[[E:.*]] = tessera.compare ne %arg2, %arg3
  // CHECK-NEXT: return %[[A]], %[[B]], %[[C]], %[[D]], %[[E]]
  %0 = tessera.compare lt %i, %j : tensor<2xi32>, tensor<2xi32> -> tensor<2xi1>
  %1 = tessera.compare le %i, %j : tensor<2xi32>, tensor<2xi32> -> tensor<2xi1>
  %2 = tessera.compare gt %i, %j : tensor<2xi32>, tensor<2xi32> -> tensor<2xi1>
  %3 = tessera.compare ge %i, %j : tensor<2xi32>, tensor<2xi32> -> tensor<2xi1>
  %4 = tessera.compare eq %x, %y : tensor<2xf32>, tensor<2xf32> -> tensor<2xi1>
  %n0 = tessera.not %0 : tensor<2xi1>
  %n1 = tessera.not %1 : tensor<2xi1>
  %n2 = tessera.not %2 : tensor<2xi1>
  %n3 = tessera.not %3 : tensor<2xi1>
  %n4 = tessera.not %4 : tensor<2xi1>
  return %n0, %n1, %n2, %n3, %n4 : tensor<2xi1>, tensor<2xi1>, tensor<2xi1>, tensor<2xi1>, tensor<2xi1>
}

// NaN is neither less than a number nor greater or equal.
// CHECK-LABEL: @the_order_of_floats_has_no_opposite
func.func @the_order_of_floats_has_no_opposite(%x: tensor<2xf32>) -> tensor<2xi1> {
  // CHECK: tessera.compare lt
  // CHECK-NEXT: tessera.not
  %nan = tessera.constant dense<0x7FC00000> : tensor<2xf32> : tensor<2xf32>
  %0 = tessera.compare lt %x, %nan : tensor<2xf32>, tensor<2xf32> -> tensor<2xi1>
  %1 = tessera.not %0 : tensor<2xi1>
  return %1 : tensor<2xi1>
}

// CHECK-LABEL: @constants_of_integers_join
func.func @constants_of_integers_join(%i: tensor<2xi32>, %p: tensor<2xi1>) -> (tensor<2xi32>, tensor<2xi32>, tensor<2xi32>) {
  // CHECK-DAG: %[[S:.*]] = tessera.constant dense<-2147483647> : tensor<2xi32>
  // CHECK-DAG: %[[P:.*]] = tessera.constant dense<15> : tensor<2xi32>
  // CHECK-DAG: %[[X:.*]] = tessera.constant dense<6> : tensor<2xi32>
  // CHECK: %[[A:.*]] = tessera.add %arg0, %[[S]]
  // CHECK-NEXT: %[[B:.*]] = tessera.mul %arg0, %[[P]]
  // CHECK-NEXT: %[[C:.*]] = tessera.xor %arg0, %[[X]]
  // CHECK-NEXT: return %[[A]], %[[B]], %[[C]]
  %max = tessera.constant dense<2147483647> : tensor<2xi32> : tensor<2xi32>
  %c2 = tessera.constant dense<2> : tensor<2xi32> : tensor<2xi32>
  %c3 = tessera.constant dense<3> : tensor<2xi32> : tensor<2xi32>
  %c5 = tessera.constant dense<5> : tensor<2xi32> : tensor<2xi32>
  %0 = tessera.add %max, %i : tensor<2xi32>
  %1 = tessera.add %0, %c2 : tensor<2xi32>
  %2 = tessera.mul %i, %c3 : tensor<2xi32>
  %3 = tessera.mul %c5, %2 : tensor<2xi32>
  %4 = tessera.xor %i, %c3 : tensor<2xi32>
  %5 = tessera.xor %4, %c5 : tensor<2xi32>
  return %1, %3, %5 : tensor<2xi32>, tensor<2xi32>, tensor<2xi32>
}

// (x + 1e30) - 1e30 is not x.
// CHECK-LABEL: @constants_of_floats_stay
func.func @constants_of_floats_stay(%x: tensor<2xf32>) -> tensor<2xf32> {
  // CHECK-COUNT-2: tessera.add
  %big = tessera.constant dense<1.0e30> : tensor<2xf32> : tensor<2xf32>
  %minus = tessera.constant dense<-1.0e30> : tensor<2xf32> : tensor<2xf32>
  %0 = tessera.add %x, %big : tensor<2xf32>
  %1 = tessera.add %0, %minus : tensor<2xf32>
  return %1 : tensor<2xf32>
}
