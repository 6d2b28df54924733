// RUN: tessera-opt %s --split-input-file --verify-diagnostics

func.func @the_specification_has_a_form(%x: tensor<2x3xf32>, %y: tensor<3x5xf32>) -> tensor<2x5xf32> {
  // expected-error @below {{expects a specification such as "bsk,kn->bsn", got "mk kn"}}
  // expected-note @below {{"bsk,kn->bsn" multiplies [b, s, k] by [k, n] and sums over k}}
  %0 = tessera.contract %x, %y "mk kn" : tensor<2x3xf32>, tensor<3x5xf32> -> tensor<2x5xf32>
  return %0 : tensor<2x5xf32>
}

// -----

// expected-note @below {{the left factor has type 'tensor<2x3xf32>'}}
func.func @each_dimension_has_a_letter(%x: tensor<2x3xf32>, %y: tensor<3x5xf32>) -> tensor<2x5xf32> {
  // expected-error @below {{names 3 indices 'bmk' for the left factor, which has rank 2}}
  // expected-note @below {{give each dimension one letter, in its order}}
  %0 = tessera.contract %x, %y "bmk,kn->mn" : tensor<2x3xf32>, tensor<3x5xf32> -> tensor<2x5xf32>
  return %0 : tensor<2x5xf32>
}

// -----

func.func @indices_are_letters(%x: tensor<2x3xf32>, %y: tensor<3x5xf32>) -> tensor<2x5xf32> {
  // expected-error @below {{has index '1' in "m1,1n->mn"; indices are letters}}
  // expected-note @below {{"bsk,kn->bsn" multiplies [b, s, k] by [k, n] and sums over k}}
  %0 = tessera.contract %x, %y "m1,1n->mn" : tensor<2x3xf32>, tensor<3x5xf32> -> tensor<2x5xf32>
  return %0 : tensor<2x5xf32>
}

// -----

func.func @a_letter_occurs_once_in_a_factor(%x: tensor<3x3xf32>, %y: tensor<3x5xf32>) -> tensor<3x5xf32> {
  // expected-error @below {{repeats index 'k' in the left factor 'kk'}}
  // expected-note @below {{diagonals are not supported: give each dimension of one tensor a letter of its own}}
  %0 = tessera.contract %x, %y "kk,kn->kn" : tensor<3x3xf32>, tensor<3x5xf32> -> tensor<3x5xf32>
  return %0 : tensor<3x5xf32>
}

// -----

// expected-note @below {{the left factor has type 'tensor<2x3xf32>'}}
// expected-note @below {{the right factor has type 'tensor<5x7xf32>'}}
func.func @equal_letters_have_equal_sizes(%x: tensor<2x3xf32>, %y: tensor<5x7xf32>) -> tensor<2x7xf32> {
  // expected-error @below {{index 'k' has size 3 in the left factor and 5 in the right one}}
  %0 = tessera.contract %x, %y "mk,kn->mn" : tensor<2x3xf32>, tensor<5x7xf32> -> tensor<2x7xf32>
  return %0 : tensor<2x7xf32>
}

// -----

func.func @result_letters_come_from_a_factor(%x: tensor<2x3xf32>, %y: tensor<3x5xf32>) -> tensor<2x7xf32> {
  // expected-error @below {{result index 'z' occurs in no factor}}
  // expected-note @below {{use the letters of "mk,kn"; tessera.broadcast adds a dimension}}
  %0 = tessera.contract %x, %y "mk,kn->mz" : tensor<2x3xf32>, tensor<3x5xf32> -> tensor<2x7xf32>
  return %0 : tensor<2x7xf32>
}

// -----

// expected-note @below {{the left factor has type 'tensor<2x3xf32>'}}
// expected-note @below {{the right factor has type 'tensor<3x5xf32>'}}
func.func @result_sizes_are_those_of_the_factors(%x: tensor<2x3xf32>, %y: tensor<3x5xf32>) -> tensor<2x7xf32> {
  // expected-error @below {{index 'n' has size 5 in the factors and 7 in the result}}
  %0 = tessera.contract %x, %y "mk,kn->mn" : tensor<2x3xf32>, tensor<3x5xf32> -> tensor<2x7xf32>
  return %0 : tensor<2x7xf32>
}

// -----

func.func @one_factor_alone_is_not_summed(%x: tensor<2x3x5xf32>, %y: tensor<5x7xf32>) -> tensor<2x7xf32> {
  // expected-error @below {{index 's' occurs in one factor and not in the result}}
  // expected-note @below {{sum that dimension with tessera.reduce first}}
  %0 = tessera.contract %x, %y "msk,kn->mn" : tensor<2x3x5xf32>, tensor<5x7xf32> -> tensor<2x7xf32>
  return %0 : tensor<2x7xf32>
}

// -----

func.func @factors_have_one_element_type(%x: tensor<2x3xf32>, %y: tensor<3x5xbf16>) -> tensor<2x5xf32> {
  // expected-error @below {{expects the right factor of element type 'f32', got 'bf16'}}
  // expected-note @below {{use tessera.convert}}
  %0 = tessera.contract %x, %y "mk,kn->mn" : tensor<2x3xf32>, tensor<3x5xbf16> -> tensor<2x5xf32>
  return %0 : tensor<2x5xf32>
}

// -----

// expected-note @below {{the left factor has type 'tensor<2x3xbf16>'}}
func.func @sums_are_of_the_factors_type_or_f32(%x: tensor<2x3xbf16>, %y: tensor<3x5xbf16>) -> tensor<2x5xf16> {
  // expected-error @below {{expects a result of element type 'bf16' or f32, got 'f16'}}
  // expected-note @below {{other types need tessera.convert behind it}}
  %0 = tessera.contract %x, %y "mk,kn->mn" : tensor<2x3xbf16>, tensor<3x5xbf16> -> tensor<2x5xf16>
  return %0 : tensor<2x5xf16>
}

// -----

// expected-note @below {{the left factor has type 'tensor<2x3xf64>'}}
func.func @sums_of_f64_are_not_narrowed(%x: tensor<2x3xf64>, %y: tensor<3x5xf64>) -> tensor<2x5xf32> {
  // expected-error @below {{expects a result of element type 'f64', got 'f32'}}
  // expected-note @below {{other types need tessera.convert behind it}}
  %0 = tessera.contract %x, %y "mk,kn->mn" : tensor<2x3xf64>, tensor<3x5xf64> -> tensor<2x5xf32>
  return %0 : tensor<2x5xf32>
}
