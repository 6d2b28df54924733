// RUN: tessera-compile %s --emit=layouts | FileCheck %s --check-prefix=LAYOUTS
// RUN: tessera-compile %s --emit=local | FileCheck %s --check-prefix=LOCAL
// RUN: tessera-compile %s --emit=kernels | FileCheck %s --check-prefix=KERNELS
// RUN: tessera-compile %s --emit=plan | FileCheck %s --check-prefix=PLAN
// RUN: tessera-compile %s --emit=ptx --target=cuda:sm_80 | FileCheck %s --check-prefix=PTX
// A stage's text may be fed back in.
// RUN: tessera-compile %s --emit=local | tessera-compile - --emit=plan | FileCheck %s --check-prefix=PLAN
// The named pipelines reach the same stages.
// RUN: tessera-opt %s --tessera-tessera-to-layouts --tessera-layouts-to-reshards --tessera-reshards-to-local | FileCheck %s --check-prefix=LOCAL

dist.mesh @mesh <[tp = 2]>

// LAYOUTS: func.func @main
// LAYOUTS-SAME: !tessera.mesh_tensor<10x6xf32, @mesh, [{tp}, {}]>
// LOCAL: func.func @main
// LOCAL-SAME: tensor<5x6xf32> {dist.global_type = tensor<10x6xf32>
// LOCAL-COUNT-1: dist.all_reduce
// KERNELS-COUNT-2: tile.launch
// PLAN: plan.program @main on @mesh arena
// PLAN-COUNT-2: plan.launch
// PLAN-COUNT-1: plan.collective all_reduce
// PTX: .target sm_80
func.func @main(%x: !tessera.mesh_tensor<4x6xf32, @mesh>,
                %w1: !tessera.mesh_tensor<6x10xf32, @mesh, [{}, {tp}]>,
                %w2: !tessera.mesh_tensor<10x6xf32, @mesh>) -> !tessera.mesh_tensor<4x6xf32, @mesh> {
  %0 = tessera.contract %x, %w1 "mk,kn->mn" : !tessera.mesh_tensor<4x6xf32, @mesh>, !tessera.mesh_tensor<6x10xf32, @mesh, [{}, {tp}]> -> !tessera.mesh_tensor<4x10xf32, @mesh>
  %1 = tessera.gelu %0 approximation none : !tessera.mesh_tensor<4x10xf32, @mesh> -> !tessera.mesh_tensor<4x10xf32, @mesh>
  %2 = tessera.contract %1, %w2 "mk,kn->mn" : !tessera.mesh_tensor<4x10xf32, @mesh>, !tessera.mesh_tensor<10x6xf32, @mesh> -> !tessera.mesh_tensor<4x6xf32, @mesh>
  return %2 : !tessera.mesh_tensor<4x6xf32, @mesh>
}
