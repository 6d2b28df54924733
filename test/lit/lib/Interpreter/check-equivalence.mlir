// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: tessera-opt %s --tessera-check-equivalence="pipeline=builtin.module(func.func(canonicalize),cse) runs=2" | FileCheck %s
// RUN: tessera-opt %s --tessera-check-equivalence="pipeline=canonicalize,cse seed=3"

dist.mesh @mesh <[tp = 2]>

// The pipeline runs on a copy.
// CHECK-LABEL: func.func @rewritten
// CHECK: tessera.add
// CHECK: tessera.add
func.func @rewritten(%0: !tessera.mesh_tensor<2x3xf32, @mesh>) -> !tessera.mesh_tensor<2x3xf32, @mesh> {
  %1 = tessera.constant dense<0.0> : tensor<2x3xf32> : !tessera.mesh_tensor<2x3xf32, @mesh>
  %2 = tessera.add %0, %1 : !tessera.mesh_tensor<2x3xf32, @mesh>
  %3 = tessera.add %2, %0 : !tessera.mesh_tensor<2x3xf32, @mesh>
  return %3 : !tessera.mesh_tensor<2x3xf32, @mesh>
}
