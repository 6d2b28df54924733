// A dumped stage says which stage it is, what it was compiled for, and which
// function is the entry; compiling its text goes on from there.
// RUN: tessera-compile %s --target=cuda:sm_90a --emit=layouts --entry=step -o %t.layouts.mlir
// RUN: FileCheck %s --check-prefix=LAYOUTS --input-file=%t.layouts.mlir
// LAYOUTS: module attributes {
// LAYOUTS-SAME: tessera.entry = "step"
// LAYOUTS-SAME: tessera.stage = "layouts"
// LAYOUTS-SAME: tile.target = #tile.target<cuda, chip = "sm_90a">

// RUN: tessera-compile %t.layouts.mlir --target=cuda:sm_90a --emit=kernels --entry=step -o %t.kernels.mlir
// RUN: FileCheck %s --check-prefix=KERNELS --input-file=%t.kernels.mlir
// KERNELS: tessera.stage = "kernels"
// RUN: tessera-compile %t.kernels.mlir --target=cuda:sm_90a --emit=ptx --entry=step | FileCheck %s --check-prefix=PTX
// PTX: .target sm_90a

// Kernels that were formed for one target are not compiled for another.
// RUN: not tessera-compile %t.kernels.mlir --target=cpu --emit=object --entry=step 2>&1 | FileCheck %s --check-prefix=CPU
// CPU: error: the kernels of this module were formed for #tile.target<cuda, chip = "sm_90a">, not for target cpu
// CPU: note: compile for the target that they were formed for, or begin with a stage before 'kernels'
// RUN: not tessera-compile %t.kernels.mlir --target=cuda:sm_80 --emit=ptx --entry=step 2>&1 | FileCheck %s --check-prefix=CHIP
// CHIP: formed for #tile.target<cuda, chip = "sm_90a">, not for target cuda:sm_80

// A program of an earlier stage may be compiled for any target.
// RUN: tessera-compile %t.layouts.mlir --target=cpu --emit=llvm --entry=step | FileCheck %s --check-prefix=LLVM
// LLVM: tile.target = #tile.target<cpu

// RUN: sed 's/tessera.stage = "layouts"/tessera.stage = "hlo"/' %t.layouts.mlir > %t.unknown.mlir
// RUN: not tessera-compile %t.unknown.mlir --emit=local --entry=step 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// UNKNOWN: error: tessera.stage is "hlo"; expected one of tessera, layouts

// A pass that leads on from a stage removes the attribute.
// RUN: tessera-opt %t.layouts.mlir --tessera-insert-reshards | FileCheck %s --check-prefix=ON --implicit-check-not=tessera.stage
// ON: tessera.entry

dist.mesh @mesh <[tp = 2]>

func.func @step(%x: !tessera.mesh_tensor<4x6xf32, @mesh, [{tp}, {}]>) -> !tessera.mesh_tensor<4x6xf32, @mesh> {
  %0 = tessera.add %x, %x : (!tessera.mesh_tensor<4x6xf32, @mesh, [{tp}, {}]>, !tessera.mesh_tensor<4x6xf32, @mesh, [{tp}, {}]>) -> !tessera.mesh_tensor<4x6xf32, @mesh>
  return %0 : !tessera.mesh_tensor<4x6xf32, @mesh>
}
