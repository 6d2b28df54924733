// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: tessera-opt %s --tessera-decompose-ops | FileCheck %s
// RUN: tessera-opt %s --tessera-decompose-ops=ops=softmax,gelu | FileCheck %s --check-prefix=SOME
// RUN: tessera-opt %s '--tessera-check-equivalence=pipeline=builtin.module(tessera-decompose-ops) runs=3' -o /dev/null
// RUN: not tessera-opt %s --tessera-decompose-ops=ops=softmax,relu 2>&1 | FileCheck %s --check-prefix=UNKNOWN

// UNKNOWN: tessera-decompose-ops knows no op 'relu'; it knows attention, attention_gradient, attention_logsumexp, cross_entropy, gelu, layer_norm, logsumexp, norm_tangent, rms_norm, silu, softmax

dist.mesh @mesh <[tp = 2]>

// CHECK-LABEL: func.func @gelu
// CHECK: %[[SCALED:.*]] = tessera.mul %arg0
// CHECK: tessera.erf %[[SCALED]]
// CHECK: tessera.tanh
// CHECK-NOT: tessera.gelu
// SOME-LABEL: func.func @gelu
// SOME-NOT: tessera.gelu
func.func @gelu(%x: tensor<2x3xf32>) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
  %0 = tessera.gelu %x approximation none : tensor<2x3xf32> -> tensor<2x3xf32>
  %1 = tessera.gelu %x approximation tanh : tensor<2x3xf32> -> tensor<2x3xf32>
  return %0, %1 : tensor<2x3xf32>, tensor<2x3xf32>
}

// Computed in f32 and rounded once.
// CHECK-LABEL: func.func @silu
// CHECK: %[[WIDE:.*]] = tessera.convert %arg0 : tensor<2x3xbf16> -> tensor<2x3xf32>
// CHECK: %[[PRODUCT:.*]] = tessera.mul %[[WIDE]]
// CHECK: tessera.convert %[[PRODUCT]] : tensor<2x3xf32> -> tensor<2x3xbf16>
// SOME-LABEL: func.func @silu
// SOME: tessera.silu
func.func @silu(%x: tensor<2x3xbf16>) -> tensor<2x3xbf16> {
  %0 = tessera.silu %x : tensor<2x3xbf16>
  return %0 : tensor<2x3xbf16>
}

// CHECK-LABEL: func.func @softmax
// CHECK: %[[MOST:.*]] = tessera.reduce max %arg0 dims [1] : tensor<2x3x5xf32> -> tensor<2x5xf32>
// CHECK: tessera.broadcast %[[MOST]] dims [0, 2]
// CHECK: tessera.exp
// CHECK: tessera.reduce sum
// CHECK: tessera.div
func.func @softmax(%x: tensor<2x3x5xf32>) -> tensor<2x3x5xf32> {
  %0 = tessera.softmax %x dim 1 : tensor<2x3x5xf32> -> tensor<2x3x5xf32>
  return %0 : tensor<2x3x5xf32>
}

// CHECK-LABEL: func.func @norms
// CHECK-COUNT-2: tessera.rsqrt
// CHECK-NOT: _norm
func.func @norms(%x: tensor<2x3x5xf32>, %scale: tensor<5xf32>, %bias: tensor<5xf32>) -> (tensor<2x3x5xf32>, tensor<2x3x5xf32>) {
  %0 = tessera.layer_norm %x, %scale, %bias epsilon 1.0e-5 : tensor<2x3x5xf32>, tensor<5xf32>, tensor<5xf32> -> tensor<2x3x5xf32>
  %1 = tessera.rms_norm %x, %scale epsilon 1.0e-5 : tensor<2x3x5xf32>, tensor<5xf32> -> tensor<2x3x5xf32>
  return %0, %1 : tensor<2x3x5xf32>, tensor<2x3x5xf32>
}

// CHECK-LABEL: func.func @norm_tangents
// CHECK-COUNT-2: tessera.rsqrt
// CHECK-NOT: norm_tangent
func.func @norm_tangents(%d: tensor<2x3x5xf32>, %x: tensor<2x3x5xf32>, %narrow: tensor<2x3x5xbf16>) -> (tensor<2x3x5xf32>, tensor<2x3x5xf32>) {
  %0 = tessera.norm_tangent %d at %x epsilon 1.0e-5 centred : tensor<2x3x5xf32>, tensor<2x3x5xf32> -> tensor<2x3x5xf32>
  %1 = tessera.norm_tangent %d at %narrow epsilon 1.0e-5 : tensor<2x3x5xf32>, tensor<2x3x5xbf16> -> tensor<2x3x5xf32>
  return %0, %1 : tensor<2x3x5xf32>, tensor<2x3x5xf32>
}

// The largest element is subtracted before anything is added up.
// CHECK-LABEL: func.func @cross_entropies
// CHECK: tessera.reduce max %arg0 dims [2]
// CHECK: tessera.log
// CHECK-NOT: tessera.cross_entropy
// CHECK: tessera.reduce max %arg0 dims [1]
// CHECK-NOT: tessera.logsumexp
func.func @cross_entropies(%x: tensor<2x3x9xf32>, %y: tensor<2x3xi32>) -> (tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x9xf32>) {
  %0 = tessera.cross_entropy %x, %y smoothing 0.1 z_loss 0.01 ignore 2 : tensor<2x3x9xf32>, tensor<2x3xi32> -> tensor<2x3xf32>
  %1 = tessera.cross_entropy %x, %y smoothing 0.0 z_loss 0.0 : tensor<2x3x9xf32>, tensor<2x3xi32> -> tensor<2x3xf32>
  %2 = tessera.logsumexp %x dim 1 : tensor<2x3x9xf32> -> tensor<2x9xf32>
  return %0, %1, %2 : tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x9xf32>
}

// A double has not all digits of it: the second row would be ignored, the first
// would not.
// CHECK-LABEL: func.func @the_ignored_label_is_exact
// CHECK: tessera.constant dense<9007199254740993>
func.func @the_ignored_label_is_exact(%x: tensor<2x3xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  %y = tessera.constant dense<[9007199254740993, 9007199254740992]> : tensor<2xi64> : tensor<2xi64>
  %0 = tessera.cross_entropy %x, %y smoothing 0.0 z_loss 0.0 ignore 9007199254740993 : tensor<2x3xf32>, tensor<2xi64> -> tensor<2xf32>
  %z = tessera.constant dense<[9223372036854775807, 1]> : tensor<2xi64> : tensor<2xi64>
  %1 = tessera.cross_entropy %x, %z smoothing 0.0 z_loss 0.0 ignore 9223372036854775807 : tensor<2x3xf32>, tensor<2xi64> -> tensor<2xf32>
  return %0, %1 : tensor<2xf32>, tensor<2xf32>
}

// Values between are mesh tensors too, open for propagation.
// CHECK-LABEL: func.func @attention
// CHECK: tessera.contract {{.*}} "bskgd,btkd->bkgst" : !tessera.mesh_tensor<2x3x2x2x5xf32, @mesh>
// CHECK: tessera.contract {{.*}} "bkgst,btke->bkgse"
func.func @attention(%q: !tessera.mesh_tensor<2x3x4x5xf32, @mesh, [{}, {}, {tp}, {}]>, %k: !tessera.mesh_tensor<2x7x2x5xf32, @mesh>, %v: !tessera.mesh_tensor<2x7x2x3xf32, @mesh>, %bias: !tessera.mesh_tensor<2x1x1x7xf32, @mesh>) -> !tessera.mesh_tensor<2x3x4x3xf32, @mesh> {
  %0 = tessera.attention %q, %k, %v bias %bias scale 0.4 : !tessera.mesh_tensor<2x3x4x5xf32, @mesh, [{}, {}, {tp}, {}]>, !tessera.mesh_tensor<2x7x2x5xf32, @mesh>, !tessera.mesh_tensor<2x7x2x3xf32, @mesh>, !tessera.mesh_tensor<2x1x1x7xf32, @mesh> -> !tessera.mesh_tensor<2x3x4x3xf32, @mesh>
  return %0 : !tessera.mesh_tensor<2x3x4x3xf32, @mesh>
}

// The first two of seven queries see none of five keys: zeros, not NaN.
// CHECK-LABEL: func.func @causal
// CHECK: tessera.compare le
func.func @causal(%q: tensor<2x7x2x3xf32>, %k: tensor<2x5x2x3xf32>, %v: tensor<2x5x2x3xf32>) -> tensor<2x7x2x3xf32> {
  %0 = tessera.attention %q, %k, %v scale 0.5 causal : tensor<2x7x2x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x3xf32> -> tensor<2x7x2x3xf32>
  return %0 : tensor<2x7x2x3xf32>
}

// Weights of zero times infinite values are NaN: the row is 0 all the same.
// CHECK-LABEL: func.func @masked_row_of_infinite_values
// CHECK: tessera.select
func.func @masked_row_of_infinite_values(%q: tensor<2x7x2x3xf32>, %k: tensor<2x5x2x3xf32>) -> tensor<2x7x2x3xf32> {
  %v = tessera.constant dense<0x7F800000> : tensor<2x5x2x3xf32> : tensor<2x5x2x3xf32>
  %0 = tessera.attention %q, %k, %v scale 0.5 causal : tensor<2x7x2x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x3xf32> -> tensor<2x7x2x3xf32>
  return %0 : tensor<2x7x2x3xf32>
}

// A row that sees no key has weights of zero: not e^(-inf + inf).
// CHECK-LABEL: func.func @gradient_of_attention
// CHECK: tessera.contract {{.*}} "bskgd,btkd->bkgst"
// CHECK: tessera.log
// CHECK: tessera.select
// CHECK: tessera.contract {{.*}} "bskge,btke->bkgst"
// CHECK: tessera.contract {{.*}} "bkgst,bskgd->btkd"
func.func @gradient_of_attention(%q: tensor<2x7x4x3xf32>, %k: tensor<2x5x2x3xf32>, %v: tensor<2x5x2x6xf32>, %m: tensor<2x4x7xf32>, %c: tensor<2x7x4x6xf32>) -> tensor<2x5x2x3xf32> {
  %0 = tessera.attention_logsumexp %q, %k scale 0.5 causal : tensor<2x7x4x3xf32>, tensor<2x5x2x3xf32> -> tensor<2x4x7xf32>
  %1 = tessera.attention_gradient of key %q, %k, %v, %0, %m, %c scale 0.5 causal : tensor<2x7x4x3xf32>, tensor<2x5x2x3xf32>, tensor<2x5x2x6xf32>, tensor<2x4x7xf32>, tensor<2x4x7xf32>, tensor<2x7x4x6xf32> -> tensor<2x5x2x3xf32>
  return %1 : tensor<2x5x2x3xf32>
}
