// RUN: tessera-opt %s --split-input-file --verify-diagnostics

// expected-note @below {{the input has type 'tensor<2x3xf32>'}}
func.func @a_dimension_is_out_of_range(%x: tensor<2x3xf32>) -> tensor<2xf32> {
  // expected-error @below {{dims [2] holds 2, but the tensor has rank 2}}
  // expected-note @below {{the input has dimensions 0 to 1}}
  %0 = tessera.reduce sum %x dims [2] : tensor<2x3xf32> -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// -----

func.func @dimensions_ascend(%x: tensor<2x3x5xf32>) -> tensor<3xf32> {
  // expected-error @below {{dims [2, 0] must ascend without repetition}}
  // expected-note @below {{in order they are [0, 2]; tessera.transpose puts dimensions in another order}}
  %0 = tessera.reduce sum %x dims [2, 0] : tensor<2x3x5xf32> -> tensor<3xf32>
  return %0 : tensor<3xf32>
}

// -----

// expected-note @below {{the first operand has type 'tensor<2x3xf32>'}}
func.func @reduced_dimensions_are_dropped(%x: tensor<2x3xf32>) -> tensor<2x1xf32> {
  // expected-error @below {{expects a result of shape [2], got [2, 1]}}
  // expected-note @below {{reduced dimensions are dropped}}
  %0 = tessera.reduce max %x dims [1] : tensor<2x3xf32> -> tensor<2x1xf32>
  return %0 : tensor<2x1xf32>
}

// -----

func.func @the_element_type_stays(%x: tensor<2x3xbf16>) -> tensor<2xf32> {
  // expected-error @below {{expects a result of element type 'bf16', got 'f32'}}
  // expected-note @below {{use tessera.convert}}
  %0 = tessera.reduce sum %x dims [1] : tensor<2x3xbf16> -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// -----

// expected-note @below {{the input has type 'tensor<2x3xf32>'}}
func.func @a_combined_dimension_exists(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{has dimension 2, but the tensor has rank 2; dimensions count from 0}}
  // expected-note @below {{the input has dimensions 0 to 1}}
  %0 = tessera.cumulative sum %x dim 2 : tensor<2x3xf32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// expected-note @below {{the first operand has type 'tensor<2x3xf32>'}}
func.func @a_cumulative_op_keeps_the_shape(%x: tensor<2x3xf32>) -> tensor<2xf32> {
  // expected-error @below {{expects a result of shape [2, 3], got [2]}}
  // expected-note @below {{it has an element for each of the input}}
  %0 = tessera.cumulative sum %x dim 1 : tensor<2x3xf32> -> tensor<2xf32>
  return %0 : tensor<2xf32>
}
