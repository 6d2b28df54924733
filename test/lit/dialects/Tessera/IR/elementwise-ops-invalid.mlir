// RUN: tessera-opt %s --split-input-file --verify-diagnostics

// expected-note @below {{operand 1 has type 'tensor<3xf32>'}}
func.func @shapes_are_not_broadcast(%x: tensor<2x3xf32>, %y: tensor<3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{'tessera.add' op expects operand 1 of shape [2, 3], got [3]}}
  // expected-note @below {{shapes are never broadcast silently; use tessera.broadcast}}
  %0 = tessera.add %x, %y : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

func.func @element_types_are_not_converted(%x: tensor<2x3xf32>, %y: tensor<2x3xbf16>) -> tensor<2x3xf32> {
  // expected-error @below {{'tessera.mul' op expects operand 1 of element type 'f32', got 'bf16'}}
  // expected-note @below {{element types are never converted silently; use tessera.convert}}
  %0 = tessera.mul %x, %y : (tensor<2x3xf32>, tensor<2x3xbf16>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

func.func @one_op_works_on_one_mesh(%x: !tessera.mesh_tensor<2x3xf32, @a>, %y: !tessera.mesh_tensor<2x3xf32, @b>) -> !tessera.mesh_tensor<2x3xf32, @a> {
  // expected-error @below {{mixes tensors of mesh @a and mesh @b}}
  // expected-note @below {{an op works on one mesh; give its operands the same}}
  %0 = tessera.add %x, %y : (!tessera.mesh_tensor<2x3xf32, @a>, !tessera.mesh_tensor<2x3xf32, @b>) -> !tessera.mesh_tensor<2x3xf32, @a>
  return %0 : !tessera.mesh_tensor<2x3xf32, @a>
}

// -----

// expected-note @below {{this is a builtin tensor; as a mesh tensor its type is !tessera.mesh_tensor<..., @a>}}
func.func @whole_and_local_tensors_do_not_mix(%x: !tessera.mesh_tensor<2x3xf32, @a>, %y: tensor<2x3xf32>) -> !tessera.mesh_tensor<2x3xf32, @a> {
  // expected-error @below {{mixes mesh tensors and builtin tensors}}
  %0 = tessera.add %x, %y : (!tessera.mesh_tensor<2x3xf32, @a>, tensor<2x3xf32>) -> !tessera.mesh_tensor<2x3xf32, @a>
  return %0 : !tessera.mesh_tensor<2x3xf32, @a>
}

// -----

func.func @logarithms_are_of_floats(%x: tensor<2x3xi32>) -> tensor<2x3xi32> {
  // expected-error @below {{operand #0 must be mesh tensor or statically shaped tensor of a float type, but got 'tensor<2x3xi32>'}}
  %0 = tessera.log %x : tensor<2x3xi32>
  return %0 : tensor<2x3xi32>
}

// -----

func.func @shapes_are_static(%x: tensor<2x?xf32>) -> tensor<2x?xf32> {
  // expected-error @below {{must be mesh tensor or statically shaped tensor}}
  %0 = tessera.neg %x : tensor<2x?xf32>
  return %0 : tensor<2x?xf32>
}

// -----

func.func @both_sides_of_a_comparison_have_one_type(%x: tensor<2x3xi32>, %y: tensor<2x3xi64>) -> tensor<2x3xi1> {
  // expected-error @below {{expects the right side of element type 'i32', got 'i64'}}
  // expected-note @below {{use tessera.convert}}
  %0 = tessera.compare lt %x, %y : tensor<2x3xi32>, tensor<2x3xi64> -> tensor<2x3xi1>
  return %0 : tensor<2x3xi1>
}

// -----

func.func @a_predicate_has_the_shape_of_the_result(%p: tensor<3xi1>, %x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{expects operand 0 of shape [2, 3], got [3]}}
  // expected-note @-2 {{operand 0 has type 'tensor<3xi1>'}}
  // expected-note @below {{use tessera.broadcast}}
  %0 = tessera.select %p, %x, %x : tensor<3xi1>, tensor<2x3xf32>, tensor<2x3xf32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

func.func @convert_keeps_the_shape(%x: tensor<2x3xf32>) -> tensor<3x2xf16> {
  // expected-error @below {{expects operand 0 of shape [3, 2], got [2, 3]}}
  // expected-note @-2 {{operand 0 has type}}
  // expected-note @below {{use tessera.broadcast}}
  %0 = tessera.convert %x : tensor<2x3xf32> -> tensor<3x2xf16>
  return %0 : tensor<3x2xf16>
}

// -----

// expected-error @below {{element type 'i8' is not supported; expected f32, bf16, f16, f64, i32, i64, ui32 or i1}}
func.func private @element_type_is_unknown(!tessera.mesh_tensor<2x3xi8, @mesh>)

// -----

// expected-error @below {{tensor has more than 281474976710656 elements}}
func.func private @sizes_do_not_overflow(!tessera.mesh_tensor<4294967296x4294967296xf32, @mesh>)

// -----

// expected-error @below {{layout [{tp}] has 1 dimensions, the tensor has 2}}
func.func private @layout_has_another_rank(!tessera.mesh_tensor<2x3xf32, @mesh, [{tp}]>)

// -----

// expected-note @below {{operand 1 has type 'tensor<3xf32>'}}
func.func @compared_shapes_are_not_broadcast(%x: tensor<2x3xf32>, %y: tensor<3xf32>) -> tensor<2x3xi1> {
  // expected-error @below {{'tessera.compare' op expects operand 1 of shape [2, 3], got [3]}}
  // expected-note @below {{shapes are never broadcast silently; use tessera.broadcast}}
  %0 = tessera.compare lt %x, %y : tensor<2x3xf32>, tensor<3xf32> -> tensor<2x3xi1>
  return %0 : tensor<2x3xi1>
}

// -----

// expected-note @below {{operand 0 has type 'tensor<3xi1>'}}
func.func @a_predicate_is_not_broadcast(%p: tensor<3xi1>, %x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{'tessera.select' op expects operand 0 of shape [2, 3], got [3]}}
  // expected-note @below {{shapes are never broadcast silently; use tessera.broadcast}}
  %0 = tessera.select %p, %x, %x : tensor<3xi1>, tensor<2x3xf32>, tensor<2x3xf32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// expected-note @below {{operand 0 has type 'tensor<2x3xf32>'}}
func.func @a_conversion_keeps_the_shape(%x: tensor<2x3xf32>) -> tensor<3x2xbf16> {
  // expected-error @below {{'tessera.convert' op expects operand 0 of shape [3, 2], got [2, 3]}}
  // expected-note @below {{shapes are never broadcast silently; use tessera.broadcast}}
  %0 = tessera.convert %x : tensor<2x3xf32> -> tensor<3x2xbf16>
  return %0 : tensor<3x2xbf16>
}
