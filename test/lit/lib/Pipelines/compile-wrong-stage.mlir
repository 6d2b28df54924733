// A module without mesh tensors is taken for stage local, and refused where it is not.
// RUN: not tessera-compile %s --emit=plan 2>&1 | FileCheck %s

func.func @main(%x: tensor<3xf32>) -> tensor<3xf32> {
  // CHECK: [[@LINE+2]]:8: error: the input is not of stage 'local': 'arith.addf' does not belong to the dialects tessera, dist and func
  // CHECK: note: a module of neither mesh tensors nor tile kernels is taken for that stage; docs/architecture.md says what it holds
  %0 = arith.addf %x, %x : tensor<3xf32>
  return %0 : tensor<3xf32>
}
