// RUN: tessera-opt %s -convert-tessera-to-tile | FileCheck %s
// RUN: tessera-opt %s -convert-tessera-to-tile=target=cuda | FileCheck %s

// A block of the result names a block of the input.
// CHECK: tile.kernel @transposed_pointwise_transpose grid [1] inputs 1
// CHECK: tile.load {{.*}} : memref<2x3x5xf32> -> tensor<2x3x5xf32>
// CHECK: tile.trans {{.*}} [2, 0, 1]
func.func @transposed(%x: tensor<2x3x5xf32>) -> tensor<5x2x3xf32> {
  %0 = tessera.transpose %x [2, 0, 1] : tensor<2x3x5xf32> -> tensor<5x2x3xf32>
  return %0 : tensor<5x2x3xf32>
}

// A slice without strides moves the offsets, one with strides reads a view.
// CHECK: tile.kernel @sliced
// CHECK: tile.load %{{.*}}[%c1, %c2] : memref<7x9xf32> -> tensor<5x7xf32>
func.func @sliced(%x: tensor<7x9xf32>) -> tensor<5x7xf32> {
  %0 = tessera.slice %x [1, 2] to [6, 9] by [1, 1] : tensor<7x9xf32> -> tensor<5x7xf32>
  return %0 : tensor<5x7xf32>
}

// CHECK: tile.kernel @every_second
// CHECK: memref.reinterpret_cast {{.*}} to offset: [1], sizes: [7, 4], strides: [9, 2]
func.func @every_second(%x: tensor<7x9xf32>) -> tensor<7x4xf32> {
  %0 = tessera.slice %x [0, 1] to [7, 9] by [1, 2] : tensor<7x9xf32> -> tensor<7x4xf32>
  return %0 : tensor<7x4xf32>
}

// The view's strides do not exceed 64 bits where there is one element.
// CHECK: tile.kernel @far_strides
// CHECK: memref.reinterpret_cast {{.*}} to offset: [61], sizes: [1, 1, 2], strides: [30, 6, 2]
func.func @far_strides(%x: tensor<3x5x6xf32>) -> tensor<1x1x2xf32> {
  %0 = tessera.slice %x [2, 0, 1] to [3, 5, 5] by [1152921504606846976, 1152921504606846976, 2] : tensor<3x5x6xf32> -> tensor<1x1x2xf32>
  return %0 : tensor<1x1x2xf32>
}

// Before the start an index is a large unsigned number.
// CHECK: tile.kernel @padded
// CHECK: arith.cmpi ult
// CHECK: arith.select
func.func @padded(%x: tensor<2x3xf32>) -> tensor<2x6xf32> {
  %0 = tessera.pad %x low [0, 1] high [0, 2] value 1.5 : f32 : tensor<2x3xf32> -> tensor<2x6xf32>
  return %0 : tensor<2x6xf32>
}

// Each input is stored in its place where a block has all of the dimension.
// CHECK: tile.kernel @joined_pointwise_concatenate grid [1] inputs 2
// CHECK: %[[X:.*]] = tile.load %arg0
// CHECK: tile.store %[[X]], %arg2[%c0, %c0] : tensor<2x3xf32>
// CHECK: %[[Y:.*]] = tile.load %arg1
// CHECK: tile.store %[[Y]], %arg2[%c0, %c3] : tensor<2x5xf32>
// CHECK-LABEL: func.func @joined
func.func @joined(%x: tensor<2x3xf32>, %y: tensor<2x5xf32>) -> tensor<2x8xf32> {
  %0 = tessera.concatenate %x, %y dim 1 : (tensor<2x3xf32>, tensor<2x5xf32>) -> tensor<2x8xf32>
  return %0 : tensor<2x8xf32>
}

// A block of one input is stored if it is that one's: a loop of one turn or none.
// CHECK: tile.kernel @stacked_pointwise_concatenate
// CHECK-COUNT-2: scf.for
// CHECK-NOT: arith.select
// CHECK-LABEL: func.func @stacked
func.func @stacked(%x: tensor<2048x64xf32>, %y: tensor<4096x64xf32>) -> tensor<6144x64xf32> {
  %0 = tessera.concatenate %x, %y dim 0 : (tensor<2048x64xf32>, tensor<4096x64xf32>) -> tensor<6144x64xf32>
  return %0 : tensor<6144x64xf32>
}

// Else each element is chosen; so it is where more is computed of them.
// CHECK: tile.kernel @odd_pointwise_concatenate
// CHECK: arith.select
// CHECK-LABEL: func.func @odd
func.func @odd(%x: tensor<9001xf32>, %y: tensor<8009xf32>) -> tensor<17010xf32> {
  %0 = tessera.concatenate %x, %y dim 0 : (tensor<9001xf32>, tensor<8009xf32>) -> tensor<17010xf32>
  return %0 : tensor<17010xf32>
}
// CHECK: tile.kernel @used_pointwise_exp
// CHECK: arith.select
// CHECK-LABEL: func.func @used
func.func @used(%x: tensor<2x3xf32>, %y: tensor<2x5xf32>) -> tensor<2x8xf32> {
  %0 = tessera.concatenate %x, %y dim 1 : (tensor<2x3xf32>, tensor<2x5xf32>) -> tensor<2x8xf32>
  %1 = tessera.exp %0 : tensor<2x8xf32>
  return %1 : tensor<2x8xf32>
}

// The indexed dimension comes first in a view of the table.
// CHECK: tile.kernel @looked_up
// CHECK: memref.reinterpret_cast {{.*}} sizes: [5, 7], strides: [1, 5]
// CHECK: tile.gather {{.*}} -> tensor<3x7xf32>
// CHECK: tile.trans {{.*}} [1, 0]
func.func @looked_up(%t: tensor<7x5xf32>, %at: tensor<3xi32>) -> tensor<7x3xf32> {
  %0 = tessera.gather %t [%at] dims [1] : (tensor<7x5xf32>, tensor<3xi32>) -> tensor<7x3xf32>
  return %0 : tensor<7x3xf32>
}

// Memory is what a lookup reads, so the table is made by a kernel of its own.
// CHECK: tile.kernel @in_a_made_table_pointwise_iota
// CHECK: tile.kernel @in_a_made_table_pointwise_gather
// CHECK: tile.gather
func.func @in_a_made_table(%at: tensor<3xi32>) -> tensor<3xf32> {
  %t = tessera.iota dim 0 : tensor<7xf32>
  %0 = tessera.gather %t [%at] dims [0] : (tensor<7xf32>, tensor<3xi32>) -> tensor<3xf32>
  return %0 : tensor<3xf32>
}

// A renaming of the same bytes is no kernel.
// CHECK-LABEL: func.func @renamed
// CHECK-NEXT: tessera.reshape
// CHECK-NEXT: return
func.func @renamed(%x: tensor<2x3xf32>) -> tensor<6xf32> {
  %0 = tessera.reshape %x : tensor<2x3xf32> -> tensor<6xf32>
  return %0 : tensor<6xf32>
}
