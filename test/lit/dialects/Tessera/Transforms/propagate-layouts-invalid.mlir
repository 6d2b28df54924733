// RUN: tessera-opt %s --tessera-propagate-layouts --split-input-file --verify-diagnostics
// RUN: tessera-opt %s --tessera-insert-reshards --split-input-file --verify-diagnostics
// RUN: tessera-opt %s --tessera-partition --split-input-file --verify-diagnostics

dist.mesh @left <[x = 2]>
dist.mesh @right <[y = 2]>

func.func @a_function_has_one_mesh(
    // expected-note @below {{the first one on @left}}
    %a: !tessera.mesh_tensor<4xf32, @left, [{x}]>,
    // expected-error @below {{a value is on mesh @right, but others of its function are on mesh @left; all values of a function live on one mesh}}
    %b: !tessera.mesh_tensor<4xf32, @right, [{y}]>) {
  return
}

// -----

// expected-error @below {{unknown mesh @mesh; declare it in the module, such as: dist.mesh @mesh <[tp = 2]>}}
func.func @the_mesh_is_declared(%a: !tessera.mesh_tensor<4xf32, @mesh, [{}]>) {
  return
}

// -----

dist.mesh @mesh <[x = 2]>

func.func @local_and_mesh_tensors_do_not_mix(
    %a: !tessera.mesh_tensor<4xf32, @mesh, [{x}]>,
    // expected-error @below {{a value has type 'tensor<2xf32>', but others of its function are mesh tensors; expected all of them to be}}
    %b: tensor<2xf32>) {
  return
}
