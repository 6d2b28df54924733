// RUN: tessera-opt %s --split-input-file --verify-diagnostics

// expected-note @below {{the input has type 'tensor<7x5xf32>'}}
func.func @each_dimension_has_a_start(%x: tensor<7x5xf32>, %i: tensor<i32>) -> tensor<1x5xf32> {
  // expected-error @below {{has 1 starts, the input has rank 2}}
  // expected-note @below {{give one start per dimension of the input; 0 for a dimension that is taken whole}}
  %0 = tessera.dynamic_slice %x [%i] : (tensor<7x5xf32>, tensor<i32>) -> tensor<1x5xf32>
  return %0 : tensor<1x5xf32>
}

// -----

func.func @starts_are_i32(%x: tensor<7xf32>, %i: tensor<i64>) -> tensor<1xf32> {
  // expected-error @below {{operand #1 must be variadic of mesh tensor or tensor of one i32, without dimensions}}
  %0 = tessera.dynamic_slice %x [%i] : (tensor<7xf32>, tensor<i64>) -> tensor<1xf32>
  return %0 : tensor<1xf32>
}

// -----

// expected-note @below {{the input has type 'tensor<7x5xf32>'}}
func.func @a_box_lies_within_its_input(%x: tensor<7x5xf32>, %i: tensor<i32>) -> tensor<8x5xf32> {
  // expected-error @below {{has a box of size 8 in dimension 0 of size 7}}
  // expected-note @below {{a box must be within the input; make it smaller, or extend the input with tessera.pad}}
  %0 = tessera.dynamic_slice %x [%i, %i] : (tensor<7x5xf32>, tensor<i32>, tensor<i32>) -> tensor<8x5xf32>
  return %0 : tensor<8x5xf32>
}

// -----

// expected-note @below {{the input has type 'tensor<7x5xf32>'}}
func.func @a_box_has_all_dimensions(%x: tensor<7x5xf32>, %i: tensor<i32>, %u: tensor<5xf32>) -> tensor<7x5xf32> {
  // expected-error @below {{expects the update of rank 2, got rank 1}}
  // expected-note @below {{a box has all dimensions of the input}}
  %0 = tessera.dynamic_update_slice %x [%i, %i] = %u : (tensor<7x5xf32>, tensor<i32>, tensor<i32>, tensor<5xf32>) -> tensor<7x5xf32>
  return %0 : tensor<7x5xf32>
}

// -----

func.func @an_update_has_the_element_type(%x: tensor<7xf32>, %i: tensor<i32>, %u: tensor<1xi32>) -> tensor<7xf32> {
  // expected-error @below {{expects the update of element type 'f32', got 'i32'}}
  // expected-note @below {{element types are never converted silently}}
  %0 = tessera.dynamic_update_slice %x [%i] = %u : (tensor<7xf32>, tensor<i32>, tensor<1xi32>) -> tensor<7xf32>
  return %0 : tensor<7xf32>
}
