// RUN: tessera-opt %s -convert-tessera-to-tile | FileCheck %s --check-prefixes=CHECK,CPU
// RUN: tessera-opt %s -convert-tessera-to-tile=target=cuda | FileCheck %s --check-prefixes=CHECK,CUDA

// Whole rows of a block at a time.
// CHECK: tile.kernel @probabilities_softmax
// CHECK: tile.reduce max {{.*}} dim 1
// CHECK: math.exp
// CHECK: tile.reduce sum {{.*}} dim 1
func.func @probabilities(%x: tensor<2x33xf32>) -> tensor<2x33xf32> {
  %0 = tessera.softmax %x dim 1 : tensor<2x33xf32> -> tensor<2x33xf32>
  return %0 : tensor<2x33xf32>
}

// Sums of narrow floats are formed in f32 and rounded once.
// CHECK: tile.kernel @sums_reduce
// CHECK: arith.extf {{.*}} to tensor<2x3x5xf32>
// CHECK: tile.reduce sum {{.*}} dim 2 : tensor<2x3x5xf32> -> tensor<2x3x1xf32>
// CHECK: tile.reduce sum {{.*}} dim 0 : tensor<2x3x1xf32> -> tensor<1x3x1xf32>
// CHECK: arith.truncf
func.func @sums(%x: tensor<2x3x5xbf16>) -> tensor<3xbf16> {
  %0 = tessera.reduce sum %x dims [0, 2] : tensor<2x3x5xbf16> -> tensor<3xbf16>
  return %0 : tensor<3xbf16>
}

// Long dimensions are read in chunks; a ragged end holds the neutral element.
// CHECK: tile.kernel @long_reduce
// CPU: scf.for
// CPU: arith.constant dense<0xFF800000> : tensor<1x16384xf32>
// CUDA: scf.for
// CUDA: arith.constant dense<0xFF800000> : tensor<1x4096xf32>
// CHECK: arith.maximumf
func.func @long(%x: tensor<1x100003xf32>) -> tensor<1xf32> {
  %0 = tessera.reduce max %x dims [1] : tensor<1x100003xf32> -> tensor<1xf32>
  return %0 : tensor<1xf32>
}

// CHECK: tile.kernel @normalised_rms_norm
// CHECK-COUNT-1: tile.reduce sum
// CHECK: math.rsqrt
func.func @normalised(%x: tensor<2x5xf32>, %s: tensor<5xf32>) -> tensor<2x5xf32> {
  %0 = tessera.rms_norm %x, %s epsilon 1.0e-5 : tensor<2x5xf32>, tensor<5xf32> -> tensor<2x5xf32>
  return %0 : tensor<2x5xf32>
}
