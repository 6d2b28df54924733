// RUN: tessera-opt %s --split-input-file --verify-diagnostics

// expected-note @below {{the value has type '!tessera.mesh_tensor<2x3xf32, @mesh>'}}
func.func @a_constraint_has_the_rank_of_the_value(%x: !tessera.mesh_tensor<2x3xf32, @mesh>) -> !tessera.mesh_tensor<2x3xf32, @mesh> {
  // expected-error @below {{layout [{tp}] has 1 dimensions, the value has 2}}
  // expected-note @below {{write a list per dimension: {} is whole, {?} is open}}
  %0 = tessera.constrain %x to <@mesh, [{tp}]> : !tessera.mesh_tensor<2x3xf32, @mesh> -> !tessera.mesh_tensor<2x3xf32, @mesh>
  return %0 : !tessera.mesh_tensor<2x3xf32, @mesh>
}

// -----

// expected-note @below {{the value has type '!tessera.mesh_tensor<2x3xf32, @mesh>'}}
func.func @a_constraint_is_on_the_mesh_of_the_value(%x: !tessera.mesh_tensor<2x3xf32, @mesh>) -> !tessera.mesh_tensor<2x3xf32, @mesh> {
  // expected-error @below {{layout is on mesh @other, the value on mesh @mesh}}
  // expected-note @below {{a value stays on its mesh}}
  %0 = tessera.constrain %x to <@other, [{tp}, {}]> : !tessera.mesh_tensor<2x3xf32, @mesh> -> !tessera.mesh_tensor<2x3xf32, @mesh>
  return %0 : !tessera.mesh_tensor<2x3xf32, @mesh>
}

// -----

func.func @a_constraint_does_not_take_a_value_apart(%x: !tessera.mesh_tensor<2x3xf32, @mesh>) -> !tessera.mesh_tensor<2x3xf32, @mesh> {
  // expected-error @below {{layout [{}, {}], partial = sum{tp} is partial, which a constraint cannot request}}
  // expected-note @below {{state how the dimensions are split}}
  %0 = tessera.constrain %x to <@mesh, [{}, {}], partial = sum{tp}> : !tessera.mesh_tensor<2x3xf32, @mesh> -> !tessera.mesh_tensor<2x3xf32, @mesh>
  return %0 : !tessera.mesh_tensor<2x3xf32, @mesh>
}

// -----

func.func @a_constraint_does_not_make_a_value_vary(%x: !tessera.mesh_tensor<2x3xf32, @mesh>) -> !tessera.mesh_tensor<2x3xf32, @mesh> {
  // expected-error @below {{layout [{}, {}], varying = {tp} is varying, which a constraint cannot request}}
  // expected-note @below {{tessera.reshard makes a value vary}}
  %0 = tessera.constrain %x to <@mesh, [{}, {}], varying = {tp}> : !tessera.mesh_tensor<2x3xf32, @mesh> -> !tessera.mesh_tensor<2x3xf32, @mesh>
  return %0 : !tessera.mesh_tensor<2x3xf32, @mesh>
}

// -----

// expected-note @below {{the input has type}}
func.func @a_value_that_varies_stays_so(%x: !tessera.mesh_tensor<2x3xf32, @mesh, [{}, {}], varying = {tp}>) -> !tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {}]> {
  // expected-error @below {{the input varies along 'tp', the result of layout [{tp}, {}] does not}}
  // expected-note @below {{keep the axis in the result's varying axes, or hold the values as one tensor with a dimension that is split along the axis}}
  %0 = tessera.reshard %x : !tessera.mesh_tensor<2x3xf32, @mesh, [{}, {}], varying = {tp}> -> !tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {}]>
  return %0 : !tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {}]>
}

// -----

// expected-note @below {{the input has type}}
func.func @a_reshard_keeps_the_tensor(%x: !tessera.mesh_tensor<2x3xf32, @mesh>) -> !tessera.mesh_tensor<3x2xf32, @mesh> {
  // expected-error @below {{expects the input of shape [3, 2], got [2, 3]}}
  %0 = tessera.reshard %x : !tessera.mesh_tensor<2x3xf32, @mesh> -> !tessera.mesh_tensor<3x2xf32, @mesh>
  return %0 : !tessera.mesh_tensor<3x2xf32, @mesh>
}

// -----

func.func @a_reshard_stays_on_its_mesh(%x: !tessera.mesh_tensor<2x3xf32, @a>) -> !tessera.mesh_tensor<2x3xf32, @b> {
  // expected-error @below {{mixes tensors of mesh @a and mesh @b}}
  // expected-note @below {{an op works on one mesh}}
  %0 = tessera.reshard %x : !tessera.mesh_tensor<2x3xf32, @a> -> !tessera.mesh_tensor<2x3xf32, @b>
  return %0 : !tessera.mesh_tensor<2x3xf32, @b>
}

// -----

// expected-note @below {{the input has type}}
func.func @a_constraint_keeps_the_tensor(%x: !tessera.mesh_tensor<2x3xf32, @mesh>) -> !tessera.mesh_tensor<3x2xf32, @mesh> {
  // expected-error @below {{'tessera.constrain' op expects the input of shape [3, 2], got [2, 3]}}
  %0 = tessera.constrain %x to <@mesh, [{tp}, {}]> : !tessera.mesh_tensor<2x3xf32, @mesh> -> !tessera.mesh_tensor<3x2xf32, @mesh>
  return %0 : !tessera.mesh_tensor<3x2xf32, @mesh>
}

// -----

func.func @a_reshard_keeps_the_element_type(%x: !tessera.mesh_tensor<2x3xf32, @mesh>) -> !tessera.mesh_tensor<2x3xbf16, @mesh> {
  // expected-error @below {{expects the input of element type 'bf16', got 'f32'}}
  // expected-note @below {{element types are never converted silently; use tessera.convert}}
  %0 = tessera.reshard %x : !tessera.mesh_tensor<2x3xf32, @mesh> -> !tessera.mesh_tensor<2x3xbf16, @mesh>
  return %0 : !tessera.mesh_tensor<2x3xbf16, @mesh>
}

// -----

dist.mesh @mesh <[tp = 2]>

// expected-note @below {{the value has type '!tessera.mesh_tensor<3xf32, @mesh>'}}
func.func @terms_of_floats_move_in_floats(%x: !tessera.mesh_tensor<3xf32, @mesh>) -> !tessera.mesh_tensor<3xf32, @mesh> {
  // expected-error @below {{'tessera.constrain' op terms of 'f32' cannot be moved in 'i32'}}
  // expected-note @below {{`reduce` is for floats, and names a float type}}
  %0 = tessera.constrain %x to <@mesh, [{?}]> reduce i32 : !tessera.mesh_tensor<3xf32, @mesh> -> !tessera.mesh_tensor<3xf32, @mesh>
  return %0 : !tessera.mesh_tensor<3xf32, @mesh>
}
