// RUN: tessera-opt %s -convert-tile-to-nvvm | FileCheck %s

// The sums of a product that a loop adds to stay in registers: the loop carries
// numbers, shared memory holds the factors alone, and the result takes their
// place after it. Both factors are read along the summed dimension, four
// elements at a time, the weight too, whose rows are the product's columns.
// CHECK-LABEL: llvm.func @linear
// CHECK-SAME: nvvm.minctasm = 1 : i32
// CHECK-SAME: nvvm.reqntid = array<i32: 128>
// CHECK-SAME: tessera.shared_bytes = 18432
// CHECK-NOT: llvm.store {{.*}} !llvm.ptr<3>
// CHECK: llvm.br ^[[LOOP:bb[0-9]+]](%{{.*}} : i64, f32, f32,
// CHECK: ^[[LOOP]](%{{.*}}: i64, %{{.*}}: f32, %{{.*}}: f32,
// CHECK: llvm.load {{.*}} : !llvm.ptr -> f32
// CHECK: llvm.store {{.*}} : f32, !llvm.ptr<3>
// Both factors are filled before the one barrier.
// CHECK-NOT: nvvm.barrier0
// CHECK: llvm.load {{.*}} : !llvm.ptr -> f32
// CHECK: nvvm.barrier0
// CHECK-COUNT-12: llvm.load {{.*}} {alignment = 16 : i64} : !llvm.ptr<3> -> vector<4xf32>
// CHECK: llvm.intr.fma
// CHECK: nvvm.barrier0
// CHECK-COUNT-32: llvm.store {{.*}} : f32, !llvm.ptr<3>
// CHECK: nvvm.barrier0
// CHECK: llvm.store {{.*}} : f32, !llvm.ptr
// CHECK-NOT: nvvm.barrier0
// CHECK: llvm.return
tile.kernel @linear grid [2] inputs 2 {
^bb0(%x: memref<64x96xf32>, %w: memref<128x96xf32>, %o: memref<64x128xf32>):
  %zero = arith.constant dense<0.0> : tensor<64x64xf32>
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %c64 = arith.constant 64 : index
  %c96 = arith.constant 96 : index
  %i = tile.program_id 0
  %n = arith.muli %i, %c64 : index
  %sum = scf.for %k = %c0 to %c96 step %c32 iter_args(%acc = %zero) -> (tensor<64x64xf32>) {
    %a = tile.load %x[%c0, %k] : memref<64x96xf32> -> tensor<64x32xf32>
    %b = tile.load %w[%n, %k] : memref<128x96xf32> -> tensor<64x32xf32>
    %t = tile.trans %b [1, 0] : tensor<64x32xf32> -> tensor<32x64xf32>
    %d = tile.dot %a, %t, %acc : tensor<64x32xf32>, tensor<32x64xf32> -> tensor<64x64xf32>
    scf.yield %d : tensor<64x64xf32>
  }
  tile.store %sum, %o[%c0, %n] : tensor<64x64xf32>, memref<64x128xf32>
}

// Sizes that nothing divides: one element at a time, threads beyond the sums do
// nothing.
// CHECK-LABEL: llvm.func @single
// CHECK-SAME: nvvm.reqntid = array<i32: 32>
// CHECK: nvvm.barrier0
// CHECK: llvm.icmp
// CHECK: llvm.intr.fma
// CHECK: nvvm.barrier0
// CHECK: llvm.store {{.*}} : f32, !llvm.ptr
tile.kernel @single grid [1] inputs 2 {
^bb0(%x: memref<3x5xf32>, %y: memref<5x7xf32>, %o: memref<3x7xf32>):
  %zero = arith.constant dense<0.0> : tensor<3x7xf32>
  %c0 = arith.constant 0 : index
  %a = tile.load %x[%c0, %c0] : memref<3x5xf32> -> tensor<3x5xf32>
  %b = tile.load %y[%c0, %c0] : memref<5x7xf32> -> tensor<5x7xf32>
  %d = tile.dot %a, %b, %zero : tensor<3x5xf32>, tensor<5x7xf32> -> tensor<3x7xf32>
  tile.store %d, %o[%c0, %c0] : tensor<3x7xf32>, memref<3x7xf32>
}

// Warps multiply bf16 on the tensor cores: a lane reads pairs of neighbours
// along the summed dimension, four of the left factor and two of the right one.
// CHECK-LABEL: llvm.func @bf16
// CHECK-SAME: nvvm.reqntid = array<i32: 64>
// CHECK: nvvm.barrier0
// CHECK-COUNT-6: llvm.load {{.*}} {alignment = 4 : i64} : !llvm.ptr<3> -> vector<2xbf16>
// CHECK: nvvm.mma.sync A[{{.*}}] B[{{.*}}] C[{{.*}}] {layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, multiplicandAPtxType = #nvvm.mma_type<bf16>, multiplicandBPtxType = #nvvm.mma_type<bf16>, shape = #nvvm.shape<m = 16, n = 8, k = 16>} : (i32, i32, f32) -> !llvm.struct<(f32, f32, f32, f32)>
// CHECK-NOT: llvm.intr.fma
// CHECK: llvm.return
tile.kernel @bf16 grid [1] inputs 2 {
^bb0(%x: memref<16x32xbf16>, %y: memref<16x32xbf16>, %o: memref<16x16xf32>):
  %zero = arith.constant dense<0.0> : tensor<16x16xf32>
  %c0 = arith.constant 0 : index
  %a = tile.load %x[%c0, %c0] : memref<16x32xbf16> -> tensor<16x32xbf16>
  %b = tile.load %y[%c0, %c0] : memref<16x32xbf16> -> tensor<16x32xbf16>
  %t = tile.trans %b [1, 0] : tensor<16x32xbf16> -> tensor<32x16xbf16>
  %d = tile.dot %a, %t, %zero : tensor<16x32xbf16>, tensor<32x16xbf16> -> tensor<16x16xf32>
  tile.store %d, %o[%c0, %c0] : tensor<16x16xf32>, memref<16x16xf32>
}

// The rows of this right factor lie across the summed dimension: its pairs are
// read one by one. A loop carries the lanes' sums in registers.
// CHECK-LABEL: llvm.func @f16
// CHECK: llvm.br ^[[LOOP:bb[0-9]+]](%{{.*}} : i64, f32, f32,
// CHECK: llvm.load {{.*}} : !llvm.ptr<3> -> f16
// CHECK: nvvm.mma.sync {{.*}} : (vector<2xf16>, vector<2xf16>, f32) -> !llvm.struct<(f32, f32, f32, f32)>
// CHECK: llvm.br ^[[LOOP]]
tile.kernel @f16 grid [1] inputs 2 {
^bb0(%x: memref<32x64xf16>, %y: memref<64x16xf16>, %o: memref<32x16xf32>):
  %zero = arith.constant dense<0.0> : tensor<32x16xf32>
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %c64 = arith.constant 64 : index
  %sum = scf.for %k = %c0 to %c64 step %c16 iter_args(%acc = %zero) -> (tensor<32x16xf32>) {
    %a = tile.load %x[%c0, %k] : memref<32x64xf16> -> tensor<32x16xf16>
    %b = tile.load %y[%k, %c0] : memref<64x16xf16> -> tensor<16x16xf16>
    %d = tile.dot %a, %b, %acc : tensor<32x16xf16>, tensor<16x16xf16> -> tensor<32x16xf32>
    scf.yield %d : tensor<32x16xf32>
  }
  tile.store %sum, %o[%c0, %c0] : tensor<32x16xf32>, memref<32x16xf32>
}

// A summed dimension of 24 is not made of tiles of 16: bf16 factors are read
// eight at a time and widened; the sums are f32.
// CHECK-LABEL: llvm.func @halves
// CHECK-NOT: nvvm.mma.sync
// CHECK: llvm.load {{.*}} {alignment = 16 : i64} : !llvm.ptr<3> -> vector<8xbf16>
// CHECK: llvm.intr.fma{{.*}} : (f32, f32, f32) -> f32
tile.kernel @halves grid [1] inputs 2 {
^bb0(%x: memref<16x24xbf16>, %y: memref<16x24xbf16>, %o: memref<16x16xf32>):
  %zero = arith.constant dense<0.0> : tensor<16x16xf32>
  %c0 = arith.constant 0 : index
  %a = tile.load %x[%c0, %c0] : memref<16x24xbf16> -> tensor<16x24xbf16>
  %b = tile.load %y[%c0, %c0] : memref<16x24xbf16> -> tensor<16x24xbf16>
  %t = tile.trans %b [1, 0] : tensor<16x24xbf16> -> tensor<24x16xbf16>
  %d = tile.dot %a, %t, %zero : tensor<16x24xbf16>, tensor<24x16xbf16> -> tensor<16x16xf32>
  tile.store %d, %o[%c0, %c0] : tensor<16x16xf32>, memref<16x16xf32>
}

// Integers multiply and add.
// CHECK-LABEL: llvm.func @integers
// CHECK: llvm.mul {{.*}} : i32
// CHECK: llvm.add {{.*}} : i32
tile.kernel @integers grid [1] inputs 2 {
^bb0(%x: memref<8x4xi32>, %y: memref<4x8xi32>, %o: memref<8x8xi32>):
  %zero = arith.constant dense<0> : tensor<8x8xi32>
  %c0 = arith.constant 0 : index
  %a = tile.load %x[%c0, %c0] : memref<8x4xi32> -> tensor<8x4xi32>
  %b = tile.load %y[%c0, %c0] : memref<4x8xi32> -> tensor<4x8xi32>
  %d = tile.dot %a, %b, %zero : tensor<8x4xi32>, tensor<4x8xi32> -> tensor<8x8xi32>
  tile.store %d, %o[%c0, %c0] : tensor<8x8xi32>, memref<8x8xi32>
}
