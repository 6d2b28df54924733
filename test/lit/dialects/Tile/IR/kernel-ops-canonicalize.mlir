// RUN: tessera-opt %s --canonicalize | FileCheck %s

// CHECK-LABEL: tile.kernel @a_grid_of_one_has_one_index
// CHECK-DAG: %[[I:.*]] = tile.program_id 1
// CHECK-DAG: %[[C0:.*]] = arith.constant 0 : index
// CHECK: tile.load %{{.*}}[%[[C0]], %[[I]]]
tile.kernel @a_grid_of_one_has_one_index grid [1, 2] inputs 1 {
^bb0(%x: memref<2x3xf32>, %y: memref<2x3xf32>):
  %i = tile.program_id 0
  %j = tile.program_id 1
  %0 = tile.load %x[%i, %j] : memref<2x3xf32> -> tensor<2x3xf32>
  tile.store %0, %y[%i, %j] : tensor<2x3xf32>, memref<2x3xf32>
}

// CHECK-LABEL: tile.kernel @zero_is_the_default_pad
// CHECK: tile.load %{{.*}}[%{{.*}}] : memref<3xf32>
// Minus zero is another number.
// CHECK: tile.load %{{.*}}[%{{.*}}] pad -0.000000e+00 : f32
// CHECK: tile.load %{{.*}}[%{{.*}}] : memref<3xi32>
tile.kernel @zero_is_the_default_pad grid [1] inputs 2 {
^bb0(%x: memref<3xf32>, %n: memref<3xi32>, %y: memref<4xf32>, %m: memref<4xi32>):
  %c0 = arith.constant 0 : index
  %0 = tile.load %x[%c0] pad 0.0 : f32 : memref<3xf32> -> tensor<4xf32>
  %1 = tile.load %x[%c0] pad -0.0 : f32 : memref<3xf32> -> tensor<4xf32>
  %2 = tile.load %n[%c0] pad 0 : i32 : memref<3xi32> -> tensor<4xi32>
  %3 = arith.addf %0, %1 : tensor<4xf32>
  tile.store %3, %y[%c0] : tensor<4xf32>, memref<4xf32>
  tile.store %2, %m[%c0] : tensor<4xi32>, memref<4xi32>
}
