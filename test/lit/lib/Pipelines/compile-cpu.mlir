// REQUIRES: x86
// Vectors are as wide as the CPU's that is asked for.
// RUN: tessera-compile %s --emit=llvm --target=cpu:x86-64 | FileCheck %s --check-prefix=SSE --implicit-check-not="vector<8xf32>" --implicit-check-not="vector<16xf32>"
// RUN: tessera-compile %s --emit=llvm --target=cpu:x86-64-v3 | FileCheck %s --check-prefix=AVX2 --implicit-check-not="vector<16xf32>"
// RUN: tessera-compile %s --emit=llvm --target=cpu:x86-64-v4 | FileCheck %s --check-prefix=AVX512
// SSE: vector<4xf32>
// AVX2: vector<8xf32>
// AVX512: vector<16xf32>

dist.mesh @mesh <[tp = 1]>

func.func @main(%x: !tessera.mesh_tensor<64xf32, @mesh>) -> !tessera.mesh_tensor<64xf32, @mesh> {
  %0 = tessera.add %x, %x : !tessera.mesh_tensor<64xf32, @mesh>
  return %0 : !tessera.mesh_tensor<64xf32, @mesh>
}
