// RUN: tessera-opt %s -convert-tessera-to-tile --split-input-file --verify-diagnostics
// RUN: not tessera-opt %s -convert-tessera-to-tile=target=tpu 2>&1 | FileCheck %s

// CHECK: unknown target 'tpu'; expected cpu or cuda

dist.mesh @mesh <[tp = 2]>
// expected-error @below {{@main holds whole tensors, as '!tessera.mesh_tensor<4x6xf32, @mesh>'}}
// expected-note @below {{run the passes up to tessera-partition first}}
func.func @main(%x: !tessera.mesh_tensor<4x6xf32, @mesh>) -> !tessera.mesh_tensor<4x6xf32, @mesh> {
  %0 = tessera.exp %x : !tessera.mesh_tensor<4x6xf32, @mesh>
  return %0 : !tessera.mesh_tensor<4x6xf32, @mesh>
}
