// RUN: tessera-opt %s -convert-tessera-to-tile | FileCheck %s

// Blocks of products on a CPU: 512 x 192 at most, divisors of at least half of
// that if there are any.
// CHECK: tile.kernel @forward_product grid [14] inputs 2
// CHECK: tile.dot {{.*}} : tensor<500x40xf32>, tensor<40x143xf32>
func.func @forward(%x: tensor<1000x40xf32>, %w: tensor<40x1001xf32>) -> tensor<1000x1001xf32> {
  %0 = tessera.contract %x, %w "mk,kn->mn" : tensor<1000x40xf32>, tensor<40x1001xf32> -> tensor<1000x1001xf32>
  return %0 : tensor<1000x1001xf32>
}

// Where the left factor is packed, too, blocks have more columns; parts are
// even, in whole vectors, where sizes have no divisors: 3 x 336 columns.
// CHECK: tile.kernel @weight_gradient_product grid [6] inputs 2
// CHECK: tile.dot {{.*}} : tensor<500x40xbf16>, tensor<40x336xbf16>
func.func @weight_gradient(%x: tensor<40x1000xbf16>, %g: tensor<40x1001xbf16>) -> tensor<1000x1001xbf16> {
  %0 = tessera.contract %x, %g "km,kn->mn" : tensor<40x1000xbf16>, tensor<40x1001xbf16> -> tensor<1000x1001xbf16>
  return %0 : tensor<1000x1001xbf16>
}

// The same of what is transposed in the kernel itself, and of what is summed.
// CHECK: tile.kernel @transposed_product grid [6] inputs 2
// CHECK: tile.load {{.*}} : memref<409x1000xbf16> -> tensor<208x500xbf16>
func.func @transposed(%x: tensor<409x1000xbf16>, %g: tensor<409x1001xbf16>) -> tensor<1000x1001xbf16> {
  %0 = tessera.transpose %x [1, 0] : tensor<409x1000xbf16> -> tensor<1000x409xbf16>
  %1 = tessera.contract %0, %g "mk,kn->mn" : tensor<1000x409xbf16>, tensor<409x1001xbf16> -> tensor<1000x1001xbf16>
  return %1 : tensor<1000x1001xbf16>
}

// Few programs have smaller blocks, so that there are more of them.
// CHECK: tile.kernel @small_product grid [2] inputs 2
// CHECK: tile.dot {{.*}} : tensor<256x40xf32>, tensor<40x128xf32>
func.func @small(%x: tensor<40x256xf32>, %g: tensor<40x256xf32>) -> tensor<256x256xf32> {
  %0 = tessera.contract %x, %g "km,kn->mn" : tensor<40x256xf32>, tensor<40x256xf32> -> tensor<256x256xf32>
  return %0 : tensor<256x256xf32>
}

// Few rows read the right factor once, in long pieces of its rows; not where
// its columns are apart in memory, nor where few programs would be left.
// CHECK: tile.kernel @few_rows_product grid [4] inputs 2
// CHECK: tile.dot {{.*}} : tensor<8x32xf32>, tensor<32x1024xf32>
func.func @few_rows(%x: tensor<8x4096xf32>, %w: tensor<4096x4096xf32>) -> tensor<8x4096xf32> {
  %0 = tessera.contract %x, %w "mk,kn->mn" : tensor<8x4096xf32>, tensor<4096x4096xf32> -> tensor<8x4096xf32>
  return %0 : tensor<8x4096xf32>
}
// CHECK: tile.kernel @columns_apart_product grid [32] inputs 2
// CHECK: tile.dot {{.*}} : tensor<8x256xf32>, tensor<256x128xf32>
func.func @columns_apart(%x: tensor<8x4096xf32>, %w: tensor<4096x4096xf32>) -> tensor<8x4096xf32> {
  %0 = tessera.contract %x, %w "mk,nk->mn" : tensor<8x4096xf32>, tensor<4096x4096xf32> -> tensor<8x4096xf32>
  return %0 : tensor<8x4096xf32>
}
// CHECK: tile.kernel @few_programs_product grid [8] inputs 2
// CHECK: tile.dot {{.*}} : tensor<8x256xf32>, tensor<256x128xf32>
func.func @few_programs(%x: tensor<8x1024xf32>, %w: tensor<1024x1024xf32>) -> tensor<8x1024xf32> {
  %0 = tessera.contract %x, %w "mk,kn->mn" : tensor<8x1024xf32>, tensor<1024x1024xf32> -> tensor<8x1024xf32>
  return %0 : tensor<8x1024xf32>
}

// One row times whole rows of memory, in so many programs that all threads have
// work; not where the rows run along the columns, which are packed.
// CHECK-LABEL: tile.kernel @one_row_product grid [9] inputs 2
// CHECK: tile.dot {{.*}} : tensor<1x576xf32>, tensor<576x64xf32> -> tensor<1x64xf32>
func.func @one_row(%x: tensor<1x1x576xf32>, %w: tensor<576x576xf32>) -> tensor<1x1x576xf32> {
  %0 = tessera.contract %x, %w "btk,nk->btn" : tensor<1x1x576xf32>, tensor<576x576xf32> -> tensor<1x1x576xf32>
  return %0 : tensor<1x1x576xf32>
}

// CHECK-LABEL: tile.kernel @one_row_of_columns_product
// CHECK-NOT: tensor<1x576xf32>, tensor<576x
// CHECK: return
func.func @one_row_of_columns(%x: tensor<1x1x576xf32>, %w: tensor<576x576xf32>) -> tensor<1x1x576xf32> {
  %0 = tessera.contract %x, %w "btk,kn->btn" : tensor<1x1x576xf32>, tensor<576x576xf32> -> tensor<1x1x576xf32>
  return %0 : tensor<1x1x576xf32>
}
