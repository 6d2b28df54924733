// RUN: tessera-opt %s -convert-tile-to-nvvm | FileCheck %s

// A whole warp sums a row; its first lane leaves the sum in shared memory, and
// every thread reads it after the barrier.
// CHECK-LABEL: llvm.func @row_sum
// CHECK-SAME: nvvm.reqntid = array<i32: 32>
// CHECK-SAME: tessera.shared_bytes = 16
// CHECK: nvvm.read.ptx.sreg.ctaid.x
// CHECK-COUNT-5: nvvm.shfl.sync bfly
// CHECK: llvm.store {{.*}} : f32, !llvm.ptr<3>
// CHECK: nvvm.barrier0
// CHECK: llvm.load {{.*}} : !llvm.ptr<3> -> f32
// CHECK: llvm.store {{.*}} : f32, !llvm.ptr
tile.kernel @row_sum grid [5] inputs 1 {
^bb0(%x: memref<10x37xf32>, %o: memref<10x37xf32>):
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %i = tile.program_id 0
  %m = arith.muli %i, %c2 : index
  %t = tile.load %x[%m, %c0] : memref<10x37xf32> -> tensor<2x37xf32>
  %s = tile.reduce sum %t dim 1 : tensor<2x37xf32> -> tensor<2x1xf32>
  %b = tile.broadcast %s : tensor<2x1xf32> -> tensor<2x37xf32>
  tile.store %b, %o[%m, %c0] : tensor<2x37xf32>, memref<10x37xf32>
}

// Blocks that reach past the end guard their accesses: one comparison, no read.
// CHECK-LABEL: llvm.func @ragged
// CHECK: llvm.icmp "ult"
// CHECK: llvm.cond_br
// CHECK-NOT: nvvm.barrier0
tile.kernel @ragged grid [2] inputs 1 {
^bb0(%x: memref<70xf32>, %o: memref<70xf32>):
  %c64 = arith.constant 64 : index
  %i = tile.program_id 0
  %m = arith.muli %i, %c64 : index
  %t = tile.load %x[%m] : memref<70xf32> -> tensor<64xf32>
  tile.store %t, %o[%m] : tensor<64xf32>, memref<70xf32>
}

// Stores of one box are one nest: both elements are computed before one is
// stored. An input that a result may overwrite is not noalias; another is.
// CHECK-LABEL: llvm.func @in_place
// CHECK-SAME: (%{{[^:]*}}: !llvm.ptr {llvm.align = 16 : i64}, %{{[^:]*}}: !llvm.ptr {llvm.align = 16 : i64, llvm.noalias, llvm.readonly}
// CHECK: %[[A:.*]] = llvm.fadd
// CHECK: %[[B:.*]] = llvm.fmul %[[A]]
// CHECK: llvm.store %[[A]]
// CHECK: llvm.store %[[B]]
tile.kernel @in_place grid [1] inputs 2 {
^bb0(%x: memref<32xf32>, %w: memref<1xf32>, %o: memref<32xf32>, %p: memref<32xf32>):
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0] : memref<32xf32> -> tensor<32xf32>
  %u = tile.load %w[%c0] : memref<1xf32> -> tensor<1xf32>
  %b = tile.broadcast %u : tensor<1xf32> -> tensor<32xf32>
  %0 = arith.addf %t, %b : tensor<32xf32>
  %1 = arith.mulf %0, %t : tensor<32xf32>
  tile.store %0, %o[%c0] : tensor<32xf32>, memref<32xf32>
  tile.store %1, %p[%c0] : tensor<32xf32>, memref<32xf32>
}
