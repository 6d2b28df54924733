// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Elements in a resource, and in a list of those that are not zero, reach the
// artefact.
// RUN: tessera-compile %s -o %t.tsa
// RUN: tessera-run %t.tsa --print | FileCheck %s
// CHECK: output 0: [1, 2, 3, 4]
// CHECK: output 1: [0, 2, 0, 0]
dist.mesh @mesh <[tp = 2]>
func.func @main() -> (!tessera.mesh_tensor<4xf32, @mesh, [{tp}]>, !tessera.mesh_tensor<4xf32, @mesh>) {
  %0 = tessera.constant dense_resource<blob> : tensor<4xf32> : !tessera.mesh_tensor<4xf32, @mesh, [{tp}]>
  %1 = tessera.constant sparse<[[1]], [2.0]> : tensor<4xf32> : !tessera.mesh_tensor<4xf32, @mesh>
  return %0, %1 : !tessera.mesh_tensor<4xf32, @mesh, [{tp}]>, !tessera.mesh_tensor<4xf32, @mesh>
}
{-# dialect_resources: { builtin: { blob: "0x040000000000803F000000400000404000008040" } } #-}
