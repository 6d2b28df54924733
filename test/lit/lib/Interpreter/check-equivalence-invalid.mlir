// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: tessera-opt %s --split-input-file --verify-diagnostics --tessera-check-equivalence="pipeline=test-drop-selects,symbol-dce"

// Each program means something else after its selects are gone.

// expected-error @below {{result 0 at [1] is 0, but after the pipeline 2 (difference 2), with seed 0}}
// expected-note @below {{run the pipeline 'test-drop-selects,symbol-dce' to see what it became}}
func.func @a_changed_value() -> tensor<2xf32> {
  %0 = tessera.constant dense<[true, false]> : tensor<2xi1> : tensor<2xi1>
  %1 = tessera.constant dense<[1.0, 2.0]> : tensor<2xf32> : tensor<2xf32>
  %2 = tessera.constant dense<0.0> : tensor<2xf32> : tensor<2xf32>
  %3 = tessera.select %0, %1, %2 : tensor<2xi1>, tensor<2xf32>, tensor<2xf32> -> tensor<2xf32>
  return %3 : tensor<2xf32>
}

// -----

// The last device holds 1 element and 1 of padding.
dist.mesh @mesh <[tp = 2]>
// expected-error @below {{but after the pipeline nan}}
// expected-note @below {{run the pipeline}}
func.func @a_forgotten_mask(
    %0: tensor<2xf32> {dist.layout = #dist.layout<@mesh, [{tp}]>, dist.global_type = tensor<3xf32>})
    -> (tensor<f32> {dist.layout = #dist.layout<@mesh, []>, dist.global_type = tensor<f32>}) {
  %1 = dist.valid_extent @mesh {tp} of 3 : tensor<i32>
  %2 = tessera.broadcast %1 dims [] : tensor<i32> -> tensor<2xi32>
  %3 = tessera.iota dim 0 : tensor<2xi32>
  %4 = tessera.compare lt %3, %2 : tensor<2xi32>, tensor<2xi32> -> tensor<2xi1>
  %5 = tessera.constant dense<0.0> : tensor<2xf32> : tensor<2xf32>
  %6 = tessera.select %4, %0, %5 : tensor<2xi1>, tensor<2xf32>, tensor<2xf32> -> tensor<2xf32>
  %7 = tessera.reduce sum %6 dims [0] : tensor<2xf32> -> tensor<f32>
  %8 = dist.all_reduce sum %7 over @mesh {tp} : tensor<f32>
  return %8 : tensor<f32>
}

