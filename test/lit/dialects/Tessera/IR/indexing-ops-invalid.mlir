// RUN: tessera-opt %s --split-input-file --verify-diagnostics

// expected-note @below {{the source has type 'tensor<7x5xf32>'}}
func.func @the_indexed_dimension_exists(%x: tensor<7x5xf32>, %i: tensor<2x3xi32>) -> tensor<2x3x5xf32> {
  // expected-error @below {{has dimension 2, but the tensor has rank 2; dimensions count from 0}}
  // expected-note @below {{the source has dimensions 0 to 1}}
  %0 = tessera.gather %x [%i] dim 2 : tensor<7x5xf32>, tensor<2x3xi32> -> tensor<2x3x5xf32>
  return %0 : tensor<2x3x5xf32>
}

// -----

// expected-note @below {{the first operand has type 'tensor<7x5xf32>'}}
func.func @the_shape_of_the_indices_replaces_the_dimension(%x: tensor<7x5xf32>, %i: tensor<2x3xi32>) -> tensor<7x2x5xf32> {
  // expected-error @below {{expects a result of shape [7, 2, 3], got [7, 2, 5]}}
  // expected-note @below {{the indices' shape stands in place of the indexed dimension}}
  %0 = tessera.gather %x [%i] dim 1 : tensor<7x5xf32>, tensor<2x3xi32> -> tensor<7x2x5xf32>
  return %0 : tensor<7x2x5xf32>
}

// -----

func.func @indices_are_integers(%x: tensor<7x5xf32>, %i: tensor<2x3xf32>) -> tensor<2x3x5xf32> {
  // expected-error @below {{operand #1 must be mesh tensor or statically shaped tensor of i32, ui32 or i64}}
  %0 = tessera.gather %x [%i] dim 0 : tensor<7x5xf32>, tensor<2x3xf32> -> tensor<2x3x5xf32>
  return %0 : tensor<2x3x5xf32>
}
