// RUN: tessera-opt %s -convert-tile-to-cpu | FileCheck %s
// RUN: tessera-opt %s -convert-tile-to-cpu=vector-bits=256 | FileCheck %s --check-prefix=AVX2

// A product keeps 6 x 4 vectors of the result in registers over the whole depth
// (6 x 2 of 256 bits), four turns at once and then what is left. It reads the
// left factor in place, while it fetches the rows below, and a line a turn of
// what the next program packs into the second level cache.
// CHECK-LABEL: llvm.func @product(%arg0: !llvm.ptr, %arg1: i64, %arg2: i64)
// CHECK: llvm.intr.prefetch{{.*}} hint = 2
// CHECK-COUNT-6: llvm.intr.prefetch{{.*}} hint = 3
// CHECK-NOT: llvm.intr.prefetch
// CHECK-COUNT-96: llvm.intr.fma({{.*}}) : (vector<16xf32>, vector<16xf32>, vector<16xf32>) -> vector<16xf32>
// CHECK: llvm.br
// CHECK-COUNT-24: llvm.intr.fma
// CHECK-NOT: llvm.intr.fma
// AVX2-LABEL: llvm.func @product
// AVX2-COUNT-48: llvm.intr.fma({{.*}}) : (vector<8xf32>, vector<8xf32>, vector<8xf32>) -> vector<8xf32>
// AVX2: llvm.br
// AVX2-COUNT-12: llvm.intr.fma
// AVX2-NOT: llvm.intr.fma
tile.kernel @product grid [1] inputs 2 {
^bb0(%a: memref<6x9xf32>, %b: memref<9x64xf32>, %c: memref<6x64xf32>):
  %c0 = arith.constant 0 : index
  %z = arith.constant dense<0.0> : tensor<6x64xf32>
  %x = tile.load %a[%c0, %c0] : memref<6x9xf32> -> tensor<6x9xf32>
  %y = tile.load %b[%c0, %c0] : memref<9x64xf32> -> tensor<9x64xf32>
  %r = tile.dot %x, %y, %z : tensor<6x9xf32>, tensor<9x64xf32> -> tensor<6x64xf32>
  tile.store %r, %c[%c0, %c0] : tensor<6x64xf32>, memref<6x64xf32>
}

// Where the right factor is in panels, all rows of the left one are packed
// before: 12 together, and the 8 that are left over. Both are multiplied by a
// panel while it is in the caches, and each fetches its share of the next one,
// some lines in each of two turns, and the two lines of a row that it stores its
// sums to, from a buffer as large as a register block.
// CHECK-LABEL: llvm.func @panels
// CHECK: %[[FACTOR:.*]] = llvm.mlir.constant(768 : i64)
// CHECK: %[[BYTES:.*]] = llvm.mlir.constant(1536 : i64)
// CHECK: %[[BLOCK:.*]] = llvm.alloca %[[BYTES]] x i8
// CHECK: llvm.alloca %[[FACTOR]] x i8
// CHECK-NOT: llvm.alloca
// CHECK-COUNT-9: llvm.store {{.*}} : vector<12xf32>, !llvm.ptr
// CHECK-COUNT-9: llvm.store {{.*}} : vector<8xf32>, !llvm.ptr
// CHECK-COUNT-6: llvm.intr.prefetch{{.*}} hint = 2
// CHECK-COUNT-2: llvm.intr.prefetch{{.*}} hint = 3
// CHECK-NOT: llvm.intr.prefetch
// CHECK-COUNT-96: llvm.intr.fma
// CHECK-COUNT-24: llvm.intr.fma
// CHECK: llvm.store {{.*}}, %[[BLOCK]] {{.*}} : vector<16xf32>
// CHECK-COUNT-23: llvm.store {{.*}} : vector<16xf32>
// CHECK: llvm.load {{.*}} -> vector<16xf32>
// CHECK: llvm.store {{.*}} : vector<16xf32>
// CHECK-NOT: llvm.store
// CHECK-COUNT-4: llvm.intr.prefetch{{.*}} hint = 2
// CHECK-COUNT-2: llvm.intr.prefetch{{.*}} hint = 3
// CHECK-NOT: llvm.intr.prefetch
// CHECK-COUNT-64: llvm.intr.fma
// CHECK-COUNT-16: llvm.intr.fma
// CHECK-NOT: llvm.intr.fma
// AVX2-LABEL: llvm.func @panels
tile.kernel @panels grid [1] inputs 2 {
^bb0(%a: memref<9x20xf32>, %b: memref<2x9x32xf32>, %c: memref<20x64xf32>):
  %c0 = arith.constant 0 : index
  %z = arith.constant dense<0.0> : tensor<20x64xf32>
  %x0 = tile.load %a[%c0, %c0] : memref<9x20xf32> -> tensor<9x20xf32>
  %x = tile.trans %x0 [1, 0] : tensor<9x20xf32> -> tensor<20x9xf32>
  %y0 = tile.load %b[%c0, %c0, %c0] : memref<2x9x32xf32> -> tensor<2x9x32xf32>
  %y1 = tile.trans %y0 [1, 0, 2] : tensor<2x9x32xf32> -> tensor<9x2x32xf32>
  %y = tile.reshape %y1 : tensor<9x2x32xf32> -> tensor<9x64xf32>
  %r = tile.dot %x, %y, %z : tensor<20x9xf32>, tensor<9x64xf32> -> tensor<20x64xf32>
  tile.store %r, %c[%c0, %c0] : tensor<20x64xf32>, memref<20x64xf32>
}

// An exponential that two consumers need is computed once.
// CHECK-LABEL: llvm.func @softmax
// AVX2-LABEL: llvm.func @softmax
// CHECK-COUNT-1: dense<1.44269502>
// CHECK-NOT: dense<1.44269502>
tile.kernel @softmax grid [1] inputs 1 {
^bb0(%x: memref<3x16xf32>, %o: memref<3x16xf32>):
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : memref<3x16xf32> -> tensor<3x16xf32>
  %e = math.exp %t : tensor<3x16xf32>
  %s = tile.reduce sum %e dim 1 : tensor<3x16xf32> -> tensor<3x1xf32>
  %b = tile.broadcast %s : tensor<3x1xf32> -> tensor<3x16xf32>
  %q = arith.divf %e, %b : tensor<3x16xf32>
  tile.store %q, %o[%c0, %c0] : tensor<3x16xf32>, memref<3x16xf32>
}

// A product of few columns accumulates in rows of whole vectors: the buffer of
// the loop-carried tile is made for them.
// CHECK-LABEL: llvm.func @few_columns
// CHECK: %[[BYTES:.*]] = llvm.mlir.constant(256 : i64)
// CHECK: llvm.alloca %[[BYTES]] x i8
// CHECK-COUNT-2: llvm.store %{{.*}} : vector<16xf32>
tile.kernel @few_columns grid [1] inputs 2 {
^bb0(%a: memref<3x2x2xf32>, %b: memref<3x2x1xf32>, %c: memref<2x1xf32>):
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %z = arith.constant dense<0.0> : tensor<2x1xf32>
  %sum = scf.for %i = %c0 to %c3 step %c1 iter_args(%acc = %z) -> (tensor<2x1xf32>) {
    %x = tile.load %a[%i, %c0, %c0] : memref<3x2x2xf32> -> tensor<1x2x2xf32>
    %y = tile.load %b[%i, %c0, %c0] : memref<3x2x1xf32> -> tensor<1x2x1xf32>
    %l = tile.reshape %x : tensor<1x2x2xf32> -> tensor<2x2xf32>
    %r = tile.reshape %y : tensor<1x2x1xf32> -> tensor<2x1xf32>
    %d = tile.dot %l, %r, %acc : tensor<2x2xf32>, tensor<2x1xf32> -> tensor<2x1xf32>
    scf.yield %d : tensor<2x1xf32>
  }
  tile.store %sum, %c[%c0, %c0] : tensor<2x1xf32>, memref<2x1xf32>
}

// A left factor that lies column by column is copied in slivers, a vector a
// column, 8 columns of one sliver after another; the inner loop broadcasts from
// there and fetches no rows below, but lines of both factors of the next
// program: few before it, of more one a turn. 8 rows are two slivers of 4, which
// fill the arithmetic units, where 2 after 6 would not.
// CHECK-LABEL: llvm.func @transposed_left
// CHECK-COUNT-9: llvm.load %{{.*}} : !llvm.ptr -> vector<4xf32>
// CHECK-COUNT-6: llvm.intr.prefetch{{.*}} hint = 2
// CHECK-NOT: llvm.intr.prefetch
// CHECK-COUNT-80: llvm.intr.fma
// CHECK-COUNT-9: llvm.load %{{.*}} : !llvm.ptr -> vector<4xf32>
tile.kernel @transposed_left grid [1] inputs 2 {
^bb0(%a: memref<9x8xf32>, %b: memref<9x64xf32>, %c: memref<8x64xf32>):
  %c0 = arith.constant 0 : index
  %z = arith.constant dense<0.0> : tensor<8x64xf32>
  %x = tile.load %a[%c0, %c0] : memref<9x8xf32> -> tensor<9x8xf32>
  %t = tile.trans %x [1, 0] : tensor<9x8xf32> -> tensor<8x9xf32>
  %y = tile.load %b[%c0, %c0] : memref<9x64xf32> -> tensor<9x64xf32>
  %r = tile.dot %t, %y, %z : tensor<8x9xf32>, tensor<9x64xf32> -> tensor<8x64xf32>
  tile.store %r, %c[%c0, %c0] : tensor<8x64xf32>, memref<8x64xf32>
}

// One row shares no sets of a cache with others: it is read in
// place, and not turned.
// CHECK-LABEL: llvm.func @one_row
// CHECK-NOT: llvm.shufflevector {{.*}} [0, 16
// CHECK: llvm.intr.fma
// CHECK-NOT: llvm.shufflevector {{.*}} [0, 16
// CHECK: llvm.return
tile.kernel @one_row grid [1] inputs 2 {
^bb0(%a: memref<1x256xf32>, %b: memref<256x32xf32>, %c: memref<1x32xf32>):
  %c0 = arith.constant 0 : index
  %z = arith.constant dense<0.0> : tensor<1x32xf32>
  %x = tile.load %a[%c0, %c0] : memref<1x256xf32> -> tensor<1x256xf32>
  %y = tile.load %b[%c0, %c0] : memref<256x32xf32> -> tensor<256x32xf32>
  %r = tile.dot %x, %y, %z : tensor<1x256xf32>, tensor<256x32xf32> -> tensor<1x32xf32>
  tile.store %r, %c[%c0, %c0] : tensor<1x32xf32>, memref<1x32xf32>
}

// The rows of a result are stored, with what is added to them, when they are
// complete: in the last turn of the loop over what is summed.
// CHECK-LABEL: llvm.func @stored_by_rows
// CHECK: %[[LAST:.*]] = llvm.icmp "eq"
// CHECK-COUNT-96: llvm.intr.fma
// CHECK: llvm.cond_br %[[LAST]]
// CHECK: %[[SUM:.*]] = llvm.fadd %{{.*}}, %{{.*}} : vector<16xf32>
// CHECK: llvm.store %[[SUM]]
// CHECK-NOT: llvm.fadd
// CHECK: llvm.return
tile.kernel @stored_by_rows grid [1] inputs 3 {
^bb0(%a: memref<2x3x8xf32>, %b: memref<8x64xf32>, %d: memref<64xf32>, %c: memref<2x3x64xf32>):
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %c8 = arith.constant 8 : index
  %z = arith.constant dense<0.0> : tensor<6x64xf32>
  %sum = scf.for %k = %c0 to %c8 step %c4 iter_args(%acc = %z) -> (tensor<6x64xf32>) {
    %x = tile.load %a[%c0, %c0, %k] : memref<2x3x8xf32> -> tensor<2x3x4xf32>
    %m = tile.reshape %x : tensor<2x3x4xf32> -> tensor<6x4xf32>
    %y = tile.load %b[%k, %c0] : memref<8x64xf32> -> tensor<4x64xf32>
    %r = tile.dot %m, %y, %acc : tensor<6x4xf32>, tensor<4x64xf32> -> tensor<6x64xf32>
    scf.yield %r : tensor<6x64xf32>
  }
  %rows = tile.reshape %sum : tensor<6x64xf32> -> tensor<2x3x64xf32>
  %bias = tile.load %d[%c0] : memref<64xf32> -> tensor<64xf32>
  %one = tile.reshape %bias : tensor<64xf32> -> tensor<1x1x64xf32>
  %all = tile.broadcast %one : tensor<1x1x64xf32> -> tensor<2x3x64xf32>
  %added = arith.addf %rows, %all : tensor<2x3x64xf32>
  tile.store %added, %c[%c0, %c0, %c0] : tensor<2x3x64xf32>, memref<2x3x64xf32>
}

// One row times rows of memory: four of these at a time are read where they
// are, two vectors of each a turn. Nothing is packed: but for the result of 5
// columns, padded, there is no memory of the kernel's own.
// CHECK-LABEL: llvm.func @row_times_rows(
// CHECK-COUNT-1: llvm.alloca
// CHECK-NOT: llvm.alloca
// CHECK-COUNT-8: llvm.intr.fma({{.*}}) : (vector<16xf32>, vector<16xf32>, vector<16xf32>) -> vector<16xf32>
// CHECK: llvm.br
tile.kernel @row_times_rows grid [1] inputs 2 {
^bb0(%a: memref<1x67xf32>, %b: memref<5x67xf32>, %c: memref<1x5xf32>):
  %c0 = arith.constant 0 : index
  %z = arith.constant dense<0.0> : tensor<1x5xf32>
  %x = tile.load %a[%c0, %c0] : memref<1x67xf32> -> tensor<1x67xf32>
  %w = tile.load %b[%c0, %c0] : memref<5x67xf32> -> tensor<5x67xf32>
  %y = tile.trans %w [1, 0] : tensor<5x67xf32> -> tensor<67x5xf32>
  %r = tile.dot %x, %y, %z : tensor<1x67xf32>, tensor<67x5xf32> -> tensor<1x5xf32>
  tile.store %r, %c[%c0, %c0] : tensor<1x5xf32>, memref<1x5xf32>
}

// What all turns of a loop multiply is packed before the loop, turned in
// registers. What is computed for two readers is kept, and a product that has
// it turned reads it column by column in place: no sliver of 6 rows is packed.
// CHECK-LABEL: llvm.func @factors_of_a_loop(
// CHECK: llvm.shufflevector {{.*}} [0, 16
// CHECK: llvm.intr.fma
// CHECK-NOT: llvm.shufflevector {{.*}} [0, 16
// CHECK-NOT: vector<6xf32>
// CHECK: llvm.return
tile.kernel @factors_of_a_loop grid [1] inputs 2 {
^bb0(%a: memref<64x64xf32>, %b: memref<16x64xf32>, %c: memref<16x64xf32>):
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %c64 = arith.constant 64 : index
  %z = arith.constant dense<0.0> : tensor<16x64xf32>
  %none = arith.constant dense<0.0> : tensor<32x16xf32>
  %w0 = arith.constant dense<0.0> : tensor<32x64xf32>
  %x = tile.load %b[%c0, %c0] : memref<16x64xf32> -> tensor<16x64xf32>
  %t = tile.trans %x [1, 0] : tensor<16x64xf32> -> tensor<64x16xf32>
  %sum = scf.for %k = %c0 to %c64 step %c32 iter_args(%acc = %z) -> (tensor<16x64xf32>) {
    %y = tile.load %a[%k, %c0] : memref<64x64xf32> -> tensor<32x64xf32>
    %s = tile.dot %y, %t, %none : tensor<32x64xf32>, tensor<64x16xf32> -> tensor<32x16xf32>
    %f = arith.addf %s, %s : tensor<32x16xf32>
    %p = tile.trans %f [1, 0] : tensor<32x16xf32> -> tensor<16x32xf32>
    %w = tile.dot %f, %acc, %w0 : tensor<32x16xf32>, tensor<16x64xf32> -> tensor<32x64xf32>
    %r = tile.dot %p, %w, %z : tensor<16x32xf32>, tensor<32x64xf32> -> tensor<16x64xf32>
    scf.yield %r : tensor<16x64xf32>
  }
  tile.store %sum, %c[%c0, %c0] : tensor<16x64xf32>, memref<16x64xf32>
}

// A loop starts with what another one gave. As it is in a third one, it needs
// that again in each turn: it works on a copy.
// CHECK-LABEL: llvm.func @loop_in_a_loop(
// CHECK: llvm.fadd
// CHECK: llvm.br
// CHECK: %[[GIVEN:.*]] = llvm.load %[[ONE:.*]] {alignment
// CHECK-NEXT: llvm.store %[[GIVEN]], %[[COPY:.*]] {alignment
// CHECK: llvm.load %[[COPY]]
// CHECK-NEXT: llvm.fmul
tile.kernel @loop_in_a_loop grid [1] inputs 1 {
^bb0(%a: memref<4x16xf32>, %c: memref<1x16xf32>):
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %z = arith.constant dense<0.0> : tensor<1x16xf32>
  %one = scf.for %k = %c0 to %c4 step %c1 iter_args(%acc = %z) -> (tensor<1x16xf32>) {
    %x = tile.load %a[%k, %c0] : memref<4x16xf32> -> tensor<1x16xf32>
    %s = arith.addf %acc, %x : tensor<1x16xf32>
    scf.yield %s : tensor<1x16xf32>
  }
  %all = scf.for %h = %c0 to %c4 step %c1 iter_args(%acc = %z) -> (tensor<1x16xf32>) {
    %two = scf.for %k = %c0 to %c4 step %c1 iter_args(%p = %one) -> (tensor<1x16xf32>) {
      %q = arith.mulf %p, %p : tensor<1x16xf32>
      scf.yield %q : tensor<1x16xf32>
    }
    %s = arith.addf %acc, %two : tensor<1x16xf32>
    scf.yield %s : tensor<1x16xf32>
  }
  tile.store %all, %c[%c0, %c0] : tensor<1x16xf32>, memref<1x16xf32>
}

// Products that a scatter adds to rows of memory that follow one another are
// added there from registers: there is no buffer but those of the factors.
// CHECK-LABEL: llvm.func @added_to_rows
// CHECK-COUNT-1: llvm.alloca
// CHECK-NOT: llvm.alloca
// CHECK-COUNT-4: llvm.fadd {{.*}} : vector<16xf32>
// CHECK: llvm.return
tile.kernel @added_to_rows grid [1] inputs 3 initial [0] {
^bb0(%old: memref<4x2x64xf32>, %a: memref<4x5xf32>, %b: memref<5x64xf32>, %c: memref<4x2x64xf32>):
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c4 = arith.constant 4 : index
  scf.for %i = %c0 to %c4 step %c2 {
    %x = tile.load %a[%i, %c0] : memref<4x5xf32> -> tensor<2x5xf32>
    %y = tile.load %b[%c0, %c0] : memref<5x64xf32> -> tensor<5x64xf32>
    %z = arith.constant dense<0.0> : tensor<2x64xf32>
    %r = tile.dot %x, %y, %z : tensor<2x5xf32>, tensor<5x64xf32> -> tensor<2x64xf32>
    %rows = tile.reshape %r : tensor<2x64xf32> -> tensor<2x1x64xf32>
    %iota = tile.iota dim 0 : tensor<2xi32>
    %first = arith.index_cast %i : index to i32
    %splat = tile.splat %first : i32 -> tensor<2xi32>
    %at = arith.addi %iota, %splat : tensor<2xi32>
    tile.scatter add %rows, %c[%at] [%c1, %c0] : tensor<2x1x64xf32>, memref<4x2x64xf32>, tensor<2xi32>
  }
}

// Exponentials take the buffer of the product, which nothing reads after them: one
// for both, beside the largest, the sums and the packed factor.
// CHECK-LABEL: llvm.func @overwritten
// CHECK-COUNT-4: llvm.alloca
// CHECK-NOT: llvm.alloca
// CHECK: llvm.return
tile.kernel @overwritten grid [1] inputs 2 {
^bb0(%a: memref<4x5xf32>, %b: memref<5x64xf32>, %c: memref<4x64xf32>):
  %c0 = arith.constant 0 : index
  %z = arith.constant dense<0.0> : tensor<4x64xf32>
  %x = tile.load %a[%c0, %c0] : memref<4x5xf32> -> tensor<4x5xf32>
  %y = tile.load %b[%c0, %c0] : memref<5x64xf32> -> tensor<5x64xf32>
  %r = tile.dot %x, %y, %z : tensor<4x5xf32>, tensor<5x64xf32> -> tensor<4x64xf32>
  %most = tile.reduce max %r dim 1 : tensor<4x64xf32> -> tensor<4x1xf32>
  %m = tile.broadcast %most : tensor<4x1xf32> -> tensor<4x64xf32>
  %d = arith.subf %r, %m : tensor<4x64xf32>
  %e = math.exp %d : tensor<4x64xf32>
  %s = tile.reduce sum %e dim 1 : tensor<4x64xf32> -> tensor<4x1xf32>
  %t = tile.broadcast %s : tensor<4x1xf32> -> tensor<4x64xf32>
  %q = arith.divf %e, %t : tensor<4x64xf32>
  tile.store %q, %c[%c0, %c0] : tensor<4x64xf32>, memref<4x64xf32>
}

// What is not a kernel goes, in whichever order its values are used.
// CHECK-NOT: plan.
plan.copy %used to %defined : !plan.buffer<4>, !plan.buffer<4>
%used = plan.allocate -> !plan.buffer<4>
%defined = plan.allocate -> !plan.buffer<4>
