// RUN: tessera-compile %s --emit=layouts | FileCheck %s --check-prefix=LAYOUTS
// RUN: tessera-compile %s --emit=local | FileCheck %s --check-prefix=LOCAL
// RUN: tessera-compile %s --emit=kernels | FileCheck %s --check-prefix=KERNELS
// RUN: tessera-compile %s --emit=plan | FileCheck %s --check-prefix=PLAN
// RUN: tessera-compile %s --emit=ptx --target=cuda:sm_80 | FileCheck %s --check-prefix=PTX
// The text of any stage may be fed back in, to every later one.
// RUN: rm -rf %t && mkdir %t
// RUN: tessera-compile %s --dump-stages=%t/cpu -o %t/cpu.tsa && tessera-compile %s --emit=object -o %t/object
// RUN: tessera-compile %s --emit=llvm -o %t/cpu/llvm.mlir
// RUN: tessera-compile %t/cpu/reshards.mlir --emit=plan | FileCheck %s --check-prefix=PLAN
// RUN: tessera-compile %t/cpu/local.mlir --emit=plan | FileCheck %s --check-prefix=PLAN
// RUN: tessera-compile %t/cpu/kernels.mlir -o %t/again.tsa && cmp %t/again.tsa %t/cpu.tsa
// RUN: tessera-compile %t/cpu/plan.mlir -o %t/again.tsa && cmp %t/again.tsa %t/cpu.tsa
// RUN: tessera-compile %t/cpu/plan.mlir --emit=llvm | cmp - %t/cpu/llvm.mlir
// RUN: tessera-compile %t/cpu/plan.mlir --emit=object | cmp - %t/object
// RUN: tessera-compile %t/cpu/llvm.mlir --emit=object | cmp - %t/object
// RUN: tessera-compile %s --emit=nvvm --target=cuda:sm_90a -o %t/nvvm.mlir && tessera-compile %s --emit=ptx --target=cuda:sm_90a -o %t/ptx
// RUN: tessera-compile %t/nvvm.mlir --emit=ptx --target=cuda:sm_90a | cmp - %t/ptx
// RUN: tessera-compile %s --emit=object --target=emulated -o %t/emulated
// RUN: tessera-compile %t/nvvm.mlir --emit=object --target=emulated | cmp - %t/emulated
// RUN: tessera-compile %s --emit=plan --target=emulated | tessera-compile - --emit=object --target=emulated | cmp - %t/emulated
// What a stage does not lead to is refused.
// RUN: not tessera-compile %t/cpu/plan.mlir --emit=local 2>&1 | FileCheck %s --check-prefix=BACK
// BACK: error: this is a program of stage 'plan', from which 'local' is not made
// BACK: note: made from it are: plan, llvm, object, artefact
// RUN: not tessera-compile %t/nvvm.mlir --emit=object 2>&1 | FileCheck %s --check-prefix=OTHER
// OTHER: error: this is a program of stage 'nvvm', from which 'object' is not made
// RUN: not tessera-compile %t/cpu/llvm.mlir -o %t/none 2>&1 | FileCheck %s --check-prefix=CODE
// CODE: error: this is a program of stage 'llvm', from which 'artefact' is not made
// CODE: note: made from it are: llvm, object{{$}}
// RUN: not tessera-compile %t/cpu/plan.mlir --entry=absent 2>&1 | FileCheck %s --check-prefix=ENTRY
// ENTRY: error: there is no program @absent
// ENTRY: note: there is a program @main; name it as the entry
// Of several programs the entry is compiled.
// RUN: sed 's/^  plan.program @main/  plan.program @first on @mesh arena 0 {\n  }\n&/' %t/cpu/plan.mlir > %t/two.mlir
// RUN: tessera-compile %t/two.mlir -o %t/again.tsa && cmp %t/again.tsa %t/cpu.tsa
// RUN: tessera-compile %t/two.mlir --entry=first -o %t/again.tsa && not cmp -s %t/again.tsa %t/cpu.tsa
// The named pipelines reach the same stages.
// RUN: tessera-opt %s --tessera-tessera-to-layouts --tessera-layouts-to-reshards --tessera-reshards-to-local | FileCheck %s --check-prefix=LOCAL
// RUN: tessera-opt %t/cpu/local.mlir --tessera-local-to-kernels -o %t/kernels.mlir
// RUN: tessera-opt %t/cpu/kernels.mlir | diff - %t/kernels.mlir
// RUN: tessera-opt %t/cpu/local.mlir --tessera-local-to-kernels=target=cuda:sm_90a -o %t/kernels.mlir
// RUN: tessera-compile %s --emit=kernels --target=cuda:sm_90a | tessera-opt | diff - %t/kernels.mlir
// RUN: not tessera-opt %t/cpu/local.mlir --tessera-local-to-kernels=chip=1 2>&1 | FileCheck %s --check-prefix=OPTION
// OPTION: no such option chip

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
