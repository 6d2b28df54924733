// RUN: tessera-opt %s --convert-tessera-to-tile | FileCheck %s
// RUN: tessera-opt %s --convert-tessera-to-tile=target=cuda | FileCheck %s --check-prefix=GPU

// One kernel gives the attention and the logarithms of its rows' sums.
// CHECK: tile.kernel @forward_attention_logsumexp grid [8] inputs 3
// CHECK-COUNT-2: tile.dot
// CHECK-NOT: tile.dot
// CHECK: tile.store {{.*}} memref<2x5x4x3xf32>
// CHECK: tile.store {{.*}} memref<2x4x5xf32>
// CHECK-LABEL: func.func @forward
// CHECK: %[[BOTH:.*]]:2 = tile.launch @forward_attention_logsumexp(%arg0, %arg1, %arg2)
// CHECK: return %[[BOTH]]#0, %[[BOTH]]#1
func.func @forward(%q: tensor<2x5x4x3xf32>, %k: tensor<2x7x2x3xf32>, %v: tensor<2x7x2x3xf32>) -> (tensor<2x5x4x3xf32>, tensor<2x4x5xf32>) {
  %0 = tessera.attention %q, %k, %v scale 0.5 : tensor<2x5x4x3xf32>, tensor<2x7x2x3xf32>, tensor<2x7x2x3xf32> -> tensor<2x5x4x3xf32>
  %1 = tessera.attention_logsumexp %q, %k scale 0.5 : tensor<2x5x4x3xf32>, tensor<2x7x2x3xf32> -> tensor<2x4x5xf32>
  return %0, %1 : tensor<2x5x4x3xf32>, tensor<2x4x5xf32>
}

// Attentions that have other scores or values have kernels of their own.
// CHECK-DAG: tile.kernel @two_values_attention_logsumexp grid [8] inputs 2
// CHECK-DAG: tile.kernel @two_values_attention grid [8] inputs 3
// CHECK-LABEL: func.func @two_values
func.func @two_values(%q: tensor<2x5x4x3xf32>, %k: tensor<2x7x2x3xf32>, %v: tensor<2x7x2x3xf32>) -> (tensor<2x5x4x3xf32>, tensor<2x5x4x3xf32>, tensor<2x4x5xf32>) {
  %0 = tessera.attention %q, %k, %k scale 0.25 : tensor<2x5x4x3xf32>, tensor<2x7x2x3xf32>, tensor<2x7x2x3xf32> -> tensor<2x5x4x3xf32>
  %1 = tessera.attention %q, %k, %v scale 0.25 : tensor<2x5x4x3xf32>, tensor<2x7x2x3xf32>, tensor<2x7x2x3xf32> -> tensor<2x5x4x3xf32>
  %2 = tessera.attention_logsumexp %q, %k scale 0.25 : tensor<2x5x4x3xf32>, tensor<2x7x2x3xf32> -> tensor<2x4x5xf32>
  return %0, %1, %2 : tensor<2x5x4x3xf32>, tensor<2x5x4x3xf32>, tensor<2x4x5xf32>
}

// Five products give the three gradients, whose scores are computed once; those
// of the queries are added up in memory that begins as zeros.
// CHECK: tile.kernel @gradients_attention_gradient grid [4] inputs 7 initial [0, -1, -1]
// CHECK-COUNT-5: tile.dot
// CHECK-NOT: tile.dot
// CHECK: tile.scatter add
// CHECK-COUNT-2: tile.store
// CHECK-LABEL: func.func @gradients
// CHECK: %[[ZEROS:.*]] = tessera.constant dense<0.000000e+00> : tensor<2x5x4x3xf32>
// CHECK: tile.launch @gradients_attention_gradient(%[[ZEROS]], %arg0, %arg1, %arg2, %arg3, %arg4, %arg5)

// On a GPU, as where there are few heads, those of the queries have a kernel of
// their own, whose blocks add up nothing in memory.
// GPU: tile.kernel @gradients_attention_gradient grid [8] inputs 6 {
// GPU-COUNT-3: tile.dot
// GPU-NOT: tile.dot
// GPU: tile.store {{.*}} memref<2x5x4x3xf32>
// GPU: tile.kernel @gradients_attention_gradient_1 grid [4] inputs 6 {
// GPU-COUNT-4: tile.dot
// GPU-NOT: tile.dot
// GPU-COUNT-2: tile.store
// GPU-LABEL: func.func @gradients
// GPU-NOT: tessera.constant
// GPU-COUNT-2: tile.launch
func.func @gradients(%q: tensor<2x5x4x3xf32>, %k: tensor<2x7x2x3xf32>, %v: tensor<2x7x2x6xf32>, %l: tensor<2x4x5xf32>, %m: tensor<2x4x5xf32>, %c: tensor<2x5x4x6xf32>) -> (tensor<2x5x4x3xf32>, tensor<2x7x2x3xf32>, tensor<2x7x2x6xf32>) {
  %0 = tessera.attention_gradient of query %q, %k, %v, %l, %m, %c scale 0.5 : tensor<2x5x4x3xf32>, tensor<2x7x2x3xf32>, tensor<2x7x2x6xf32>, tensor<2x4x5xf32>, tensor<2x4x5xf32>, tensor<2x5x4x6xf32> -> tensor<2x5x4x3xf32>
  %1 = tessera.attention_gradient of key %q, %k, %v, %l, %m, %c scale 0.5 : tensor<2x5x4x3xf32>, tensor<2x7x2x3xf32>, tensor<2x7x2x6xf32>, tensor<2x4x5xf32>, tensor<2x4x5xf32>, tensor<2x5x4x6xf32> -> tensor<2x7x2x3xf32>
  %2 = tessera.attention_gradient of value %q, %k, %v, %l, %m, %c scale 0.5 : tensor<2x5x4x3xf32>, tensor<2x7x2x3xf32>, tensor<2x7x2x6xf32>, tensor<2x4x5xf32>, tensor<2x4x5xf32>, tensor<2x5x4x6xf32> -> tensor<2x7x2x6xf32>
  return %0, %1, %2 : tensor<2x5x4x3xf32>, tensor<2x7x2x3xf32>, tensor<2x7x2x6xf32>
}

// That of the values alone needs the scores and one product more.
// CHECK: tile.kernel @of_value_attention_gradient grid [2] inputs 2
// CHECK-COUNT-2: tile.dot
// CHECK-NOT: tile.dot
// CHECK-LABEL: func.func @of_value
func.func @of_value(%q: tensor<2x5x1x3xf32>, %l: tensor<2x1x5xf32>) -> tensor<2x5x1x3xf32> {
  %0 = tessera.attention_gradient of value %q, %q, %q, %l, %l, %q scale 0.5 : tensor<2x5x1x3xf32>, tensor<2x5x1x3xf32>, tensor<2x5x1x3xf32>, tensor<2x1x5xf32>, tensor<2x1x5xf32>, tensor<2x5x1x3xf32> -> tensor<2x5x1x3xf32>
  return %0 : tensor<2x5x1x3xf32>
}

// Causal blocks that no query of a block sees are left out: the loop over keys
// ends, and that over queries begins, where the block says. Those that hide
// nothing have loops without masks. What a loop reads in every turn are the
// columns of its scores, scaled before it: by a power of two, so that scores of
// both passes are the same.
// CHECK: tile.kernel @causal_attention_logsumexp
// CHECK: %[[QUERIES:.*]] = arith.mulf {{.*}} : tensor<128x64xf32>
// CHECK: %[[COLUMNS:.*]] = tile.trans %[[QUERIES]] [1, 0]
// CHECK: %[[END:.*]] = arith.minsi
// CHECK: %[[MIDDLE:.*]] = arith.muli
// CHECK: scf.for %{{.*}} = %c0 to %[[MIDDLE]] step
// CHECK: tile.dot %{{.*}}, %[[COLUMNS]]
// CHECK-NOT: tile.iota
// CHECK: scf.for %{{.*}} = %[[MIDDLE]] to %[[END]] step
// CHECK: tile.iota
// CHECK: tile.kernel @causal_attention_gradient grid [8]
// CHECK: %[[KEYS:.*]] = arith.mulf {{.*}} : tensor<128x64xf32>
// CHECK: %[[COLUMNS:.*]] = tile.trans %[[KEYS]] [1, 0]
// CHECK: %[[FIRST:.*]] = arith.divui
// CHECK: %[[BEGIN:.*]] = arith.muli %[[FIRST]]
// CHECK: %[[MIDDLE:.*]] = arith.minsi
// CHECK: scf.for %{{.*}} = %[[BEGIN]] to %[[MIDDLE]]
// CHECK: tile.dot %{{.*}}, %[[COLUMNS]]
// CHECK: tile.iota
// CHECK: scf.for %{{.*}} = %[[MIDDLE]] to
// CHECK-NOT: tile.iota
// CHECK-LABEL: func.func @causal
func.func @causal(%q: tensor<1x1024x1x64xf32>) -> (tensor<1x1x1024xf32>, tensor<1x1024x1x64xf32>) {
  %0 = tessera.attention_logsumexp %q, %q scale 0.5 causal : tensor<1x1024x1x64xf32>, tensor<1x1024x1x64xf32> -> tensor<1x1x1024xf32>
  %1 = tessera.attention_gradient of key %q, %q, %q, %0, %0, %q scale 0.5 causal : tensor<1x1024x1x64xf32>, tensor<1x1024x1x64xf32>, tensor<1x1024x1x64xf32>, tensor<1x1x1024xf32>, tensor<1x1x1024xf32>, tensor<1x1024x1x64xf32> -> tensor<1x1024x1x64xf32>
  return %0, %1 : tensor<1x1x1024xf32>, tensor<1x1024x1x64xf32>
}

// Other scales multiply the scores.
// CHECK: tile.kernel @scaled_attention_logsumexp
// CHECK: %[[COLUMNS:.*]] = tile.trans %{{.*}} [1, 0]
// CHECK: scf.for
// CHECK: %[[SCORES:.*]] = tile.dot %{{.*}}, %[[COLUMNS]]
// CHECK: arith.mulf %[[SCORES]]
// CHECK-LABEL: func.func @scaled
func.func @scaled(%q: tensor<1x1024x1x64xf32>) -> tensor<1x1x1024xf32> {
  %0 = tessera.attention_logsumexp %q, %q scale 0.3 causal : tensor<1x1024x1x64xf32>, tensor<1x1024x1x64xf32> -> tensor<1x1x1024xf32>
  return %0 : tensor<1x1x1024xf32>
}

// Half of a block on the diagonal is computed in vain: of few keys, blocks are
// smaller, unless all keys are seen.
// CHECK: tile.kernel @sides_attention grid [4]
// CHECK: step %c64
// CHECK: tile.kernel @sides_attention_1 grid [2]
// CHECK: step %c256
// CHECK-LABEL: func.func @sides
func.func @sides(%q: tensor<1x256x1x32xf32>, %k: tensor<1x512x1x32xf32>) -> (tensor<1x256x1x32xf32>, tensor<1x256x1x32xf32>) {
  %0 = tessera.attention %q, %k, %k scale 0.5 causal : tensor<1x256x1x32xf32>, tensor<1x512x1x32xf32>, tensor<1x512x1x32xf32> -> tensor<1x256x1x32xf32>
  %1 = tessera.attention %q, %k, %k scale 0.5 : tensor<1x256x1x32xf32>, tensor<1x512x1x32xf32>, tensor<1x512x1x32xf32> -> tensor<1x256x1x32xf32>
  return %0, %1 : tensor<1x256x1x32xf32>, tensor<1x256x1x32xf32>
}

// A logsumexp before the attention has a kernel of its own: the values may not
// be there yet.
// CHECK-LABEL: func.func @values_after_the_logsumexp(
// CHECK: %[[LSE:.*]] = tile.launch
// CHECK: %[[VALUES:.*]] = tile.launch
// CHECK: tile.launch {{.*}}%[[VALUES]]
func.func @values_after_the_logsumexp(%q: tensor<2x4x3x5xf32>, %k: tensor<2x7x3x5xf32>, %x: tensor<6x2x7x3x5xf32>) -> (tensor<2x3x4xf32>, tensor<2x4x3x5xf32>) {
  %lse = tessera.attention_logsumexp %q, %k scale 0.5 : tensor<2x4x3x5xf32>, tensor<2x7x3x5xf32> -> tensor<2x3x4xf32>
  %v = tessera.reduce sum %x dims [0] : tensor<6x2x7x3x5xf32> -> tensor<2x7x3x5xf32>
  %y = tessera.attention %q, %k, %v scale 0.5 : tensor<2x4x3x5xf32>, tensor<2x7x3x5xf32>, tensor<2x7x3x5xf32> -> tensor<2x4x3x5xf32>
  return %lse, %y : tensor<2x3x4xf32>, tensor<2x4x3x5xf32>
}

// Of chunks on the diagonal of causal attention a triangle of the scores counts,
// and of the weights with which values are added; the others have none.
// CHECK: tile.kernel @diagonal_attention_logsumexp
// CHECK: tile.dot {{.*}} : tensor<128x64xf32>, tensor<64x128xf32> -> tensor<128x128xf32>
// CHECK: tile.reduce max {{.*}} dim 0 numbers
// CHECK: math.exp {{.*}} {tile.non_positive} : tensor<128x128xf32>
// CHECK: tile.dot {{.*}} : tensor<128x128xf32>, tensor<128x64xf32> -> tensor<128x64xf32>
// CHECK: tile.dot {{.*}} result upper at
// CHECK: tile.dot {{.*}} lhs lower at
// CHECK-NOT: tile.dot
// CHECK-LABEL: func.func @diagonal
func.func @diagonal(%q: tensor<1x1024x2x64xf32>, %k: tensor<1x1024x2x64xf32>, %v: tensor<1x1024x2x64xf32>) -> (tensor<1x1024x2x64xf32>, tensor<1x2x1024xf32>) {
  %0 = tessera.attention %q, %k, %v scale 0.125 causal : tensor<1x1024x2x64xf32>, tensor<1x1024x2x64xf32>, tensor<1x1024x2x64xf32> -> tensor<1x1024x2x64xf32>
  %1 = tessera.attention_logsumexp %q, %k scale 0.125 causal : tensor<1x1024x2x64xf32>, tensor<1x1024x2x64xf32> -> tensor<1x2x1024xf32>
  return %0, %1 : tensor<1x1024x2x64xf32>, tensor<1x2x1024xf32>
}

// The same of its gradients, whose weights are turned for keys and values.
// CHECK: tile.kernel @diagonal_gradients_attention_gradient
// CHECK: tile.dot {{.*}} result lower at
// CHECK: tile.dot {{.*}} lhs upper at
// CHECK: tile.dot {{.*}} result lower at
// CHECK: tile.dot {{.*}} lhs upper at
// CHECK: tile.dot {{.*}} lhs lower at
// CHECK-NOT: {{lower|upper}} at
// CHECK-LABEL: func.func @diagonal_gradients
func.func @diagonal_gradients(%q: tensor<1x1024x4x64xf32>, %k: tensor<1x1024x4x64xf32>, %v: tensor<1x1024x4x64xf32>, %l: tensor<1x4x1024xf32>, %m: tensor<1x4x1024xf32>, %c: tensor<1x1024x4x64xf32>) -> (tensor<1x1024x4x64xf32>, tensor<1x1024x4x64xf32>, tensor<1x1024x4x64xf32>) {
  %0 = tessera.attention_gradient of query %q, %k, %v, %l, %m, %c scale 0.125 causal : tensor<1x1024x4x64xf32>, tensor<1x1024x4x64xf32>, tensor<1x1024x4x64xf32>, tensor<1x4x1024xf32>, tensor<1x4x1024xf32>, tensor<1x1024x4x64xf32> -> tensor<1x1024x4x64xf32>
  %1 = tessera.attention_gradient of key %q, %k, %v, %l, %m, %c scale 0.125 causal : tensor<1x1024x4x64xf32>, tensor<1x1024x4x64xf32>, tensor<1x1024x4x64xf32>, tensor<1x4x1024xf32>, tensor<1x4x1024xf32>, tensor<1x1024x4x64xf32> -> tensor<1x1024x4x64xf32>
  %2 = tessera.attention_gradient of value %q, %k, %v, %l, %m, %c scale 0.125 causal : tensor<1x1024x4x64xf32>, tensor<1x1024x4x64xf32>, tensor<1x1024x4x64xf32>, tensor<1x4x1024xf32>, tensor<1x4x1024xf32>, tensor<1x1024x4x64xf32> -> tensor<1x1024x4x64xf32>
  return %0, %1, %2 : tensor<1x1024x4x64xf32>, tensor<1x1024x4x64xf32>, tensor<1x1024x4x64xf32>
}
