// RUN: tessera-opt %s -convert-tessera-to-tile | FileCheck %s
// RUN: tessera-opt %s -convert-tessera-to-tile=target=cuda | FileCheck %s --check-prefix=CUDA

// A kernel of its own packs the right factor of a large product in panels of 32
// columns: 3 chunks of 333 rows, 37 of them and 8 panels in one block, with zeros past
// column 1001.
// CHECK-LABEL: tile.kernel @gradient_panels grid [108] inputs 1 {
// CHECK: ^bb0(%[[G:.*]]: memref<999x1001xf32>, %[[PANELS:.*]]: memref<3x32x333x32xf32>):
// CHECK: scf.for
// CHECK: %[[TILE:.*]] = tile.load %[[G]][{{.*}}] : memref<999x1001xf32> -> tensor<37x32xf32>
// CHECK: %[[PANEL:.*]] = tile.reshape %[[TILE]] : tensor<37x32xf32> -> tensor<1x1x37x32xf32>
// CHECK: tile.store %[[PANEL]], %[[PANELS]][{{.*}}]

// All programs of the product read it, each with its own rows and all columns.
// CHECK-LABEL: tile.kernel @gradient_product grid [8] inputs 2 {
// CHECK: ^bb0(%[[PANELS:.*]]: memref<3x32x333x32xf32>, %[[X:.*]]: memref<999x1000xf32>, %{{.*}}: memref<1000x1001xf32>):
// CHECK: %[[SUM:.*]] = scf.for
// CHECK: tile.load %[[X]][{{.*}}] : memref<999x1000xf32> -> tensor<333x125xf32>
// CHECK: tile.load %[[PANELS]][{{.*}}] : memref<3x32x333x32xf32> -> tensor<1x32x333x32xf32>
// CHECK: tile.dot {{.*}} : tensor<125x333xf32>, tensor<333x1024xf32> -> tensor<125x1024xf32>
// CHECK: tile.store %[[SUM]], %{{.*}} : tensor<125x1024xf32>, memref<1000x1001xf32>

// CHECK: func.func @gradient(%[[ARG_X:.*]]: tensor<999x1000xf32>, %[[ARG_G:.*]]: tensor<999x1001xf32>)
// CHECK: %[[PACKED:.*]] = tile.launch @gradient_panels(%[[ARG_G]])
// CHECK: tile.launch @gradient_product(%[[PACKED]], %[[ARG_X]])

// CUDA-NOT: panels
func.func @gradient(%x: tensor<999x1000xf32>, %g: tensor<999x1001xf32>) -> tensor<1000x1001xf32> {
  %0 = tessera.contract %x, %g "km,kn->mn" : tensor<999x1000xf32>, tensor<999x1001xf32> -> tensor<1000x1001xf32>
  return %0 : tensor<1000x1001xf32>
}

// Two summed dimensions, of which the last one is cut; a factor that is
// transposed in the kernel.
// CHECK-LABEL: tile.kernel @sequences_panels
// CHECK: ^bb0(%{{.*}}: memref<5x520x600xf32>, %{{.*}}: memref<5x2x17x300x32xf32>):
// CHECK: tile.load {{.*}} : memref<5x520x600xf32> -> tensor<1x32x60xf32>
// CHECK-LABEL: tile.kernel @sequences_product grid [8] inputs 2 {
// CHECK: tile.dot {{.*}} : tensor<64x300xf32>, tensor<300x544xf32> -> tensor<64x544xf32>
func.func @sequences(%x: tensor<5x600x512xf32>, %g: tensor<5x520x600xf32>) -> tensor<512x520xf32> {
  %0 = tessera.transpose %g [0, 2, 1] : tensor<5x520x600xf32> -> tensor<5x600x520xf32>
  %1 = tessera.contract %x, %0 "bkm,bkn->mn" : tensor<5x600x512xf32>, tensor<5x600x520xf32> -> tensor<512x520xf32>
  return %1 : tensor<512x520xf32>
}

// A left factor that can be read in place needs more to be worth it; few rows
// share nothing; a factor that is large is not held twice, nor is one in panels
// that are large, as those of few columns are.
// CHECK-LABEL: func.func @sequences(
// CHECK-NOT: tile.kernel {{.*}}_panels
func.func @in_place(%x: tensor<512x512xf32>, %w: tensor<512x512xf32>) -> tensor<512x512xf32> {
  %0 = tessera.contract %x, %w "mk,kn->mn" : tensor<512x512xf32>, tensor<512x512xf32> -> tensor<512x512xf32>
  return %0 : tensor<512x512xf32>
}
func.func @few_rows(%x: tensor<4096x64xf32>, %w: tensor<4096x512xf32>) -> tensor<64x512xf32> {
  %0 = tessera.contract %x, %w "km,kn->mn" : tensor<4096x64xf32>, tensor<4096x512xf32> -> tensor<64x512xf32>
  return %0 : tensor<64x512xf32>
}
func.func @large(%x: tensor<2048x2048xf32>, %w: tensor<2048x4096xf32>) -> tensor<2048x4096xf32> {
  %0 = tessera.contract %x, %w "mk,kn->mn" : tensor<2048x2048xf32>, tensor<2048x4096xf32> -> tensor<2048x4096xf32>
  return %0 : tensor<2048x4096xf32>
}
func.func @few_columns(%x: tensor<262144x128xf32>, %g: tensor<262144x2xf32>) -> tensor<128x2xf32> {
  %0 = tessera.contract %x, %g "km,kn->mn" : tensor<262144x128xf32>, tensor<262144x2xf32> -> tensor<128x2xf32>
  return %0 : tensor<128x2xf32>
}
