// RUN: tessera-opt %s -convert-tessera-to-tile | FileCheck %s
// RUN: tessera-opt %s -convert-tessera-to-tile=target=cuda | FileCheck %s

// A chain is one kernel, and narrow floats are computed in f32, each op rounded.
// CHECK: tile.kernel @chain_pointwise_mul grid [1] inputs 2
// CHECK: arith.extf {{.*}} : tensor<2x3x5xbf16> to tensor<2x3x5xf32>
// CHECK: math.exp {{.*}} : tensor<2x3x5xf32>
// CHECK: arith.truncf {{.*}} : tensor<2x3x5xf32> to tensor<2x3x5xbf16>
// CHECK: arith.mulf {{.*}} : tensor<2x3x5xf32>
// CHECK-LABEL: func.func @chain
func.func @chain(%x: tensor<2x3x5xbf16>, %y: tensor<2x3x5xbf16>) -> tensor<2x3x5xbf16> {
  %0 = tessera.exp %x : tensor<2x3x5xbf16>
  %1 = tessera.mul %0, %y : tensor<2x3x5xbf16>
  return %1 : tensor<2x3x5xbf16>
}

// Host processors trap on x / 0 and on the smallest number / -1.
// CHECK: tile.kernel @quotients
// CHECK: %[[ZERO:.*]] = arith.cmpi eq, %[[Y:.*]], %{{.*}}
// CHECK: arith.ori
// CHECK: %[[D:.*]] = arith.select {{.*}}, %{{.*}}, %[[Y]]
// CHECK: arith.divsi %{{.*}}, %[[D]]
func.func @quotients(%x: tensor<7xi32>, %y: tensor<7xi32>) -> tensor<7xi32> {
  %0 = tessera.div %x, %y : tensor<7xi32>
  return %0 : tensor<7xi32>
}

// Tiles are signless; the ops know the sign.
// CHECK: tile.kernel @unsigned
// CHECK: ^bb0(%{{.*}}: memref<7xi32>, %{{.*}}: memref<7xi32>, %{{.*}}: memref<7xi32>)
// CHECK: arith.maxui {{.*}} : tensor<7xi32>
func.func @unsigned(%x: tensor<7xui32>, %y: tensor<7xui32>) -> tensor<7xui32> {
  %0 = tessera.max %x, %y : tensor<7xui32>
  return %0 : tensor<7xui32>
}

// What does not fit an integer is found before the instruction sees it.
// CHECK: tile.kernel @saturated
// CHECK: arith.cmpf oge
// CHECK: arith.cmpf ule
// CHECK: arith.fptosi
// CHECK-COUNT-3: arith.select
func.func @saturated(%x: tensor<7xf32>) -> tensor<7xi32> {
  %0 = tessera.convert %x : tensor<7xf32> -> tensor<7xi32>
  return %0 : tensor<7xi32>
}

// f64 reaches 16 bits by way of the f32 of odd last bit, so that it is rounded
// once.
// CHECK: tile.kernel @rounded_once
// CHECK: arith.truncf {{.*}} : tensor<7xf64> to tensor<7xf32>
// CHECK: arith.ori
// CHECK: arith.truncf {{.*}} : tensor<7xf32> to tensor<7xf16>
func.func @rounded_once(%x: tensor<7xf64>) -> tensor<7xf16> {
  %0 = tessera.convert %x : tensor<7xf64> -> tensor<7xf16>
  return %0 : tensor<7xf16>
}
