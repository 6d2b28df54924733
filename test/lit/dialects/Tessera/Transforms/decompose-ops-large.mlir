// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: tessera-opt %s '--tessera-decompose-ops=rows-above=6 heads-above=3' | FileCheck %s
// RUN: tessera-opt %s '--tessera-check-equivalence=pipeline=builtin.module(tessera-decompose-ops{rows-above=6 heads-above=3}) runs=3' -o /dev/null

// A softmax's row lies along its dimension.
// CHECK-LABEL: func.func @softmax
// CHECK: tessera.softmax %arg0 dim 1
// CHECK-NOT: tessera.softmax
// CHECK: tessera.exp
func.func @softmax(%x: tensor<7x6xf32>) -> (tensor<7x6xf32>, tensor<7x6xf32>) {
  %0 = tessera.softmax %x dim 1 : tensor<7x6xf32> -> tensor<7x6xf32>
  %1 = tessera.softmax %x dim 0 : tensor<7x6xf32> -> tensor<7x6xf32>
  return %0, %1 : tensor<7x6xf32>, tensor<7x6xf32>
}

// CHECK-LABEL: func.func @norms
// CHECK: tessera.rms_norm %arg0
// CHECK-NOT: tessera.rms_norm
// CHECK: tessera.rsqrt
func.func @norms(%x: tensor<7x6xf32>, %y: tensor<6x7xf32>, %s: tensor<6xf32>, %t: tensor<7xf32>) -> (tensor<7x6xf32>, tensor<6x7xf32>) {
  %0 = tessera.rms_norm %x, %s epsilon 1.0e-5 : tensor<7x6xf32>, tensor<6xf32> -> tensor<7x6xf32>
  %1 = tessera.rms_norm %y, %t epsilon 1.0e-5 : tensor<6x7xf32>, tensor<7xf32> -> tensor<6x7xf32>
  return %0, %1 : tensor<7x6xf32>, tensor<6x7xf32>
}

// An element of f64 counts as two.
// CHECK-LABEL: func.func @wide_elements
// CHECK: tessera.softmax %arg0 dim 1
// CHECK-NOT: tessera.softmax
func.func @wide_elements(%x: tensor<7x3xf64>, %y: tensor<7x4xf64>) -> (tensor<7x3xf64>, tensor<7x4xf64>) {
  %0 = tessera.softmax %x dim 1 : tensor<7x3xf64> -> tensor<7x3xf64>
  %1 = tessera.softmax %y dim 1 : tensor<7x4xf64> -> tensor<7x4xf64>
  return %0, %1 : tensor<7x3xf64>, tensor<7x4xf64>
}

// Elementwise ops have no rows.
// CHECK-LABEL: func.func @silu
// CHECK-NOT: tessera.silu
func.func @silu(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %0 = tessera.silu %x : tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// CHECK-LABEL: func.func @attention
// CHECK: tessera.attention %arg0
// CHECK-NOT: tessera.attention
// CHECK: tessera.contract
func.func @attention(%q: tensor<2x5x1x3xf32>, %v: tensor<2x5x1x4xf32>) -> (tensor<2x5x1x3xf32>, tensor<2x5x1x4xf32>) {
  %0 = tessera.attention %q, %q, %q scale 0.5 : tensor<2x5x1x3xf32>, tensor<2x5x1x3xf32>, tensor<2x5x1x3xf32> -> tensor<2x5x1x3xf32>
  %1 = tessera.attention %q, %q, %v scale 0.5 : tensor<2x5x1x3xf32>, tensor<2x5x1x3xf32>, tensor<2x5x1x4xf32> -> tensor<2x5x1x4xf32>
  return %0, %1 : tensor<2x5x1x3xf32>, tensor<2x5x1x4xf32>
}
