// RUN: tessera-opt %s --tessera-verify-program --split-input-file --verify-diagnostics

// expected-note @below {{the mesh is declared here}}
dist.mesh @mesh <[x = 6]>

func.func @two_numberings(
    // expected-error @below {{sub-axes 'x:(1)2' of dimension 0 and 'x:(3)2' of dimension 1 number the 6 devices of axis 'x' differently; use digits of one numbering, such as x:(1)2 and x:(2)3}}
    %a: !tessera.mesh_tensor<12x6xf32, @mesh, [{x:(1)2}, {x:(3)2}]>) {
  return
}
