// RUN: tessera-opt %s -convert-tessera-to-tile | FileCheck %s --check-prefixes=CHECK,CPU
// RUN: tessera-opt %s -convert-tessera-to-tile=target=cuda | FileCheck %s --check-prefixes=CHECK,CUDA

// A computed start is clamped, so that all loads are known to be in bounds.
// CHECK: tile.kernel @box_pointwise_dynamic_slice grid [1] inputs 3
// CHECK: tile.extract {{.*}} : tensor<1xi32> -> i32
// CHECK: arith.maxsi
// CHECK: arith.minsi
// CHECK: tile.load {{.*}} : memref<7x5xf32> -> tensor<2x3xf32>
func.func @box(%x: tensor<7x5xf32>, %i: tensor<i32>, %j: tensor<i32>) -> tensor<2x3xf32> {
  %0 = tessera.dynamic_slice %x [%i, %j] : (tensor<7x5xf32>, tensor<i32>, tensor<i32>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// The kernel writes the box alone; what computes the box is part of it.
// CHECK: tile.kernel @box_replaced_pointwise_dynamic_update_slice grid [1] inputs 3 initial [0]
// CHECK: tile.load {{.*}} : memref<1x5xf32> -> tensor<1x5xf32>
// CHECK: arith.negf {{.*}} : tensor<1x5xf32>
// CHECK: tile.store {{.*}} : tensor<1x5xf32>, memref<7x5xf32>
// CHECK: func.func @box_replaced
// CHECK-NEXT: tile.launch @box_replaced_pointwise_dynamic_update_slice(%arg0, %arg1, %arg2)
func.func @box_replaced(%x: tensor<7x5xf32>, %i: tensor<i32>, %u: tensor<1x5xf32>) -> tensor<7x5xf32> {
  %n = tessera.neg %u : (tensor<1x5xf32>) -> tensor<1x5xf32>
  %0 = tessera.dynamic_update_slice %x [%i, %i] = %n : (tensor<7x5xf32>, tensor<i32>, tensor<i32>, tensor<1x5xf32>) -> tensor<7x5xf32>
  return %0 : tensor<7x5xf32>
}

// What is read of the value before comes by an input of its own.
// CHECK: func.func @box_of_itself
// CHECK-NEXT: tile.launch @{{.*}}(%arg0, %arg1, %arg0)
func.func @box_of_itself(%x: tensor<7x5xf32>, %i: tensor<i32>) -> tensor<7x5xf32> {
  %s = tessera.slice %x [0, 0] to [1, 5] by [1, 1] : tensor<7x5xf32> -> tensor<1x5xf32>
  %0 = tessera.dynamic_update_slice %x [%i, %i] = %s : (tensor<7x5xf32>, tensor<i32>, tensor<i32>, tensor<1x5xf32>) -> tensor<7x5xf32>
  return %0 : tensor<7x5xf32>
}

// Points are rows of one element; an index outside must not name another one.
// CHECK: tile.kernel @points
// CHECK: memref.reinterpret_cast {{.*}} sizes: [35], strides: [1]
// CHECK: arith.cmpi ult
// CHECK: tile.gather {{.*}} : memref<35xf32, strided<[1]>>, tensor<3xi32> -> tensor<3xf32>
func.func @points(%x: tensor<7x5xf32>, %i: tensor<3xi32>) -> tensor<3xf32> {
  %0 = tessera.gather %x [%i, %i] dims [0, 1] : (tensor<7x5xf32>, tensor<3xi32>, tensor<3xi32>) -> tensor<3xf32>
  return %0 : tensor<3xf32>
}

// Rows of a batch: entry and index together number them.
// CHECK: tile.kernel @rows_of_a_batch
// CHECK: memref.reinterpret_cast {{.*}} sizes: [14, 5], strides: [5, 1]
// CHECK: tile.gather {{.*}} -> tensor<6x5xf32>
func.func @rows_of_a_batch(%x: tensor<2x7x5xf32>, %i: tensor<2x3xi32>) -> tensor<2x3x5xf32> {
  %0 = tessera.gather %x [%i] dims [1] batch [0] = [0] : (tensor<2x7x5xf32>, tensor<2x3xi32>) -> tensor<2x3x5xf32>
  return %0 : tensor<2x3x5xf32>
}

// CHECK: tile.kernel @rows_added_pointwise_scatter grid [1] inputs 3 initial [0]
// CHECK: tile.scatter add {{.*}} : tensor<3x5xf32>, memref<7x5xf32>, tensor<3xi32>
func.func @rows_added(%x: tensor<7x5xf32>, %i: tensor<3xi32>, %u: tensor<3x5xf32>) -> tensor<7x5xf32> {
  %0 = tessera.scatter add %x [%i] = %u dims [0] : (tensor<7x5xf32>, tensor<3xi32>, tensor<3x5xf32>) -> tensor<7x5xf32>
  return %0 : tensor<7x5xf32>
}

// A block for each entry of a batch.
// CHECK: tile.kernel @points_of_a_batch_pointwise_scatter grid [2] inputs 3 initial [0]
// CHECK: tile.scatter set {{.*}} : tensor<3xf32>, memref<14xf32, strided<[1]>>, tensor<3xi32>
func.func @points_of_a_batch(%x: tensor<2x7xf32>, %i: tensor<2x3xi32>, %u: tensor<2x3xf32>) -> tensor<2x7xf32> {
  %0 = tessera.scatter set %x [%i] = %u dims [1] batch [0] = [0] : (tensor<2x7xf32>, tensor<2x3xi32>, tensor<2x3xf32>) -> tensor<2x7xf32>
  return %0 : tensor<2x7xf32>
}

// A block for each row.
// CHECK: tile.kernel @sorted_argsort grid [2] inputs 1
// CHECK: tile.argsort {{.*}} dim 1 bits 16 to 32 scratch{{.*}} : tensor<1x7xi32>, memref<2x7xi32>, memref<2x7xi32>, memref<2x7xi32>
// CHECK: func.func @sorted
// CHECK-NEXT: tile.launch @sorted_argsort(%arg0)
func.func @sorted(%x: tensor<2x7xbf16>) -> tensor<2x7xi32> {
  %0 = tessera.argsort %x dim 1 : tensor<2x7xbf16> -> tensor<2x7xi32>
  return %0 : tensor<2x7xi32>
}

// On a CPU a scatter of long rows is work for several blocks. Each has some of
// the rows that are written, and skips the positions of others.
// CHECK: tile.kernel @gradient_pointwise_scatter
// CPU-SAME: grid [8]
// CUDA-SAME: grid [2]
// CPU: arith.cmpi ult
// CPU: arith.select {{.*}} tensor<21xi32>
// CHECK: tile.scatter add
// CHECK-LABEL: func.func @gradient
func.func @gradient(%table: tensor<1000x384xf32>, %at: tensor<512xi32>, %rows: tensor<512x384xf32>) -> tensor<1000x384xf32> {
  %0 = tessera.scatter add %table [%at] = %rows dims [0] : (tensor<1000x384xf32>, tensor<512xi32>, tensor<512x384xf32>) -> tensor<1000x384xf32>
  return %0 : tensor<1000x384xf32>
}
