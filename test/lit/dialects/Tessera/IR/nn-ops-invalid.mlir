// RUN: tessera-opt %s --split-input-file --verify-diagnostics

// expected-note @below {{the input has type 'tensor<2x3xf32>'}}
func.func @softmax_runs_along_a_dimension(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{has dimension 2, but the tensor has rank 2; dimensions count from 0}}
  // expected-note @below {{the input has dimensions 0 to 1}}
  %0 = tessera.softmax %x dim 2 : tensor<2x3xf32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// expected-note @below {{the first operand has type 'tensor<2x3xf32>'}}
func.func @gelu_keeps_the_shape(%x: tensor<2x3xf32>) -> tensor<3x2xf32> {
  // expected-error @below {{expects a result of shape [2, 3], got [3, 2]}}
  // expected-note @below {{its operands and attributes make it so; write that shape in the result's type}}
  %0 = tessera.gelu %x approximation tanh : tensor<2x3xf32> -> tensor<3x2xf32>
  return %0 : tensor<3x2xf32>
}

// -----

// expected-note @below {{scale has type 'tensor<2xf32>'}}
func.func @a_norm_has_one_factor_per_column(%x: tensor<2x3xf32>, %s: tensor<2xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{expects scale of shape [3], got [2]}}
  // expected-note @below {{it has one element per column of the input}}
  %0 = tessera.rms_norm %x, %s epsilon 1.0e-5 : tensor<2x3xf32>, tensor<2xf32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// expected-note @below {{the input has type 'tensor<f32>'}}
func.func @a_norm_has_columns(%x: tensor<f32>, %s: tensor<f32>) -> tensor<f32> {
  // expected-error @below {{expects an input of rank 1 or more}}
  // expected-note @below {{its last dimension is normalised; tessera.reshape gives a scalar one}}
  %0 = tessera.layer_norm %x, %s, %s epsilon 1.0e-5 : tensor<f32>, tensor<f32>, tensor<f32> -> tensor<f32>
  return %0 : tensor<f32>
}

// -----

// expected-note @below {{the key has type 'tensor<2x7x5xf32>'}}
// expected-note @below {{the query has type 'tensor<2x3x5xf32>'}}
// expected-note @below {{the value has type 'tensor<2x7x5xf32>'}}
func.func @attention_takes_four_dimensions(%q: tensor<2x3x5xf32>, %k: tensor<2x7x5xf32>) -> tensor<2x3x5xf32> {
  // expected-error @below {{expects query [B,S,H,D], key [B,T,K,D] and value [B,T,K,E] of rank 4, got [2, 3, 5], [2, 7, 5] and [2, 7, 5]}}
  // expected-note @below {{tessera.reshape takes the heads out of the hidden dimension}}
  %0 = tessera.attention %q, %k, %k scale 0.5 : tensor<2x3x5xf32>, tensor<2x7x5xf32>, tensor<2x7x5xf32> -> tensor<2x3x5xf32>
  return %0 : tensor<2x3x5xf32>
}

// -----

// expected-note @below {{a key has type 'tensor<2x7x4x6xf32>'}}
func.func @query_and_key_have_one_head_size(%q: tensor<2x3x4x5xf32>, %k: tensor<2x7x4x6xf32>) -> tensor<2x3x4x6xf32> {
  // expected-error @below {{expects a key of shape [2, 7, 4, 5], got [2, 7, 4, 6]}}
  // expected-note @below {{batch and head size are those of the query}}
  %0 = tessera.attention %q, %k, %k scale 0.5 : tensor<2x3x4x5xf32>, tensor<2x7x4x6xf32>, tensor<2x7x4x6xf32> -> tensor<2x3x4x6xf32>
  return %0 : tensor<2x3x4x6xf32>
}

// -----

// expected-note @below {{the key has type 'tensor<2x7x3x5xf32>'}}
// expected-note @below {{the query has type 'tensor<2x3x4x5xf32>'}}
func.func @query_heads_form_groups(%q: tensor<2x3x4x5xf32>, %k: tensor<2x7x3x5xf32>) -> tensor<2x3x4x5xf32> {
  // expected-error @below {{has 4 query heads for 3 key heads; the first must be a multiple of the second}}
  %0 = tessera.attention %q, %k, %k scale 0.5 : tensor<2x3x4x5xf32>, tensor<2x7x3x5xf32>, tensor<2x7x3x5xf32> -> tensor<2x3x4x5xf32>
  return %0 : tensor<2x3x4x5xf32>
}

// -----

// expected-note @below {{the bias has type 'tensor<2x3x1x7xf32>'}}
func.func @a_bias_fits_the_scores(%q: tensor<2x3x4x5xf32>, %k: tensor<2x7x4x5xf32>, %b: tensor<2x3x1x7xf32>) -> tensor<2x3x4x5xf32> {
  // expected-error @below {{expects a bias of shape [2, 4, 3, 7], where all but the last may be 1, got [2, 3, 1, 7]}}
  // expected-note @below {{its dimensions are batch, heads, queries and keys}}
  %0 = tessera.attention %q, %k, %k bias %b scale 0.5 : tensor<2x3x4x5xf32>, tensor<2x7x4x5xf32>, tensor<2x7x4x5xf32>, tensor<2x3x1x7xf32> -> tensor<2x3x4x5xf32>
  return %0 : tensor<2x3x4x5xf32>
}

// -----

func.func @softmax_keeps_the_element_type(%x: tensor<2x3xf32>) -> tensor<2x3xbf16> {
  // expected-error @below {{'tessera.softmax' op expects a result of element type 'f32', got 'bf16'}}
  // expected-note @below {{element types are never converted silently; use tessera.convert}}
  %0 = tessera.softmax %x dim 1 : tensor<2x3xf32> -> tensor<2x3xbf16>
  return %0 : tensor<2x3xbf16>
}

// -----

// expected-note @below {{the first operand has type 'tensor<2x3xf32>'}}
func.func @rms_norm_keeps_the_shape(%x: tensor<2x3xf32>, %s: tensor<3xf32>) -> tensor<3x2xf32> {
  // expected-error @below {{'tessera.rms_norm' op expects a result of shape [2, 3], got [3, 2]}}
  // expected-note @below {{its operands and attributes make it so; write that shape in the result's type}}
  %0 = tessera.rms_norm %x, %s epsilon 1.0e-5 : tensor<2x3xf32>, tensor<3xf32> -> tensor<3x2xf32>
  return %0 : tensor<3x2xf32>
}

// -----

// expected-note @below {{bias has type 'tensor<2xf32>'}}
func.func @layer_norm_has_one_bias_per_column(%x: tensor<2x3xf32>, %s: tensor<3xf32>, %b: tensor<2xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{'tessera.layer_norm' op expects bias of shape [3], got [2]}}
  // expected-note @below {{it has one element per column of the input}}
  %0 = tessera.layer_norm %x, %s, %b epsilon 1.0e-5 : tensor<2x3xf32>, tensor<3xf32>, tensor<2xf32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

func.func @a_norm_scales_in_its_element_type(%x: tensor<2x3xbf16>, %s: tensor<3xf32>) -> tensor<2x3xbf16> {
  // expected-error @below {{'tessera.rms_norm' op expects scale of element type 'bf16', got 'f32'}}
  // expected-note @below {{element types are never converted silently; use tessera.convert}}
  %0 = tessera.rms_norm %x, %s epsilon 1.0e-5 : tensor<2x3xbf16>, tensor<3xf32> -> tensor<2x3xbf16>
  return %0 : tensor<2x3xbf16>
}

// -----

func.func @attention_works_on_one_mesh(%q: !tessera.mesh_tensor<2x3x4x5xf32, @a>, %k: !tessera.mesh_tensor<2x7x4x5xf32, @b>) -> !tessera.mesh_tensor<2x3x4x5xf32, @a> {
  // expected-error @below {{'tessera.attention' op mixes tensors of mesh @a and mesh @b}}
  // expected-note @below {{an op works on one mesh}}
  %0 = tessera.attention %q, %k, %k scale 0.5 : !tessera.mesh_tensor<2x3x4x5xf32, @a>, !tessera.mesh_tensor<2x7x4x5xf32, @b>, !tessera.mesh_tensor<2x7x4x5xf32, @b> -> !tessera.mesh_tensor<2x3x4x5xf32, @a>
  return %0 : !tessera.mesh_tensor<2x3x4x5xf32, @a>
}

// -----

// expected-note @below {{a value has type 'tensor<2x6x4x5xf32>'}}
func.func @values_are_as_many_as_keys(%q: tensor<2x3x4x5xf32>, %k: tensor<2x7x4x5xf32>, %v: tensor<2x6x4x5xf32>) -> tensor<2x3x4x5xf32> {
  // expected-error @below {{expects a value of shape [2, 7, 4, 5], got [2, 6, 4, 5]}}
  // expected-note @below {{batch, length and heads are those of the key}}
  %0 = tessera.attention %q, %k, %v scale 0.5 : tensor<2x3x4x5xf32>, tensor<2x7x4x5xf32>, tensor<2x6x4x5xf32> -> tensor<2x3x4x5xf32>
  return %0 : tensor<2x3x4x5xf32>
}

// -----

// expected-note @below {{the first operand has type 'tensor<2x3x4x5xf32>'}}
func.func @attention_has_the_heads_of_the_query(%q: tensor<2x3x4x5xf32>, %k: tensor<2x7x4x5xf32>) -> tensor<2x3x2x5xf32> {
  // expected-error @below {{expects a result of shape [2, 3, 4, 5], got [2, 3, 2, 5]}}
  // expected-note @below {{its operands and attributes make it so; write that shape in the result's type}}
  %0 = tessera.attention %q, %k, %k scale 0.5 : tensor<2x3x4x5xf32>, tensor<2x7x4x5xf32>, tensor<2x7x4x5xf32> -> tensor<2x3x2x5xf32>
  return %0 : tensor<2x3x2x5xf32>
}

// -----

func.func @attention_has_one_element_type(%q: tensor<2x3x4x5xf32>, %k: tensor<2x7x4x5xbf16>) -> tensor<2x3x4x5xf32> {
  // expected-error @below {{expects a key of element type 'f32', got 'bf16'}}
  // expected-note @below {{element types are never converted silently; use tessera.convert}}
  %0 = tessera.attention %q, %k, %k scale 0.5 : tensor<2x3x4x5xf32>, tensor<2x7x4x5xbf16>, tensor<2x7x4x5xbf16> -> tensor<2x3x4x5xf32>
  return %0 : tensor<2x3x4x5xf32>
}

// -----

func.func @a_bias_has_the_element_type(%q: tensor<2x3x4x5xf32>, %k: tensor<2x7x4x5xf32>, %b: tensor<1x1x1x7xbf16>) -> tensor<2x3x4x5xf32> {
  // expected-error @below {{expects a bias of element type 'f32', got 'bf16'}}
  // expected-note @below {{element types are never converted silently; use tessera.convert}}
  %0 = tessera.attention %q, %k, %k bias %b scale 0.5 : tensor<2x3x4x5xf32>, tensor<2x7x4x5xf32>, tensor<2x7x4x5xf32>, tensor<1x1x1x7xbf16> -> tensor<2x3x4x5xf32>
  return %0 : tensor<2x3x4x5xf32>
}

// -----

// expected-note @below {{the query has type 'tensor<2x3x4xf32>'}}
// expected-note @below {{the key has type 'tensor<2x7x4xf32>'}}
func.func @logsumexp_takes_four_dimensions(%q: tensor<2x3x4xf32>, %k: tensor<2x7x4xf32>) -> tensor<2x4x3xf32> {
  // expected-error @below {{expects query [B,S,H,D] and key [B,T,K,D] of rank 4, got [2, 3, 4] and [2, 7, 4]}}
  // expected-note @below {{tessera.reshape takes the heads out of the hidden dimension}}
  %0 = tessera.attention_logsumexp %q, %k scale 0.5 : tensor<2x3x4xf32>, tensor<2x7x4xf32> -> tensor<2x4x3xf32>
  return %0 : tensor<2x4x3xf32>
}

// -----

// expected-note @below {{a mean has type 'tensor<2x3x4xf32>'}}
func.func @a_mean_has_a_number_for_each_query_and_head(%q: tensor<2x3x4x5xf32>, %r: tensor<2x4x3xf32>, %m: tensor<2x3x4xf32>) -> tensor<2x3x4x5xf32> {
  // expected-error @below {{expects a mean of shape [2, 4, 3], got [2, 3, 4]}}
  // expected-note @below {{it has one number a query and head}}
  %0 = tessera.attention_gradient of key %q, %q, %q, %r, %m, %q scale 0.5 : tensor<2x3x4x5xf32>, tensor<2x3x4x5xf32>, tensor<2x3x4x5xf32>, tensor<2x4x3xf32>, tensor<2x3x4xf32>, tensor<2x3x4x5xf32> -> tensor<2x3x4x5xf32>
  return %0 : tensor<2x3x4x5xf32>
}

// -----

// expected-note @below {{a tangent of the key has type 'tensor<2x3x4x5xf32>'}}
func.func @a_tangent_is_like_its_operand(%q: tensor<2x3x4x5xf32>, %k: tensor<2x7x4x5xf32>, %r: tensor<2x4x3xf32>) -> tensor<2x3x4x5xf32> {
  // expected-error @below {{expects a tangent of the key of shape [2, 7, 4, 5], got [2, 3, 4, 5]}}
  // expected-note @below {{it is that of the operand}}
  %0 = tessera.attention_tangent %q, %k, %k, %q, %r key %q scale 0.5 : (tensor<2x3x4x5xf32>, tensor<2x7x4x5xf32>, tensor<2x7x4x5xf32>, tensor<2x3x4x5xf32>, tensor<2x4x3xf32>, tensor<2x3x4x5xf32>) -> tensor<2x3x4x5xf32>
  return %0 : tensor<2x3x4x5xf32>
}

// -----

func.func @the_tangent_is_of_the_result(%q: tensor<2x3x4x5xbf16>, %r: tensor<2x4x3xf32>) -> tensor<2x3x4x5xf32> {
  // expected-error @below {{expects a result of element type 'bf16', got 'f32'}}
  // expected-note @below {{element types are never converted silently; use tessera.convert}}
  %0 = tessera.attention_tangent %q, %q, %q, %q, %r query %q scale 0.5 : (tensor<2x3x4x5xbf16>, tensor<2x3x4x5xbf16>, tensor<2x3x4x5xbf16>, tensor<2x3x4x5xbf16>, tensor<2x4x3xf32>, tensor<2x3x4x5xbf16>) -> tensor<2x3x4x5xf32>
  return %0 : tensor<2x3x4x5xf32>
}
