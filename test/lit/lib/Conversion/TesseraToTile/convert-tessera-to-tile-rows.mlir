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

// Long dimensions are read in chunks; what is left at the end is one, too.
// CHECK: tile.kernel @long_reduce
// CPU: scf.for {{.*}} iter_args
// CPU: tile.load {{.*}} -> tensor<1x16384xf32>
// CPU: }
// CPU: tile.load {{.*}} -> tensor<1x1699xf32>
// CUDA: scf.for {{.*}} iter_args
// CUDA: tile.load {{.*}} -> tensor<1x4096xf32>
// CUDA: }
// CUDA: tile.load {{.*}} -> tensor<1x1699xf32>
// CHECK: arith.maximumf
// CHECK-LABEL: func.func @long
func.func @long(%x: tensor<300x18083xf32>) -> tensor<300xf32> {
  %0 = tessera.reduce max %x dims [1] : tensor<300x18083xf32> -> tensor<300xf32>
  return %0 : tensor<300xf32>
}

// Few long columns are cut into pieces, each a block; what is computed of the
// argument is computed there.
// CHECK: tile.kernel @tall_reduce
// CHECK-SAME: grid [27]
// CHECK: tile.load {{.*}} : memref<8208x50xf32>
// CHECK: math.exp
// CHECK: tile.reduce sum
// CHECK: tile.store {{.*}} memref<27x50xf32>
// CHECK: tile.kernel @tall_reduce_1
// CHECK: tile.reduce sum {{.*}} : tensor<27x50xf32> -> tensor<1x50xf32>
// CHECK-LABEL: func.func @tall
// CHECK: %[[PARTS:.*]] = tile.launch @tall_reduce(%arg0)
// CHECK: tile.launch @tall_reduce_1(%[[PARTS]])
func.func @tall(%x: tensor<8208x50xf32>) -> tensor<50xf32> {
  %0 = tessera.exp %x : tensor<8208x50xf32>
  %1 = tessera.reduce sum %0 dims [0] : tensor<8208x50xf32> -> tensor<50xf32>
  return %1 : tensor<50xf32>
}

// A length that no number of pieces divides is made longer; the end holds the
// neutral element.
// CHECK: tile.kernel @prime_reduce
// CHECK: arith.constant dense<0xFF800000>
// CHECK: arith.select
// CHECK-LABEL: func.func @prime
func.func @prime(%x: tensor<100003xf32>) -> tensor<f32> {
  %0 = tessera.reduce max %x dims [0] : tensor<100003xf32> -> tensor<f32>
  return %0 : tensor<f32>
}

// CHECK: tile.kernel @normalised_rms_norm
// CHECK-COUNT-1: tile.reduce sum
// CHECK: math.rsqrt
func.func @normalised(%x: tensor<2x5xf32>, %s: tensor<5xf32>) -> tensor<2x5xf32> {
  %0 = tessera.rms_norm %x, %s epsilon 1.0e-5 : tensor<2x5xf32>, tensor<5xf32> -> tensor<2x5xf32>
  return %0 : tensor<2x5xf32>
}

// A row that fits is scanned at once, with what is computed before and after.
// CHECK: tile.kernel @short_cumulative_exp grid [1] inputs 1
// CHECK-NOT: scf.for
// CHECK: %[[X:.*]] = tile.load
// CHECK: %[[TWICE:.*]] = arith.addf %[[X]], %[[X]]
// CHECK: tile.scan sum %[[TWICE]] dim 1 exclusive carry %{{.*}} : tensor<2x3xf32>, tensor<2x1xf32>
// CHECK: math.exp
// CHECK: tile.store
// CHECK-LABEL: func.func @short
func.func @short(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %0 = tessera.add %x, %x : tensor<2x3xf32>
  %1 = tessera.cumulative sum %0 dim 1 exclusive : tensor<2x3xf32> -> tensor<2x3xf32>
  %2 = tessera.exp %1 : tensor<2x3xf32>
  return %2 : tensor<2x3xf32>
}

// A longer one piece by piece, from the last on in reverse.
// CHECK: tile.kernel @long_rows_cumulative grid [100] inputs 1
// CHECK: scf.for {{.*}} iter_args
// CHECK: arith.subi
// CHECK: tile.load {{.*}} -> tensor<1x3000xf32>
// CHECK: tile.scan max {{.*}} reverse carry
// CHECK: tile.store
// CHECK: scf.yield
// CHECK-LABEL: func.func @long_rows
func.func @long_rows(%x: tensor<100x9000xf32>) -> tensor<100x9000xf32> {
  %0 = tessera.cumulative max %x dim 1 reverse : tensor<100x9000xf32> -> tensor<100x9000xf32>
  return %0 : tensor<100x9000xf32>
}

// One row is shared by all threads: totals of its pieces first.
// CHECK-LABEL: func.func @one_row
// CHECK: %[[CUT:.*]] = tessera.reshape %{{.*}} : tensor<40000xf32> -> tensor<10x4000xf32>
// CHECK: %[[TOTALS:.*]] = tile.launch @one_row_reduce{{.*}}(%[[CUT]])
// CHECK: %[[BEFORE:.*]] = tile.launch @one_row_cumulative{{.*}}(%[[TOTALS]])
// CHECK: tile.launch @one_row_cumulative_add{{.*}} -> tensor<10x4000xf32>
func.func @one_row(%x: tensor<40000xf32>) -> tensor<40000xf32> {
  %0 = tessera.cumulative sum %x dim 0 : tensor<40000xf32> -> tensor<40000xf32>
  return %0 : tensor<40000xf32>
}

// One visit of the rows gives the loss and what its derivative needs of them.
// CHECK: tile.kernel @losses_logsumexp grid [1] inputs 2
// CHECK-COUNT-1: tile.reduce max
// CHECK-NOT: tile.reduce max
// CHECK-COUNT-1: math.log
// CHECK-NOT: math.log
// CHECK-LABEL: func.func @losses
// CHECK: tile.launch @losses_logsumexp
// CHECK-NOT: tile.launch
func.func @losses(%x: tensor<2x5xf32>, %y: tensor<2xi32>) -> (tensor<2xf32>, tensor<2xf32>) {
  %0 = tessera.cross_entropy %x, %y smoothing 0.1 z_loss 0.0 : tensor<2x5xf32>, tensor<2xi32> -> tensor<2xf32>
  %1 = tessera.logsumexp %x dim 1 : tensor<2x5xf32> -> tensor<2xf32>
  return %0, %1 : tensor<2xf32>, tensor<2xf32>
}

// Long rows are visited in chunks; the sum of exponentials is rescaled where the largest element grows.
// CHECK: tile.kernel @endless_rows_logsumexp
// CHECK: scf.for
// CHECK: arith.maximumf
// CHECK: math.exp
// CHECK: math.exp
// CHECK: scf.yield
func.func @endless_rows(%x: tensor<3x100003xf32>) -> tensor<3xf32> {
  %0 = tessera.logsumexp %x dim 1 : tensor<3x100003xf32> -> tensor<3xf32>
  return %0 : tensor<3xf32>
}

// CHECK: tile.kernel @tangents_norm_tangent grid [1] inputs 2
// CHECK-COUNT-4: tile.reduce sum
// CHECK-LABEL: func.func @tangents
func.func @tangents(%d: tensor<2x5xf32>, %x: tensor<2x5xbf16>) -> tensor<2x5xf32> {
  %0 = tessera.norm_tangent %d at %x epsilon 1.0e-5 centred : tensor<2x5xf32>, tensor<2x5xbf16> -> tensor<2x5xf32>
  return %0 : tensor<2x5xf32>
}

// What is reduced is cut twice, at other dimensions: blocks have one piece of
// either.
// CHECK: tile.kernel @cut_twice_reduce grid [10] inputs 2
// CHECK-DAG: tile.load %{{.*}} : memref<6x5x7xf32> -> tensor<3x1x7xf32>
// CHECK-DAG: tile.load %{{.*}} : memref<2x3x35xf32> -> tensor<1x3x7xf32>
// CHECK-LABEL: func.func @cut_twice
func.func @cut_twice(%x: tensor<6x5x7xf32>, %y: tensor<2x3x35xf32>) -> tensor<2x5xf32> {
  %0 = tessera.neg %x : tensor<6x5x7xf32>
  %1 = tessera.reshape %0 : tensor<6x5x7xf32> -> tensor<2x3x5x7xf32>
  %2 = tessera.neg %y : tensor<2x3x35xf32>
  %3 = tessera.reshape %2 : tensor<2x3x35xf32> -> tensor<2x3x5x7xf32>
  %4 = tessera.add %1, %3 : tensor<2x3x5x7xf32>
  %5 = tessera.reduce sum %4 dims [1, 3] : tensor<2x3x5x7xf32> -> tensor<2x5xf32>
  return %5 : tensor<2x5xf32>
}

// Several reductions read what is cut, so that it is stored: whole pieces at a
// time, or parts of one where a block has no whole one.
// CHECK: tile.kernel @cut_and_stored_pointwise_add grid [1] inputs 2
// CHECK: %[[PIECES:.*]] = arith.negf %{{.*}} : tensor<6x5xf32>
// CHECK: tile.reshape %[[PIECES]] : tensor<6x5xf32> -> tensor<2x3x5xf32>
// CHECK-LABEL: func.func @cut_and_stored
func.func @cut_and_stored(%x: tensor<6x5xf32>, %y: tensor<2x3x5xf32>) -> (tensor<2x5xf32>, tensor<2xf32>) {
  %0 = tessera.neg %x : tensor<6x5xf32>
  %1 = tessera.reshape %0 : tensor<6x5xf32> -> tensor<2x3x5xf32>
  %2 = tessera.add %1, %y : tensor<2x3x5xf32>
  %3 = tessera.reduce sum %2 dims [1] : tensor<2x3x5xf32> -> tensor<2x5xf32>
  %4 = tessera.reduce sum %2 dims [1, 2] : tensor<2x3x5xf32> -> tensor<2xf32>
  return %3, %4 : tensor<2x5xf32>, tensor<2xf32>
}

// CHECK: tile.kernel @cut_and_transposed_pointwise_add
// CHECK: %[[PART:.*]] = arith.negf %{{.*}} : tensor<[[#COLUMNS:]]xf32>
// CHECK: tile.reshape %[[PART]] : tensor<[[#COLUMNS]]xf32> -> tensor<1x[[#COLUMNS]]xf32>
// CHECK-LABEL: func.func @cut_and_transposed
func.func @cut_and_transposed(%x: tensor<21000xf32>, %y: tensor<300x70xf32>) -> (tensor<70xf32>, tensor<70xf32>) {
  %0 = tessera.neg %x : tensor<21000xf32>
  %1 = tessera.reshape %0 : tensor<21000xf32> -> tensor<70x300xf32>
  %2 = tessera.transpose %y [1, 0] : tensor<300x70xf32> -> tensor<70x300xf32>
  %3 = tessera.add %1, %2 : tensor<70x300xf32>
  %4 = tessera.reduce sum %3 dims [1] : tensor<70x300xf32> -> tensor<70xf32>
  %5 = tessera.reduce max %3 dims [1] : tensor<70x300xf32> -> tensor<70xf32>
  return %4, %5 : tensor<70xf32>, tensor<70xf32>
}
