// RUN: tessera-opt %s -convert-tile-to-nvvm | FileCheck %s

// A transposing store goes through shared memory, whose rows are padded: both
// sides of it touch neighbouring addresses of device memory.
// CHECK-LABEL: llvm.func @transpose
// CHECK-SAME: tessera.shared_bytes = 4608
// CHECK: llvm.load {{.*}} : !llvm.ptr -> f32
// CHECK: llvm.store {{.*}} : f32, !llvm.ptr<3>
// CHECK: nvvm.barrier0
// CHECK: llvm.load {{.*}} : !llvm.ptr<3> -> f32
// CHECK: llvm.store {{.*}} : f32, !llvm.ptr
tile.kernel @transpose grid [1] inputs 1 {
^bb0(%x: memref<32x32xf32>, %o: memref<32x32xf32>):
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : memref<32x32xf32> -> tensor<32x32xf32>
  %s = tile.trans %t [1, 0] : tensor<32x32xf32> -> tensor<32x32xf32>
  tile.store %s, %o[%c0, %c0] : tensor<32x32xf32>, memref<32x32xf32>
}

// Rows are picked by index; for an index past the table row 0 is read, and its
// elements are replaced by 0. No branch keeps neighbours from being read at
// once.
// CHECK-LABEL: llvm.func @gather
// CHECK: %[[ROW:.*]] = llvm.load {{.*}} : !llvm.ptr -> i32
// CHECK-NOT: llvm.cond_br
// CHECK: %[[FITS:.*]] = llvm.icmp "ult"
// CHECK: llvm.select %[[FITS]], %{{.*}}, %{{.*}} : i1, i64
// CHECK: %[[X:.*]] = llvm.load {{.*}} : !llvm.ptr -> f32
// CHECK: llvm.select %[[FITS]], %[[X]], %{{.*}} : i1, f32
tile.kernel @gather grid [1] inputs 2 {
^bb0(%table: memref<10x8xf32>, %ids: memref<4xi32>, %o: memref<4x8xf32>):
  %c0 = arith.constant 0 : index
  %i = tile.load %ids[%c0] : memref<4xi32> -> tensor<4xi32>
  %g = tile.gather %table[%i][%c0] : memref<10x8xf32>, tensor<4xi32> -> tensor<4x8xf32>
  tile.store %g, %o[%c0, %c0] : tensor<4x8xf32>, memref<4x8xf32>
}

// Neither a broadcast, an iota, a splat nor a reshape costs memory.
// CHECK-LABEL: llvm.func @virtual
// CHECK-SAME: tessera.shared_bytes = 0
// CHECK-NOT: llvm.store {{.*}} !llvm.ptr<3>
// CHECK: llvm.store {{.*}} : i32, !llvm.ptr
tile.kernel @virtual grid [1] inputs 1 {
^bb0(%x: memref<5xi32>, %o: memref<3x5xi32>):
  %c0 = arith.constant 0 : index
  %two = arith.constant 2 : i32
  %t = tile.load %x[%c0] : memref<5xi32> -> tensor<5xi32>
  %r = tile.reshape %t : tensor<5xi32> -> tensor<1x5xi32>
  %b = tile.broadcast %r : tensor<1x5xi32> -> tensor<3x5xi32>
  %i = tile.iota dim 0 : tensor<3x5xi32>
  %s = tile.splat %two : i32 -> tensor<3x5xi32>
  %p = arith.muli %i, %s : tensor<3x5xi32>
  %q = arith.addi %p, %b : tensor<3x5xi32>
  tile.store %q, %o[%c0, %c0] : tensor<3x5xi32>, memref<3x5xi32>
}

// A tile that a reduction and others use is computed once.
// CHECK-LABEL: llvm.func @centre
// CHECK-COUNT-1: llvm.load {{.*}} : !llvm.ptr -> f32
// CHECK: nvvm.barrier0
// CHECK-COUNT-5: nvvm.shfl.sync bfly
// CHECK-NOT: llvm.load {{.*}} : !llvm.ptr -> f32
// CHECK: llvm.return
tile.kernel @centre grid [1] inputs 1 {
^bb0(%x: memref<2x37xf32>, %o: memref<2x37xf32>):
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : memref<2x37xf32> -> tensor<2x37xf32>
  %s = tile.reduce max %t dim 1 : tensor<2x37xf32> -> tensor<2x1xf32>
  %b = tile.broadcast %s : tensor<2x1xf32> -> tensor<2x37xf32>
  %d = arith.subf %t, %b : tensor<2x37xf32>
  tile.store %d, %o[%c0, %c0] : tensor<2x37xf32>, memref<2x37xf32>
}

// Columns are summed a thread each.
// CHECK-LABEL: llvm.func @columns
// CHECK-NOT: nvvm.shfl.sync
// CHECK: llvm.return
tile.kernel @columns grid [1] inputs 1 {
^bb0(%x: memref<6x40xf32>, %o: memref<1x40xf32>):
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : memref<6x40xf32> -> tensor<6x40xf32>
  %s = tile.reduce sum %t dim 0 : tensor<6x40xf32> -> tensor<1x40xf32>
  tile.store %s, %o[%c0, %c0] : tensor<1x40xf32>, memref<1x40xf32>
}
