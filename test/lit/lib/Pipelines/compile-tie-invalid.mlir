// RUN: split-file %s %t
// RUN: not tessera-compile %t/no-result.mlir --emit=plan 2>&1 | FileCheck %s --check-prefix=NO-RESULT
// RUN: not tessera-compile %t/no-number.mlir --emit=plan 2>&1 | FileCheck %s --check-prefix=NO-NUMBER
// RUN: not tessera-compile %t/both.mlir --emit=plan 2>&1 | FileCheck %s --check-prefix=BOTH

// Programs that begin behind the pass that makes ties.

//--- no-result.mlir
// NO-RESULT: no-result.mlir:4:17: error: argument 0 is tied to result 7 : i64, but the function has 1 results; expected an index of one
dist.mesh @mesh <[tp = 2]>
// At the argument.
func.func @main(%x: tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{tp}]>, dist.global_type = tensor<5xf32>, tessera.tied = 7})
    -> (tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{tp}]>, dist.global_type = tensor<5xf32>}) {
  %0 = tessera.add %x, %x : tensor<3xf32>
  return %0 : tensor<3xf32>
}

//--- no-number.mlir
// NO-NUMBER: error: argument 0 is tied to result "y", but the function has 1 results; expected an index of one
dist.mesh @mesh <[tp = 2]>
func.func @main(%x: tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{tp}]>, dist.global_type = tensor<5xf32>, tessera.tied = "y"})
    -> (tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{tp}]>, dist.global_type = tensor<5xf32>}) {
  %0 = tessera.add %x, %x : tensor<3xf32>
  return %0 : tensor<3xf32>
}

//--- both.mlir
// BOTH: error: argument 1 is tied to result 0, which another argument is tied to; a result takes the memory of one
dist.mesh @mesh <[tp = 2]>
func.func @main(%x: tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{tp}]>, dist.global_type = tensor<5xf32>, tessera.tied = 0},
                %y: tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{tp}]>, dist.global_type = tensor<5xf32>, tessera.tied = 0})
    -> (tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{tp}]>, dist.global_type = tensor<5xf32>}) {
  %0 = tessera.add %x, %y : tensor<3xf32>
  return %0 : tensor<3xf32>
}
