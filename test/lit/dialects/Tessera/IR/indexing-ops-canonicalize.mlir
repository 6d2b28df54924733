// RUN: tessera-opt %s --canonicalize | FileCheck %s
// RUN: tessera-opt %s '--tessera-check-equivalence=pipeline=canonicalize runs=3' -o /dev/null

dist.mesh @mesh <[tp = 2]>

// CHECK-LABEL: @a_known_index_is_a_slice
func.func @a_known_index_is_a_slice(%x: tensor<3x7x5xf32>) -> tensor<3x1x5xf32> {
  // CHECK-NEXT: %[[R:.*]] = tessera.slice %arg0 [0, 4, 0] to [3, 5, 5] by [1, 1, 1] : tensor<3x7x5xf32> -> tensor<3x1x5xf32>
  // CHECK-NEXT: return %[[R]]
  %i = tessera.constant dense<4> : tensor<1xi32> : tensor<1xi32>
  %0 = tessera.gather %x [%i] dims [1] : (tensor<3x7x5xf32>, tensor<1xi32>) -> tensor<3x1x5xf32>
  return %0 : tensor<3x1x5xf32>
}

// CHECK-LABEL: @one_row_is_read_once
func.func @one_row_is_read_once(%x: tensor<3x7x5xf32>) -> tensor<3x2x4x5xf32> {
  // CHECK-NEXT: %[[S:.*]] = tessera.slice %arg0 [0, 6, 0] to [3, 7, 5] by [1, 1, 1]
  // CHECK-NEXT: %[[R:.*]] = tessera.broadcast %[[S]] dims [0, 2, 3] : tensor<3x1x5xf32> -> tensor<3x2x4x5xf32>
  // CHECK-NEXT: return %[[R]]
  %i = tessera.constant dense<6> : tensor<2x4xi64> : tensor<2x4xi64>
  %0 = tessera.gather %x [%i] dims [1] : (tensor<3x7x5xf32>, tensor<2x4xi64>) -> tensor<3x2x4x5xf32>
  return %0 : tensor<3x2x4x5xf32>
}

// CHECK-LABEL: @an_index_without_dimensions_takes_one
func.func @an_index_without_dimensions_takes_one(%x: tensor<3x7x5xf32>) -> tensor<7xf32> {
  // CHECK-NEXT: %[[S:.*]] = tessera.slice %arg0 [2, 0, 4] to [3, 7, 5] by [1, 1, 1]
  // CHECK-NEXT: %[[R:.*]] = tessera.reshape %[[S]] : tensor<1x7x1xf32> -> tensor<7xf32>
  // CHECK-NEXT: return %[[R]]
  %i = tessera.constant dense<2> : tensor<i32> : tensor<i32>
  %j = tessera.constant dense<4> : tensor<i64> : tensor<i64>
  %0 = tessera.gather %x [%i, %j] dims [0, 2] : (tensor<3x7x5xf32>, tensor<i32>, tensor<i64>) -> tensor<7xf32>
  return %0 : tensor<7xf32>
}

// It reads zeros.
// CHECK-LABEL: @an_index_outside_stays
func.func @an_index_outside_stays(%x: tensor<7x5xf32>) -> (tensor<1x5xf32>, tensor<1x5xf32>) {
  // CHECK-COUNT-2: tessera.gather
  %i = tessera.constant dense<7> : tensor<1xi32> : tensor<1xi32>
  %j = tessera.constant dense<-1> : tensor<1xi32> : tensor<1xi32>
  %0 = tessera.gather %x [%i] dims [0] : (tensor<7x5xf32>, tensor<1xi32>) -> tensor<1x5xf32>
  %1 = tessera.gather %x [%j] dims [0] : (tensor<7x5xf32>, tensor<1xi32>) -> tensor<1x5xf32>
  return %0, %1 : tensor<1x5xf32>, tensor<1x5xf32>
}

// The source may come to be split along its rows: devices then look up what
// they hold, where a slice would collect the rows first.
// CHECK-LABEL: @a_whole_program_looks_up
func.func @a_whole_program_looks_up(%x: !tessera.mesh_tensor<7x5xf32, @mesh>) -> !tessera.mesh_tensor<1x5xf32, @mesh> {
  // CHECK: tessera.gather
  %i = tessera.constant dense<4> : tensor<1xi32> : !tessera.mesh_tensor<1xi32, @mesh>
  %0 = tessera.gather %x [%i] dims [0] : (!tessera.mesh_tensor<7x5xf32, @mesh>, !tessera.mesh_tensor<1xi32, @mesh>) -> !tessera.mesh_tensor<1x5xf32, @mesh>
  return %0 : !tessera.mesh_tensor<1x5xf32, @mesh>
}
