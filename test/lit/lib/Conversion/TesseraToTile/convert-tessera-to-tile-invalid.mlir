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

// -----

// expected-error @below {{a value has type 'tensor<2x0x3xf32>', which has no elements}}
// expected-note @below {{every dimension of a program's tensors has size 1 or more}}
func.func @no_rows(%x: tensor<2x0x3xf32>) -> tensor<2x3xf32> {
  %0 = tessera.logsumexp %x dim 1 : tensor<2x0x3xf32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

func.func @no_columns(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{a value has type 'tensor<2x0xf32>', which has no elements}}
  // expected-note @below {{every dimension of a program's tensors has size 1 or more}}
  %0 = tessera.slice %x [0, 0] to [2, 0] by [1, 1] : tensor<2x3xf32> -> tensor<2x0xf32>
  %1 = tessera.norm_tangent %0 at %0 epsilon 1.0e-5 centred : tensor<2x0xf32>, tensor<2x0xf32> -> tensor<2x0xf32>
  %2 = tessera.concatenate %x, %1 dim 1 : (tensor<2x3xf32>, tensor<2x0xf32>) -> tensor<2x3xf32>
  return %2 : tensor<2x3xf32>
}
