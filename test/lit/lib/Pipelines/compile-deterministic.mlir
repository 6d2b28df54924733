// The artefact depends on the program and the options alone: not on the run, nor on how many kernels are compiled at once.
// RUN: tessera-compile %s --jobs=1 -o %t.1
// RUN: tessera-compile %s --jobs=1 -o %t.again
// RUN: tessera-compile %s --jobs=2 -o %t.2
// RUN: tessera-compile %s -o %t.all
// RUN: cmp %t.1 %t.again
// RUN: cmp %t.1 %t.2
// RUN: cmp %t.1 %t.all
// RUN: tessera-compile %s --target=emulated --jobs=1 -o %t.e1
// RUN: tessera-compile %s --target=emulated --jobs=3 -o %t.e3
// RUN: cmp %t.e1 %t.e3

dist.mesh @mesh <[tp = 2]>

func.func @main(%x: !tessera.mesh_tensor<4x6xf32, @mesh>,
                %w: !tessera.mesh_tensor<6x10xf32, @mesh, [{}, {tp}]>) -> (!tessera.mesh_tensor<4x10xf32, @mesh>, !tessera.mesh_tensor<4xf32, @mesh>) {
  %0 = tessera.contract %x, %w "mk,kn->mn" : !tessera.mesh_tensor<4x6xf32, @mesh>, !tessera.mesh_tensor<6x10xf32, @mesh, [{}, {tp}]> -> !tessera.mesh_tensor<4x10xf32, @mesh>
  %1 = tessera.gelu %0 approximation none : !tessera.mesh_tensor<4x10xf32, @mesh> -> !tessera.mesh_tensor<4x10xf32, @mesh>
  %2 = tessera.reduce sum %x dims [1] : !tessera.mesh_tensor<4x6xf32, @mesh> -> !tessera.mesh_tensor<4xf32, @mesh>
  return %1, %2 : !tessera.mesh_tensor<4x10xf32, @mesh>, !tessera.mesh_tensor<4xf32, @mesh>
}
