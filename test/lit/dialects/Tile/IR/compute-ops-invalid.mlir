// RUN: tessera-opt %s --split-input-file --verify-diagnostics

// expected-note @below {{lhs has type 'tensor<2x3x5xf32>'}}
func.func @factors_are_matrices(%a: tensor<2x3x5xf32>, %b: tensor<5x7xf32>, %c: tensor<2x7xf32>) {
  // expected-error @below {{expects lhs of rank 2, got rank 3}}
  %0 = tile.dot %a, %b, %c : tensor<2x3x5xf32>, tensor<5x7xf32> -> tensor<2x7xf32>
  return
}

// -----

// expected-note @below {{rhs has type 'tensor<5x7xf32>'}}
func.func @factors_agree_on_the_summed_dimension(%a: tensor<2x3xf32>, %b: tensor<5x7xf32>, %c: tensor<2x7xf32>) {
  // expected-error @below {{expects rhs of shape [3, 7], got [5, 7]}}
  %0 = tile.dot %a, %b, %c : tensor<2x3xf32>, tensor<5x7xf32> -> tensor<2x7xf32>
  return
}

// -----

// expected-note @below {{the accumulator has type 'tensor<5x2xf32>'}}
func.func @an_accumulator_has_the_shape_of_the_product(%a: tensor<2x3xf32>, %b: tensor<3x5xf32>, %c: tensor<5x2xf32>) {
  // expected-error @below {{expects the accumulator of shape [2, 5], got [5, 2]}}
  %0 = tile.dot %a, %b, %c : tensor<2x3xf32>, tensor<3x5xf32> -> tensor<5x2xf32>
  return
}

// -----

// expected-note @below {{rhs has type 'tensor<3x5xbf16>'}}
func.func @factors_have_one_element_type(%a: tensor<2x3xf32>, %b: tensor<3x5xbf16>, %c: tensor<2x5xf32>) {
  // expected-error @below {{expects rhs of element type 'f32', got 'bf16'}}
  // expected-note @below {{elements are never converted silently; use arith.extf, arith.truncf or their like}}
  %0 = tile.dot %a, %b, %c : tensor<2x3xf32>, tensor<3x5xbf16> -> tensor<2x5xf32>
  return
}

// -----

// expected-note @below {{the accumulator has type 'tensor<2x5xf16>'}}
func.func @narrow_products_are_added_in_f32(%a: tensor<2x3xf16>, %b: tensor<3x5xf16>, %c: tensor<2x5xf16>) {
  // expected-error @below {{adds products of 'f16' in 'f32', but its accumulator holds 'f16'}}
  // expected-note @below {{accumulate in 'f32' and convert the finished sum}}
  %0 = tile.dot %a, %b, %c : tensor<2x3xf16>, tensor<3x5xf16> -> tensor<2x5xf16>
  return
}

// -----

func.func @a_triangle_has_a_diagonal(%a: tensor<2x3xf32>, %b: tensor<3x5xf32>, %c: tensor<2x5xf32>) {
  // expected-error @below {{has a triangle but no diagonal; give one by `at`}}
  %0 = tile.dot %a, %b, %c result lower : tensor<2x3xf32>, tensor<3x5xf32> -> tensor<2x5xf32>
  return
}

// -----

func.func @a_diagonal_has_a_triangle(%a: tensor<2x3xf32>, %b: tensor<3x5xf32>, %c: tensor<2x5xf32>, %d: index) {
  // expected-error @below {{has a diagonal but no triangle; name `result lower`, `result upper`, `lhs lower` or `lhs upper` before it}}
  %0 = tile.dot %a, %b, %c at %d : tensor<2x3xf32>, tensor<3x5xf32> -> tensor<2x5xf32>
  return
}

// -----

func.func @one_triangle_counts(%a: tensor<2x3xf32>, %b: tensor<3x5xf32>, %c: tensor<2x5xf32>, %d: index) {
  // expected-error @below {{has a triangle of the result and one of lhs; one of them has to be left out}}
  %0 = tile.dot %a, %b, %c result lower lhs upper at %d : tensor<2x3xf32>, tensor<3x5xf32> -> tensor<2x5xf32>
  return
}

// -----

func.func @only_exponentials_are_of_what_is_not_above_zero(%x: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error @below {{tile.non_positive is a unit attribute of math.exp of f32}}
  %0 = arith.negf %x {tile.non_positive} : tensor<2xf32>
  return %0 : tensor<2xf32>
}

// -----

func.func @only_floats_may_be_no_numbers(%x: tensor<2x3xi32>) {
  // expected-error @below {{has `numbers`, which is for max and min of floats; leave it out}}
  %0 = tile.reduce max %x dim 1 numbers : tensor<2x3xi32> -> tensor<2x1xi32>
  return
}

// -----

func.func @booleans_have_no_sum(%x: tensor<2x3xi1>) {
  // expected-error @below {{must be statically shaped tensor of rank 1 or more with elements of f64, f32, bf16, f16, i8, i32 or i64, but got 'tensor<2x3xi1>'}}
  %0 = tile.reduce sum %x dim 1 : tensor<2x3xi1> -> tensor<2x1xi1>
  return
}

// -----

func.func @kinds_of_reductions_are_known(%x: tensor<2x3xf32>) {
  // expected-error @below {{expected string or keyword containing one of the following enum values for attribute 'kind' [sum, max, min, prod]}}
  %0 = tile.reduce mean %x dim 1 : tensor<2x3xf32> -> tensor<2x1xf32>
  return
}

// -----

func.func @a_reduced_dimension_exists(%x: tensor<2x3xf32>) {
  // expected-error @below {{names dimension 2 of a tile of rank 2; dimensions count from 0 to 1}}
  %0 = tile.reduce sum %x dim 2 : tensor<2x3xf32> -> tensor<2x1xf32>
  return
}

// -----

func.func @a_reduced_dimension_stays_with_size_1(%x: tensor<2x3xf32>) {
  // expected-error @below {{expects a result of shape [2, 1], got [2]}}
  %0 = tile.reduce sum %x dim 1 : tensor<2x3xf32> -> tensor<2xf32>
  return
}

// -----

func.func @reductions_keep_the_element_type(%x: tensor<2x3xbf16>) {
  // expected-error @below {{expects a result of element type 'bf16', got 'f32'}}
  // expected-note @below {{elements are never converted silently}}
  %0 = tile.reduce sum %x dim 1 : tensor<2x3xbf16> -> tensor<2x1xf32>
  return
}

// -----

func.func @broadcasts_keep_the_rank(%x: tensor<3xf32>) {
  // expected-error @below {{expects a result of rank 1, got rank 2}}
  %0 = tile.broadcast %x : tensor<3xf32> -> tensor<2x3xf32>
  return
}

// -----

// expected-note @below {{the input has type 'tensor<2x3xf32>'}}
func.func @only_dimensions_of_size_1_are_repeated(%x: tensor<2x3xf32>) {
  // expected-error @below {{cannot repeat dimension 1 of size 3 to size 6; only dimensions of size 1 are repeated}}
  %0 = tile.broadcast %x : tensor<2x3xf32> -> tensor<2x6xf32>
  return
}

// -----

func.func @reshapes_keep_the_elements(%x: tensor<2x3xf32>) {
  // expected-error @below {{cannot give 6 elements of shape [2, 3] the shape [5] of 5}}
  %0 = tile.reshape %x : tensor<2x3xf32> -> tensor<5xf32>
  return
}

// -----

func.func @a_permutation_names_every_dimension_once(%x: tensor<2x3xf32>) {
  // expected-error @below {{[1, 1] is not a permutation of the dimensions 0 to 1}}
  %0 = tile.trans %x [1, 1] : tensor<2x3xf32> -> tensor<3x3xf32>
  return
}

// -----

func.func @a_permutation_has_as_many_entries_as_dimensions(%x: tensor<2x3xf32>) {
  // expected-error @below {{[0] is not a permutation of the dimensions 0 to 1}}
  %0 = tile.trans %x [0] : tensor<2x3xf32> -> tensor<2xf32>
  return
}

// -----

func.func @a_transposed_shape_is_permuted(%x: tensor<2x3xf32>) {
  // expected-error @below {{expects a result of shape [3, 2], got [2, 3]}}
  %0 = tile.trans %x [1, 0] : tensor<2x3xf32> -> tensor<2x3xf32>
  return
}

// -----

func.func @indices_are_along_a_dimension() {
  // expected-error @below {{names dimension -1 of a tile of rank 2; dimensions count from 0 to 1}}
  %0 = tile.iota dim -1 : tensor<2x3xi32>
  return
}

// -----

func.func @indices_are_integers() {
  // expected-error @below {{with elements of i32 or i64, but got 'tensor<2x3xf32>'}}
  %0 = tile.iota dim 1 : tensor<2x3xf32>
  return
}

// -----

func.func @a_splat_has_the_type_of_its_scalar(%s: f32) {
  // expected-error @below {{expects a result of element type 'f32', got 'f64'}}
  // expected-note @below {{elements are never converted silently}}
  %0 = tile.splat %s : f32 -> tensor<2x3xf64>
  return
}

// -----

func.func @tiles_have_a_dimension(%s: f32) {
  // expected-error @below {{must be statically shaped tensor of rank 1 or more}}
  %0 = tile.splat %s : f32 -> tensor<f32>
  return
}

// -----

func.func @a_scanned_dimension_exists(%x: tensor<2x3xf32>, %c: tensor<2x1xf32>) {
  // expected-error @below {{names dimension 2 of a tile of rank 2; dimensions count from 0 to 1}}
  %0:2 = tile.scan sum %x dim 2 carry %c : tensor<2x3xf32>, tensor<2x1xf32>
  return
}

// -----

// expected-note @below {{the carry has type 'tensor<1x3xf32>'}}
func.func @a_carry_has_one_element_a_row(%x: tensor<2x3xf32>, %c: tensor<1x3xf32>) {
  // expected-error @below {{expects the carry of shape [2, 1], got [1, 3]}}
  %0:2 = tile.scan sum %x dim 1 carry %c : tensor<2x3xf32>, tensor<1x3xf32>
  return
}
