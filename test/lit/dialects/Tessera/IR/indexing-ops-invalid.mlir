// RUN: tessera-opt %s --split-input-file --verify-diagnostics

// expected-note @below {{the source has type 'tensor<7x5xf32>'}}
func.func @the_indexed_dimension_exists(%x: tensor<7x5xf32>, %i: tensor<2x3xi32>) -> tensor<2x3x5xf32> {
  // expected-error @below {{dims [2] holds 2, but the tensor has rank 2}}
  // expected-note @below {{the source has dimensions 0 to 1}}
  %0 = tessera.gather %x [%i] dims [2] : (tensor<7x5xf32>, tensor<2x3xi32>) -> tensor<2x3x5xf32>
  return %0 : tensor<2x3x5xf32>
}

// -----

// expected-note @below {{the first operand has type 'tensor<7x5xf32>'}}
func.func @the_shape_of_the_indices_replaces_the_dimension(%x: tensor<7x5xf32>, %i: tensor<2x3xi32>) -> tensor<7x2x5xf32> {
  // expected-error @below {{expects a result of shape [7, 2, 3], got [7, 2, 5]}}
  // expected-note @below {{the indices' shape stands in place of the indexed dimension}}
  %0 = tessera.gather %x [%i] dims [1] : (tensor<7x5xf32>, tensor<2x3xi32>) -> tensor<7x2x5xf32>
  return %0 : tensor<7x2x5xf32>
}

// -----

func.func @indices_are_integers(%x: tensor<7x5xf32>, %i: tensor<2x3xf32>) -> tensor<2x3x5xf32> {
  // expected-error @below {{operand #1 must be variadic of mesh tensor or statically shaped tensor of i32, ui32 or i64}}
  %0 = tessera.gather %x [%i] dims [0] : (tensor<7x5xf32>, tensor<2x3xf32>) -> tensor<2x3x5xf32>
  return %0 : tensor<2x3x5xf32>
}

// -----

func.func @there_are_indices_for_each_indexed_dimension(%x: tensor<7x5xf32>, %i: tensor<3xi32>) -> tensor<3xf32> {
  // expected-error @below {{has 1 tensors of indices for 2 indexed dimensions}}
  // expected-note @below {{give at least one, and one per indexed dimension}}
  %0 = tessera.gather %x [%i] dims [0, 1] : (tensor<7x5xf32>, tensor<3xi32>) -> tensor<3xf32>
  return %0 : tensor<3xf32>
}

// -----

// expected-note @below {{indices 1 has type 'tensor<2xi32>'}}
func.func @indices_have_one_shape(%x: tensor<7x5xf32>, %i: tensor<3xi32>, %j: tensor<2xi32>) -> tensor<3xf32> {
  // expected-error @below {{expects indices 1 of shape [3], got [2]}}
  // expected-note @below {{all indices have one shape; tessera.broadcast gives them that}}
  %0 = tessera.gather %x [%i, %j] dims [0, 1] : (tensor<7x5xf32>, tensor<3xi32>, tensor<2xi32>) -> tensor<3xf32>
  return %0 : tensor<3xf32>
}

// -----

// expected-note @below {{the source has type 'tensor<7x5xf32>'}}
// expected-note @below {{the first indices has type 'tensor<4x3xi32>'}}
func.func @batch_dimensions_have_one_size(%x: tensor<7x5xf32>, %i: tensor<4x3xi32>) -> tensor<7x3xf32> {
  // expected-error @below {{pairs dimension 0 of size 7 of the source with dimension 0 of size 4 of the indices}}
  // expected-note @below {{batch dimensions that are paired have one size}}
  %0 = tessera.gather %x [%i] dims [1] batch [0] = [0] : (tensor<7x5xf32>, tensor<4x3xi32>) -> tensor<7x3xf32>
  return %0 : tensor<7x3xf32>
}

// -----

func.func @an_indexed_dimension_is_none_of_the_batch(%x: tensor<7x5xf32>, %i: tensor<5x3xi32>) -> tensor<7x3xf32> {
  // expected-error @below {{pairs dimension 1 of the source with dimension 0 of the indices, but one of the two is already indexed or paired}}
  // expected-note @below {{a dimension is indexed, or one of a batch, or neither}}
  %0 = tessera.gather %x [%i] dims [1] batch [1] = [0] : (tensor<7x5xf32>, tensor<5x3xi32>) -> tensor<7x3xf32>
  return %0 : tensor<7x3xf32>
}

// -----

// expected-note @below {{updates has type 'tensor<2x5xf32>'}}
func.func @updates_have_the_shape_of_slices(%x: tensor<7x5xf32>, %i: tensor<3xi32>, %u: tensor<2x5xf32>) -> tensor<7x5xf32> {
  // expected-error @below {{expects updates of shape [3, 5], got [2, 5]}}
  // expected-note @below {{a scatter writes what a gather of the same dimensions reads}}
  %0 = tessera.scatter add %x [%i] = %u dims [0] : (tensor<7x5xf32>, tensor<3xi32>, tensor<2x5xf32>) -> tensor<7x5xf32>
  return %0 : tensor<7x5xf32>
}

// -----

// expected-note @below {{the input has type 'tensor<7xi1>'}}
func.func @truth_values_have_no_sum(%x: tensor<7xi1>, %i: tensor<3xi32>, %u: tensor<3xi1>) -> tensor<7xi1> {
  // expected-error @below {{adds truth values, which have no sum}}
  // expected-note @below {{use max for `or`, or convert them to i32}}
  %0 = tessera.scatter add %x [%i] = %u dims [0] : (tensor<7xi1>, tensor<3xi32>, tensor<3xi1>) -> tensor<7xi1>
  return %0 : tensor<7xi1>
}

// -----

func.func @a_permutation_is_of_i32(%x: tensor<7xf32>) -> tensor<7xi64> {
  // expected-error @below {{expects a result of element type 'i32', got 'i64'}}
  // expected-note @below {{element types are never converted silently}}
  %0 = tessera.argsort %x dim 0 : tensor<7xf32> -> tensor<7xi64>
  return %0 : tensor<7xi64>
}
