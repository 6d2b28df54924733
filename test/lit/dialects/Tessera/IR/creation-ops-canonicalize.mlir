// RUN: tessera-opt %s --canonicalize | FileCheck %s
// RUN: tessera-opt %s '--tessera-check-equivalence=pipeline=canonicalize runs=3' -o /dev/null

// CHECK-LABEL: @the_only_index_is_zero
func.func @the_only_index_is_zero() -> (tensor<2x1xi32>, tensor<2x1xi32>) {
  // CHECK-DAG: tessera.constant dense<0> : tensor<2x1xi32>
  // CHECK-DAG: tessera.iota dim 0
  %0 = tessera.iota dim 1 : tensor<2x1xi32>
  %1 = tessera.iota dim 0 : tensor<2x1xi32>
  return %0, %1 : tensor<2x1xi32>, tensor<2x1xi32>
}

// CHECK-LABEL: @an_offset_may_be_any_index
func.func @an_offset_may_be_any_index(%at: tensor<i32>) -> tensor<1xi32> {
  // CHECK-NEXT: tessera.iota dim 0 offset %arg0
  %0 = tessera.iota dim 0 offset %at : tensor<i32> : tensor<1xi32>
  return %0 : tensor<1xi32>
}
