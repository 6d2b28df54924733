// RUN: not tessera-compile %s --emit=plan 2>&1 | FileCheck %s

dist.mesh @mesh <[tp = 2]>

// A program that begins behind the pass that makes ties.
// CHECK: error: argument 0 is tied to result 7 of 1
func.func @main(%x: tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{tp}]>, dist.global_type = tensor<5xf32>, tessera.tied = 7})
    -> (tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{tp}]>, dist.global_type = tensor<5xf32>}) {
  %0 = tessera.add %x, %x : tensor<3xf32>
  return %0 : tensor<3xf32>
}
