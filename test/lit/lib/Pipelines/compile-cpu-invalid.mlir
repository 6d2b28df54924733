// REQUIRES: x86
// RUN: not tessera-compile %s --target=cpu:x86-64 -o %t 2>&1 | FileCheck %s
// RUN: tessera-compile %s --target=cpu:x86-64-v3 -o %t
// CHECK: error: the program computes with f16, but the CPU 'x86-64' does not have f16c
// CHECK: note: compile for a later CPU, such as --target=cpu:x86-64-v3, or use f32 or bf16

dist.mesh @mesh <[tp = 1]>

func.func @main(%x: !tessera.mesh_tensor<6xf16, @mesh>) -> !tessera.mesh_tensor<6xf16, @mesh> {
  %0 = tessera.add %x, %x : !tessera.mesh_tensor<6xf16, @mesh>
  return %0 : !tessera.mesh_tensor<6xf16, @mesh>
}
