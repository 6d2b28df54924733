// RUN: tessera-opt %s --tessera-verify-program --split-input-file --verify-diagnostics

// expected-error @below {{argument 0 is on mesh @mesh, which does not exist}}
// expected-note @below {{declare it in the module, such as: dist.mesh @mesh <[tp = 2]>}}
func.func @no_mesh_is_declared(%x: !tessera.mesh_tensor<2x3xf32, @mesh>) {
  return
}

// -----

// expected-note @below {{mesh @mesh is declared here}}
dist.mesh @mesh <[tp = 2]>
// expected-error @below {{argument 0 is on mesh @mash, which does not exist}}
func.func @the_mesh_is_misspelt(%x: !tessera.mesh_tensor<2x3xf32, @mash>) {
  return
}

// -----

// expected-note @below {{the mesh is declared here}}
dist.mesh @mesh <[dp = 2, tp = 2]>
// expected-error @below {{argument 1 has layout [{pp}, {}]: unknown axis 'pp'; mesh 'mesh' has axes: 'dp', 'tp'}}
func.func @an_axis_is_unknown(%x: !tessera.mesh_tensor<2x3xf32, @mesh>, %y: !tessera.mesh_tensor<2x3xf32, @mesh, [{pp}, {}]>) {
  return
}

// -----

// expected-note @below {{the mesh is declared here}}
dist.mesh @mesh <[tp = 2]>
// expected-error @below {{result 0 has layout [{tp}, {tp}]: axis 'tp' is used twice: by dimension 0 and by dimension 1; a tensor uses each axis at most once}}
func.func private @an_axis_is_used_twice() -> !tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {tp}]>

// -----

// expected-note @below {{the mesh is declared here}}
dist.mesh @mesh <[tp = 4]>
func.func @a_constraint_does_not_fit_the_mesh(%x: !tessera.mesh_tensor<2x3xf32, @mesh>) {
  // expected-error @below {{constraint has layout [{tp:(1)3}, {}]: sub-axis tp:(1)3 does not divide axis 'tp' of size 4}}
  %0 = tessera.constrain %x to <@mesh, [{tp:(1)3}, {}]> : !tessera.mesh_tensor<2x3xf32, @mesh> -> !tessera.mesh_tensor<2x3xf32, @mesh>
  return
}

// -----

dist.mesh @mesh <[tp = 2]>
func.func @a_value_is_no_mesh_tensor() {
  // expected-error @below {{result of 'tessera.constant' has type 'tensor<2x3xf32>'; expected a mesh tensor}}
  // expected-note @below {{builtin tensors are the local values after tessera-partition}}
  %0 = tessera.constant dense<1.0> : tensor<2x3xf32> : tensor<2x3xf32>
  return
}

// -----

dist.mesh @mesh <[tp = 2]>
// expected-error @below {{argument 0 has type '!tessera.mesh_tensor<2x0xf32, @mesh>', which has no elements}}
// expected-note @below {{every dimension of a program's tensors has size 1 or more}}
func.func @a_tensor_has_no_elements(%x: !tessera.mesh_tensor<2x0xf32, @mesh>) {
  return
}

// -----

dist.mesh @mesh <[tp = 2]>

// expected-error @below {{argument 0 is tied to result 1 : i64, but the function has 1 results; expected an index of one}}
func.func @tied_to_no_result(%x: !tessera.mesh_tensor<4xf32, @mesh> {tessera.tied = 1 : i64}) -> !tessera.mesh_tensor<4xf32, @mesh> {
  return %x : !tessera.mesh_tensor<4xf32, @mesh>
}

// -----

dist.mesh @mesh <[tp = 2]>

// expected-error @below {{argument 0 of type '!tessera.mesh_tensor<5xf32, @mesh>' is tied to result 0 of type '!tessera.mesh_tensor<4xf32, @mesh>'}}
// expected-note @below {{a result takes the memory of an argument of its shape and element type}}
func.func @tied_to_another_shape(%x: !tessera.mesh_tensor<5xf32, @mesh> {tessera.tied = 0 : i64}, %y: !tessera.mesh_tensor<4xf32, @mesh>) -> !tessera.mesh_tensor<4xf32, @mesh> {
  return %y : !tessera.mesh_tensor<4xf32, @mesh>
}

// -----

dist.mesh @mesh <[tp = 2]>

// expected-error @below {{arguments 0 and 1 are both tied to result 0; a result takes the memory of one}}
func.func @two_arguments_for_one_result(%x: !tessera.mesh_tensor<4xf32, @mesh> {tessera.tied = 0 : i64}, %y: !tessera.mesh_tensor<4xf32, @mesh> {tessera.tied = 0 : i64}) -> !tessera.mesh_tensor<4xf32, @mesh> {
  return %y : !tessera.mesh_tensor<4xf32, @mesh>
}

// -----

// expected-note @below {{mesh @mesh is declared here}}
dist.mesh @mesh <[tp = 2]>

func.func @block_argument_on_an_unknown_mesh() {
  tessera.scan () over () length 3 : () over () -> () {
  // expected-error @below {{block argument 0 of 'tessera.scan' is on mesh @other, which does not exist}}
  ^bb0(%i: !tessera.mesh_tensor<i32, @other>):
    tessera.yield
  }
  return
}
