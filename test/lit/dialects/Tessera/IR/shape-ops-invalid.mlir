// RUN: tessera-opt %s --split-input-file --verify-diagnostics

// expected-note @below {{the input has type 'tensor<2x3xf32>'}}
func.func @reshape_keeps_the_number_of_elements(%x: tensor<2x3xf32>) -> tensor<7xf32> {
  // expected-error @below {{cannot give 6 elements of shape [2, 3] the shape [7] of 7}}
  // expected-note @below {{a reshape keeps all elements; use tessera.slice to drop some, tessera.pad or tessera.broadcast for more}}
  %0 = tessera.reshape %x : tensor<2x3xf32> -> tensor<7xf32>
  return %0 : tensor<7xf32>
}

// -----

// expected-note @below {{the input has type 'tensor<2x3xf32>'}}
func.func @transpose_takes_a_permutation(%x: tensor<2x3xf32>) -> tensor<2x2xf32> {
  // expected-error @below {{[0, 0] is not a permutation of the dimensions 0 to 1}}
  // expected-note @below {{name each dimension once: entry i is the input dimension that becomes dimension i of the result}}
  %0 = tessera.transpose %x [0, 0] : tensor<2x3xf32> -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

// -----

// expected-note @below {{the input has type 'tensor<2x3xf32>'}}
func.func @transpose_names_every_dimension(%x: tensor<2x3xf32>) -> tensor<2xf32> {
  // expected-error @below {{permutation has 1 entries, the input has rank 2}}
  // expected-note @below {{give one entry per dimension of the input}}
  %0 = tessera.transpose %x [0] : tensor<2x3xf32> -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// -----

// expected-note @below {{the first operand has type 'tensor<2x3xf32>'}}
func.func @transpose_permutes_the_shape(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{expects a result of shape [3, 2], got [2, 3]}}
  // expected-note @below {{its operands and attributes make it so; write that shape in the result's type}}
  %0 = tessera.transpose %x [1, 0] : tensor<2x3xf32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// expected-note @below {{the input has type 'tensor<3xf32>'}}
func.func @broadcast_repeats_ones_only(%x: tensor<3xf32>) -> tensor<2x5xf32> {
  // expected-error @below {{input dimension 0 of size 3 cannot become result dimension 1 of size 5; it must have that size, or 1}}
  %0 = tessera.broadcast %x dims [1] : tensor<3xf32> -> tensor<2x5xf32>
  return %0 : tensor<2x5xf32>
}

// -----

func.func @broadcast_keeps_the_order(%x: tensor<2x3xf32>) -> tensor<3x2xf32> {
  // expected-error @below {{dims [1, 0] must ascend without repetition}}
  // expected-note @below {{in order they are [0, 1]; tessera.transpose puts dimensions in another order}}
  %0 = tessera.broadcast %x dims [1, 0] : tensor<2x3xf32> -> tensor<3x2xf32>
  return %0 : tensor<3x2xf32>
}

// -----

// expected-note @below {{the input has type 'tensor<2x3xf32>'}}
func.func @slice_stays_inside(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{takes 1 to 4 by 1 of dimension 1 of size 3; expected 0 <= start <= limit <= size and stride >= 1}}
  // expected-note @below {{a slice goes forward within its input; tessera.pad extends a dimension}}
  %0 = tessera.slice %x [0, 1] to [2, 4] by [1, 1] : tensor<2x3xf32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// expected-note @below {{the input has type 'tensor<2x3xf32>'}}
func.func @slice_steps_forward(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{takes 0 to 3 by 0 of dimension 1 of size 3}}
  // expected-note @below {{a slice goes forward within its input; tessera.pad extends a dimension}}
  %0 = tessera.slice %x [0, 0] to [2, 3] by [1, 0] : tensor<2x3xf32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// expected-note @below {{input 1 has type 'tensor<3x5xf32>'}}
func.func @joined_values_agree_elsewhere(%x: tensor<2x3xf32>, %y: tensor<3x5xf32>) -> tensor<2x8xf32> {
  // expected-error @below {{expects input 1 of shape [2, 5], got [3, 5]}}
  // expected-note @below {{inputs differ in the joined dimension only}}
  %0 = tessera.concatenate %x, %y dim 1 : (tensor<2x3xf32>, tensor<3x5xf32>) -> tensor<2x8xf32>
  return %0 : tensor<2x8xf32>
}

// -----

func.func @joined_values_have_one_element_type(%x: tensor<2x3xf32>, %y: tensor<2x5xbf16>) -> tensor<2x8xf32> {
  // expected-error @below {{expects input 1 of element type 'f32', got 'bf16'}}
  // expected-note @below {{use tessera.convert}}
  %0 = tessera.concatenate %x, %y dim 1 : (tensor<2x3xf32>, tensor<2x5xbf16>) -> tensor<2x8xf32>
  return %0 : tensor<2x8xf32>
}

// -----

func.func @something_is_joined() -> tensor<2x8xf32> {
  // expected-error @below {{expects at least one value}}
  // expected-note @below {{name the values to join: tessera.concatenate %a, %b dim 0}}
  %0 = "tessera.concatenate"() {dim = 1 : i64} : () -> tensor<2x8xf32>
  return %0 : tensor<2x8xf32>
}

// -----

func.func @pad_only_adds(%x: tensor<2x3xf32>) -> tensor<2x2xf32> {
  // expected-error @below {{pads dimension 1 by -1 and 0; expected 0 or more}}
  // expected-note @below {{use tessera.slice to remove elements}}
  %0 = tessera.pad %x low [0, -1] high [0, 0] value 0.0 : f32 : tensor<2x3xf32> -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

// -----

// expected-note @below {{the input has type 'tensor<2x3xf32>'}}
func.func @pad_adds_elements_of_the_type(%x: tensor<2x3xf32>) -> tensor<2x4xf32> {
  // expected-error @below {{pads with a value of type 'i32', the elements have type 'f32'}}
  // expected-note @below {{write the value's type behind it, as in value 0.0 : f32}}
  %0 = tessera.pad %x low [0, 1] high [0, 0] value 0 : i32 : tensor<2x3xf32> -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

func.func @shapes_change_within_one_mesh(%x: !tessera.mesh_tensor<2x3xf32, @a>) -> !tessera.mesh_tensor<6xf32, @b> {
  // expected-error @below {{'tessera.reshape' op mixes tensors of mesh @a and mesh @b}}
  // expected-note @below {{an op works on one mesh; give its operands the same}}
  %0 = tessera.reshape %x : !tessera.mesh_tensor<2x3xf32, @a> -> !tessera.mesh_tensor<6xf32, @b>
  return %0 : !tessera.mesh_tensor<6xf32, @b>
}

// -----

func.func @reshape_keeps_the_element_type(%x: tensor<2x3xf32>) -> tensor<6xi32> {
  // expected-error @below {{'tessera.reshape' op expects a result of element type 'f32', got 'i32'}}
  // expected-note @below {{element types are never converted silently; use tessera.convert}}
  %0 = tessera.reshape %x : tensor<2x3xf32> -> tensor<6xi32>
  return %0 : tensor<6xi32>
}

// -----

// expected-note @below {{the input has type 'tensor<2x3xf32>'}}
func.func @broadcast_names_every_dimension(%x: tensor<2x3xf32>) -> tensor<2x3x5xf32> {
  // expected-error @below {{dims has 1 entries, the input has rank 2}}
  // expected-note @below {{give one entry per dimension of the input}}
  %0 = tessera.broadcast %x dims [0] : tensor<2x3xf32> -> tensor<2x3x5xf32>
  return %0 : tensor<2x3x5xf32>
}

// -----

func.func @broadcast_names_dimensions_of_the_result(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{dims [0, 2] holds 2, but the tensor has rank 2}}
  // expected-note @below {{the result has dimensions 0 to 1}}
  %0 = tessera.broadcast %x dims [0, 2] : tensor<2x3xf32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// expected-note @below {{the input has type 'tensor<2x3xf32>'}}
func.func @slice_starts_in_every_dimension(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{starts has 1 entries, the input has rank 2}}
  // expected-note @below {{give one entry per dimension of the input}}
  %0 = tessera.slice %x [0] to [2, 3] by [1, 1] : tensor<2x3xf32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// expected-note @below {{the input has type 'tensor<2x3xf32>'}}
func.func @slice_steps_in_every_dimension(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{strides has 3 entries, the input has rank 2}}
  // expected-note @below {{give one entry per dimension of the input}}
  %0 = tessera.slice %x [0, 0] to [2, 3] by [1, 1, 1] : tensor<2x3xf32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// expected-note @below {{the first operand has type 'tensor<2x7xf32>'}}
func.func @slice_has_the_size_of_the_box(%x: tensor<2x7xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{expects a result of shape [2, 2], got [2, 3]}}
  // expected-note @below {{its operands and attributes make it so; write that shape in the result's type}}
  %0 = tessera.slice %x [0, 1] to [2, 5] by [1, 2] : tensor<2x7xf32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// expected-note @below {{input 0 has type 'tensor<2x3xf32>'}}
func.func @concatenate_joins_an_existing_dimension(%x: tensor<2x3xf32>) -> tensor<4x3xf32> {
  // expected-error @below {{has dimension 2, but the tensor has rank 2; dimensions count from 0}}
  // expected-note @below {{input 0 has dimensions 0 to 1}}
  %0 = tessera.concatenate %x, %x dim 2 : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<4x3xf32>
  return %0 : tensor<4x3xf32>
}

// -----

func.func @concatenate_joins_one_element_type(%x: tensor<2x3xf32>, %y: tensor<2x3xbf16>) -> tensor<4x3xf32> {
  // expected-error @below {{expects input 1 of element type 'f32', got 'bf16'}}
  // expected-note @below {{element types are never converted silently; use tessera.convert}}
  %0 = tessera.concatenate %x, %y dim 0 : (tensor<2x3xf32>, tensor<2x3xbf16>) -> tensor<4x3xf32>
  return %0 : tensor<4x3xf32>
}

// -----

// expected-note @below {{the first operand has type 'tensor<2x3xf32>'}}
func.func @concatenate_adds_up(%x: tensor<2x3xf32>) -> tensor<5x3xf32> {
  // expected-error @below {{expects a result of shape [4, 3], got [5, 3]}}
  // expected-note @below {{its operands and attributes make it so; write that shape in the result's type}}
  %0 = tessera.concatenate %x, %x dim 0 : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<5x3xf32>
  return %0 : tensor<5x3xf32>
}

// -----

// expected-note @below {{the input has type 'tensor<2x3xf32>'}}
func.func @pad_names_every_dimension(%x: tensor<2x3xf32>) -> tensor<2x4xf32> {
  // expected-error @below {{high has 1 entries, the input has rank 2}}
  // expected-note @below {{give one entry per dimension of the input}}
  %0 = tessera.pad %x low [0, 0] high [1] value 0.0 : f32 : tensor<2x3xf32> -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

// expected-note @below {{the first operand has type 'tensor<2x3xf32>'}}
func.func @pad_adds_up(%x: tensor<2x3xf32>) -> tensor<2x5xf32> {
  // expected-error @below {{expects a result of shape [2, 4], got [2, 5]}}
  // expected-note @below {{its operands and attributes make it so; write that shape in the result's type}}
  %0 = tessera.pad %x low [0, 0] high [0, 1] value 0.0 : f32 : tensor<2x3xf32> -> tensor<2x5xf32>
  return %0 : tensor<2x5xf32>
}
