// RUN: not tessera-compile %s --target=cuda:sm_9 2>&1 | FileCheck %s --check-prefix=TARGET
// TARGET: unknown target 'cuda:sm_9'; expected cpu[:<model>], cuda:sm_80, cuda:sm_90a, cuda:sm_100a or emulated
// RUN: not tessera-compile %s --target=cpu:pentium-9 2>&1 | FileCheck %s --check-prefix=CPU
// CPU: unknown CPU 'pentium-9'; expected native or a CPU of
// RUN: not tessera-compile %s --emit=ptx 2>&1 | FileCheck %s --check-prefix=NOSTAGE
// NOSTAGE: target cpu has no stage 'ptx'
// RUN: not tessera-compile %s --emit=asm 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// UNKNOWN: unknown stage 'asm'; expected one of tessera, layouts
// RUN: not tessera-compile %s --emit=plan --entry=f 2>&1 | FileCheck %s --check-prefix=ENTRY
// ENTRY: tessera-compile: error: there is no function @f with a body
// ENTRY: note: there is a function @main; name it as the entry
// RUN: not tessera-compile %s.absent 2>&1 | FileCheck %s --check-prefix=ABSENT
// ABSENT: cannot read
// RUN: not tessera-compile %s --emit=local --forbid-implicit=all_reduce 2>&1 | FileCheck %s --check-prefix=FORBID
// RUN: not tessera-compile %s --emit=plan --forbid-implicit=all_reduce 2>&1 | FileCheck %s --check-prefix=FORBID
// FORBID: error: these layouts require an all_reduce, which forbidImplicit disallows
// FORBID-NOT: see current operation
// RUN: not tessera-compile %s --forbid-implicit=all_gahter 2>&1 | FileCheck %s --check-prefix=KIND
// KIND: error: cannot forbid 'all_gahter'; collectives are all_reduce, all_gather, reduce_scatter, all_to_all, permute
// RUN: env TESSERA_PTXAS=/nowhere/ptxas not tessera-compile %s --target=cuda:sm_90a 2>&1 | FileCheck %s --check-prefix=PTXAS
// PTXAS: error: ptxas not found at '/nowhere/ptxas', which TESSERA_PTXAS names
// PTXAS: note: it assembles kernels for sm_90a; install the CUDA toolkit or the Python package nvidia-cuda-nvcc

dist.mesh @mesh <[tp = 2]>
func.func @main(%x: !tessera.mesh_tensor<4x6xf32, @mesh, [{}, {tp}]>) -> !tessera.mesh_tensor<4xf32, @mesh> {
  %0 = tessera.reduce sum %x dims [1] : !tessera.mesh_tensor<4x6xf32, @mesh, [{}, {tp}]> -> !tessera.mesh_tensor<4xf32, @mesh>
  return %0 : !tessera.mesh_tensor<4xf32, @mesh>
}
