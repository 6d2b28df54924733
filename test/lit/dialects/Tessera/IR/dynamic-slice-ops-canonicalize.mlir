// RUN: tessera-opt %s --canonicalize | FileCheck %s
// RUN: tessera-opt %s '--tessera-check-equivalence=pipeline=canonicalize runs=3' -o /dev/null

// Starts are clamped so that the box fits.
// CHECK-LABEL: @known_starts_make_a_slice
func.func @known_starts_make_a_slice(%x: tensor<7x5xf32>, %j: tensor<i32>) -> tensor<2x5xf32> {
  // CHECK-NEXT: %[[R:.*]] = tessera.slice %arg0 [5, 0] to [7, 5] by [1, 1] : tensor<7x5xf32> -> tensor<2x5xf32>
  // CHECK-NEXT: return %[[R]]
  %i = tessera.constant dense<6> : tensor<i32> : tensor<i32>
  %0 = tessera.dynamic_slice %x [%i, %j] : (tensor<7x5xf32>, tensor<i32>, tensor<i32>) -> tensor<2x5xf32>
  return %0 : tensor<2x5xf32>
}

// CHECK-LABEL: @a_box_of_everything_is_the_value
func.func @a_box_of_everything_is_the_value(%x: tensor<7xf32>, %i: tensor<i32>, %u: tensor<7xf32>) -> (tensor<7xf32>, tensor<7xf32>) {
  // CHECK-NEXT: return %arg0, %arg2
  %0 = tessera.dynamic_slice %x [%i] : (tensor<7xf32>, tensor<i32>) -> tensor<7xf32>
  %1 = tessera.dynamic_update_slice %x [%i] = %u : (tensor<7xf32>, tensor<i32>, tensor<7xf32>) -> tensor<7xf32>
  return %0, %1 : tensor<7xf32>, tensor<7xf32>
}
