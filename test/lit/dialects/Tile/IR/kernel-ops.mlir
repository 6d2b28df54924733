// RUN: tessera-opt %s | tessera-opt | FileCheck %s
// RUN: tessera-opt %s --mlir-print-op-generic | tessera-opt | FileCheck %s

// CHECK: tile.kernel @nothing grid [1] inputs 0 {
// CHECK-NEXT: }
tile.kernel @nothing grid [1] inputs 0 {
  tile.return
}

// CHECK: tile.kernel @a_box_of_a_grid grid [2, 3, 1] inputs 1 {
// CHECK-NEXT: ^bb0(%[[X:.*]]: memref<7x5xf32>, %[[Y:.*]]: memref<7x5xf32>):
tile.kernel @a_box_of_a_grid grid [2, 3, 1] inputs 1 {
^bb0(%x: memref<7x5xf32>, %y: memref<7x5xf32>):
  // CHECK: %[[I:.*]] = tile.program_id 0
  // CHECK-NEXT: %[[J:.*]] = tile.program_id 1
  %i = tile.program_id 0
  %j = tile.program_id 1
  // CHECK-NEXT: tile.load %[[X]][%[[I]], %[[J]]] : memref<7x5xf32> -> tensor<4x2xf32>
  %0 = tile.load %x[%i, %j] : memref<7x5xf32> -> tensor<4x2xf32>
  // CHECK-NEXT: %[[T:.*]] = tile.load %[[X]][%[[I]], %[[J]]] pad 0xFF800000 : f32 : memref<7x5xf32> -> tensor<4x2xf32>
  %1 = tile.load %x[%i, %j] pad 0xFF800000 : f32 : memref<7x5xf32> -> tensor<4x2xf32>
  // CHECK-NEXT: tile.store %[[T]], %[[Y]][%[[I]], %[[J]]] : tensor<4x2xf32>, memref<7x5xf32>
  tile.store %1, %y[%i, %j] : tensor<4x2xf32>, memref<7x5xf32>
}

// CHECK: tile.kernel @rows_at_indices grid [1] inputs 2
tile.kernel @rows_at_indices grid [1] inputs 2 {
^bb0(%x: memref<7x5xf32>, %at: memref<3xi64>, %y: memref<3x5xf32>):
  %c0 = arith.constant 0 : index
  %0 = tile.load %at[%c0] : memref<3xi64> -> tensor<3xi64>
  // CHECK: tile.gather %{{.*}}[%{{.*}}] [%{{.*}}] : memref<7x5xf32>, tensor<3xi64> -> tensor<3x5xf32>
  %1 = tile.gather %x[%0][%c0] : memref<7x5xf32>, tensor<3xi64> -> tensor<3x5xf32>
  tile.store %1, %y[%c0, %c0] : tensor<3x5xf32>, memref<3x5xf32>
}

// A view of the odd columns, within the argument.
// CHECK: tile.kernel @a_view_of_an_argument grid [1] inputs 1
tile.kernel @a_view_of_an_argument grid [1] inputs 1 {
^bb0(%x: memref<2x6xf32>, %y: memref<2x3xf32>):
  %c0 = arith.constant 0 : index
  %view = memref.reinterpret_cast %x to offset: [1], sizes: [2, 3], strides: [6, 2]
    : memref<2x6xf32> to memref<2x3xf32, strided<[6, 2], offset: 1>>
  %0 = tile.load %view[%c0, %c0] : memref<2x3xf32, strided<[6, 2], offset: 1>> -> tensor<2x3xf32>
  tile.store %0, %y[%c0, %c0] : tensor<2x3xf32>, memref<2x3xf32>
}

// Booleans are bytes in memory, scalars have one dimension there.
// CHECK: tile.kernel @is_positive grid [1] inputs 1
tile.kernel @is_positive grid [1] inputs 1 {
^bb0(%x: memref<1xf32>, %y: memref<1xi8>):
  %c0 = arith.constant 0 : index
  %0 = tile.load %x[%c0] : memref<1xf32> -> tensor<1xf32>
  %zero = arith.constant dense<0.0> : tensor<1xf32>
  %1 = arith.cmpf ogt, %0, %zero : tensor<1xf32>
  %2 = arith.extui %1 : tensor<1xi1> to tensor<1xi8>
  tile.store %2, %y[%c0] : tensor<1xi8>, memref<1xi8>
}

// CHECK-LABEL: func.func @launches
func.func @launches(%x: tensor<f32>, %t: tensor<5x7xf32>, %at: tensor<3x1xi64>) -> (tensor<i1>, tensor<1x3x5xf32>) {
  // CHECK-NEXT: tile.launch @nothing() : () -> ()
  tile.launch @nothing() : () -> ()
  // CHECK-NEXT: tile.launch @is_positive(%{{.*}}) : (tensor<f32>) -> tensor<i1>
  %0 = tile.launch @is_positive(%x) : (tensor<f32>) -> tensor<i1>
  // CHECK-NEXT: tile.launch @rows_at_indices(%{{.*}}, %{{.*}}) : (tensor<5x7xf32>, tensor<3x1xi64>) -> tensor<1x3x5xf32>
  %1 = tile.launch @rows_at_indices(%t, %at) : (tensor<5x7xf32>, tensor<3x1xi64>) -> tensor<1x3x5xf32>
  return %0, %1 : tensor<i1>, tensor<1x3x5xf32>
}
