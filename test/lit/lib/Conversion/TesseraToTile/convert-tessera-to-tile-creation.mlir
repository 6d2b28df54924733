// RUN: tessera-opt %s -convert-tessera-to-tile | FileCheck %s
// RUN: tessera-opt %s -convert-tessera-to-tile=target=cuda | FileCheck %s

// CHECK: tile.kernel @indices_pointwise_iota grid [1] inputs 0
// CHECK: tile.iota dim 1 : tensor<2x3xi32>
// CHECK: arith.sitofp
func.func @indices() -> tensor<2x3xf32> {
  %0 = tessera.iota dim 1 : tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// Indices that do not fit 32 bits have 64.
// CHECK: tile.kernel @far_indices
// CHECK: tile.iota dim 0 : tensor<{{.*}}xi64>
func.func @far_indices() -> tensor<4294967311xf32> {
  %0 = tessera.iota dim 0 : tensor<4294967311xf32>
  return %0 : tensor<4294967311xf32>
}

// Ten rounds of Philox, two products each.
// CHECK: tile.kernel @random_pointwise_rng grid [1] inputs 1
// CHECK-COUNT-20: arith.muli {{.*}} : tensor<2x3xi64>
// CHECK: arith.sitofp {{.*}} to tensor<2x3xf32>
func.func @random(%key: tensor<2xi32>) -> tensor<2x3xf32> {
  %0 = tessera.rng uniform %key [2, 3] : tensor<2xi32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// The host brings constants; a kernel makes splats itself.
// CHECK: tile.kernel @constants_pointwise_add grid [1] inputs 1
// CHECK: arith.constant dense<2.000000e+00> : tensor<3xf32>
// CHECK-LABEL: func.func @constants
// CHECK-NEXT: %[[C:.*]] = tessera.constant
// CHECK-NEXT: tile.launch @constants_pointwise_add(%[[C]])
func.func @constants() -> tensor<3xf32> {
  %0 = tessera.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf32> : tensor<3xf32>
  %1 = tessera.constant dense<2.0> : tensor<3xf32> : tensor<3xf32>
  %2 = tessera.add %0, %1 : tensor<3xf32>
  return %2 : tensor<3xf32>
}
