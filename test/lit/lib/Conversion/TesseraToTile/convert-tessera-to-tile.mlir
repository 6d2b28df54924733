// RUN: tessera-opt %s -convert-tessera-to-tile | FileCheck %s

// A product with its bias and activation is one kernel.
// CHECK: tile.kernel @linear_product_gelu grid [1] inputs 3
// CHECK: tile.dot {{.*}} : tensor<6x5xf32>, tensor<5x7xf32> -> tensor<6x7xf32>
// CHECK: arith.addf
// CHECK: math.erf
// CHECK: tile.store
// CHECK-LABEL: func.func @linear
// CHECK-NEXT: %[[R:.*]] = tile.launch @linear_product_gelu
// CHECK-NEXT: return %[[R]]
func.func @linear(%x: tensor<2x3x5xf32>, %w: tensor<7x5xf32>, %b: tensor<7xf32>) -> tensor<2x3x7xf32> {
  %0 = tessera.contract %x, %w "bsk,nk->bsn" : tensor<2x3x5xf32>, tensor<7x5xf32> -> tensor<2x3x7xf32>
  %1 = tessera.broadcast %b dims [2] : tensor<7xf32> -> tensor<2x3x7xf32>
  %2 = tessera.add %0, %1 : tensor<2x3x7xf32>
  %3 = tessera.gelu %2 approximation none : tensor<2x3x7xf32> -> tensor<2x3x7xf32>
  return %3 : tensor<2x3x7xf32>
}

// A value that a collective needs ends its kernel; the norm after it takes the
// additions before it along.
// CHECK: tile.kernel @residual_layer_norm
// CHECK-COUNT-2: tile.reduce sum
// CHECK-LABEL: func.func @residual
// CHECK-NEXT: tile.launch @residual_product
// CHECK-NEXT: dist.all_reduce
// CHECK-NEXT: tile.launch @residual_layer_norm
// CHECK-NEXT: return
dist.mesh @mesh <[tp = 2]>
func.func @residual(%x: tensor<2x5xf32>, %w: tensor<5x3xf32>, %r: tensor<2x3xf32>, %g: tensor<3xf32>, %b: tensor<3xf32>) -> tensor<2x3xf32> {
  %0 = tessera.contract %x, %w "mk,kn->mn" : tensor<2x5xf32>, tensor<5x3xf32> -> tensor<2x3xf32>
  %1 = dist.all_reduce sum %0 over @mesh {tp} : tensor<2x3xf32>
  %2 = tessera.add %1, %r : tensor<2x3xf32>
  %3 = tessera.layer_norm %2, %g, %b epsilon 1.0e-5 : tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32> -> tensor<2x3xf32>
  return %3 : tensor<2x3xf32>
}

// Two products of the same shapes share a kernel.
// CHECK: tile.kernel @twice_product grid
// CHECK-NOT: tile.kernel @twice
// CHECK-LABEL: func.func @twice
// CHECK-NEXT: tile.launch @twice_product(
// CHECK-NEXT: tile.launch @twice_product(
func.func @twice(%x: tensor<5x5xf32>, %w: tensor<5x5xf32>) -> tensor<5x5xf32> {
  %0 = tessera.contract %x, %w "mk,kn->mn" : tensor<5x5xf32>, tensor<5x5xf32> -> tensor<5x5xf32>
  %1 = tessera.contract %0, %x "mk,kn->mn" : tensor<5x5xf32>, tensor<5x5xf32> -> tensor<5x5xf32>
  return %1 : tensor<5x5xf32>
}

// Booleans lie in memory as bytes.
// CHECK: tile.kernel @booleans_pointwise_compare
// CHECK: ^bb0(%{{.*}}: memref<2x3xf32>, %{{.*}}: memref<2x3xi8>)
// CHECK: arith.extui %{{.*}} : tensor<2x3xi1> to tensor<2x3xi8>
func.func @booleans(%x: tensor<2x3xf32>) -> tensor<2x3xi1> {
  %0 = tessera.constant dense<0.0> : tensor<2x3xf32> : tensor<2x3xf32>
  %1 = tessera.compare gt %x, %0 : tensor<2x3xf32>, tensor<2x3xf32> -> tensor<2x3xi1>
  return %1 : tensor<2x3xi1>
}

// What is returned besides is a second result of the kernel that computes it.
// CHECK: tile.kernel @update_pointwise_sub grid [1] inputs 2
// CHECK-COUNT-2: tile.store
// CHECK-NOT: tile.kernel @update
// CHECK-LABEL: func.func @update
// CHECK-NEXT: %[[R:.*]]:2 = tile.launch @update_pointwise_sub(%{{.*}}, %{{.*}}) : (tensor<2x3xf32>, tensor<2x3xf32>) -> (tensor<2x3xf32>, tensor<2x3xf32>)
// CHECK-NEXT: return %[[R]]#1, %[[R]]#0
func.func @update(%p: tensor<2x3xf32>, %m: tensor<2x3xf32>) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
  %0 = tessera.add %m, %p : tensor<2x3xf32>
  %1 = tessera.sub %p, %0 : tensor<2x3xf32>
  return %1, %0 : tensor<2x3xf32>, tensor<2x3xf32>
}

// Each step of a chain of shifts is a kernel, the same for all steps: shifts are
// not computed again for each shift that reads them.
// CHECK: tile.kernel @shifts_pointwise_add grid
// CHECK-NOT: tile.kernel @shifts
// CHECK-LABEL: func.func @shifts
// CHECK-NEXT: %[[A:.*]] = tile.launch @shifts_pointwise_add(%{{.*}})
// CHECK-NEXT: %[[B:.*]] = tile.launch @shifts_pointwise_add(%[[A]])
// CHECK-NEXT: return %[[B]]
func.func @shifts(%x: tensor<900x900xf32>) -> tensor<900x900xf32> {
  %0 = tessera.slice %x [0, 1] to [900, 900] by [1, 1] : tensor<900x900xf32> -> tensor<900x899xf32>
  %1 = tessera.pad %0 low [0, 0] high [0, 1] value 0.0 : f32 : tensor<900x899xf32> -> tensor<900x900xf32>
  %2 = tessera.slice %x [1, 0] to [900, 900] by [1, 1] : tensor<900x900xf32> -> tensor<899x900xf32>
  %3 = tessera.pad %2 low [0, 0] high [1, 0] value 0.0 : f32 : tensor<899x900xf32> -> tensor<900x900xf32>
  %4 = tessera.exp %1 : tensor<900x900xf32>
  %5 = tessera.exp %3 : tensor<900x900xf32>
  %6 = tessera.add %4, %5 : tensor<900x900xf32>
  %7 = tessera.slice %6 [0, 1] to [900, 900] by [1, 1] : tensor<900x900xf32> -> tensor<900x899xf32>
  %8 = tessera.pad %7 low [0, 0] high [0, 1] value 0.0 : f32 : tensor<900x899xf32> -> tensor<900x900xf32>
  %9 = tessera.slice %6 [1, 0] to [900, 900] by [1, 1] : tensor<900x900xf32> -> tensor<899x900xf32>
  %10 = tessera.pad %9 low [0, 0] high [1, 0] value 0.0 : f32 : tensor<899x900xf32> -> tensor<900x900xf32>
  %11 = tessera.exp %8 : tensor<900x900xf32>
  %12 = tessera.exp %10 : tensor<900x900xf32>
  %13 = tessera.add %11, %12 : tensor<900x900xf32>
  return %13 : tensor<900x900xf32>
}
