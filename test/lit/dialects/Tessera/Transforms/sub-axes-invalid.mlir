// RUN: tessera-opt %s --tessera-verify-program --split-input-file --verify-diagnostics

// expected-note @below {{the mesh is declared here}}
dist.mesh @mesh <[x = 6]>

func.func @two_numberings(
    // expected-error @below {{axis 'x:(3)2' is used twice: by dimension 0 and by dimension 1; a tensor uses each axis at most once}}
    %a: !tessera.mesh_tensor<12x6xf32, @mesh, [{x:(1)2}, {x:(3)2}]>) {
  return
}
