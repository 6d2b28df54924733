// RUN: tessera-opt %s -emulate-nvvm | FileCheck %s

// A kernel that reads its thread id, goes through shared memory and a barrier,
// and exchanges values within a warp.

// CHECK: llvm.mlir.global external @tessera_emu_table() {{.*}} : !llvm.ptr
// CHECK-LABEL: llvm.func @rotate(%arg0: !llvm.ptr)
// The arguments come from the array, unchecked.
// CHECK: llvm.getelementptr %arg0[1]
// CHECK: llvm.getelementptr %arg0[0]
// The special register is entry 1 of the table.
// CHECK: llvm.getelementptr %{{.*}}[1] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
// CHECK: llvm.call %{{.*}} : !llvm.ptr, (i32) -> i32
// The load of the input is preceded by a check of 4 bytes, of access 0 in turn
// 0, that of shared memory by a shorter one.
// CHECK: %[[BYTES:.*]] = llvm.mlir.constant(4 : i64)
// CHECK: %[[FLAGS:.*]] = llvm.mlir.constant(0 : i32)
// CHECK: %[[SITE:.*]] = llvm.mlir.constant(0 : i32)
// CHECK: %[[TURN:.*]] = llvm.mlir.constant(0 : i32)
// CHECK: llvm.call %{{.*}}(%{{.*}}, %[[BYTES]], %[[FLAGS]], %[[SITE]], %[[TURN]]) : !llvm.ptr, (!llvm.ptr, i64, i32, i32, i32) -> ()
// CHECK: llvm.load %{{.*}} : !llvm.ptr -> f32
// CHECK: llvm.call %{{.*}} : !llvm.ptr, (!llvm.ptr, i64, i32) -> ()
// The barrier waits for all threads.
// CHECK: llvm.mlir.constant(-1 : i32)
// CHECK: llvm.call %{{.*}} : !llvm.ptr, (i32, i32) -> ()
// The float travels as bits.
// CHECK: llvm.bitcast %{{.*}} : f32 to i32
// CHECK: llvm.call %{{.*}} : !llvm.ptr, (i32, i32, i32, i32, i32) -> i32
// CHECK: llvm.bitcast %{{.*}} : i32 to f32
// CHECK-NOT: nvvm.
gpu.module @kernels {
  llvm.mlir.global internal @rotate_shared() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<256 x i8>
  llvm.func @rotate(%in: !llvm.ptr, %out: !llvm.ptr) attributes {nvvm.kernel} {
    %tid = nvvm.read.ptx.sreg.tid.x : i32
    %src = llvm.getelementptr %in[%tid] : (!llvm.ptr, i32) -> !llvm.ptr, f32
    %x = llvm.load %src : !llvm.ptr -> f32
    %shared = llvm.mlir.addressof @rotate_shared : !llvm.ptr<3>
    %slot = llvm.getelementptr %shared[%tid] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, f32
    llvm.store %x, %slot : f32, !llvm.ptr<3>
    nvvm.barrier0
    %mask = llvm.mlir.constant(-1 : i32) : i32
    %one = llvm.mlir.constant(1 : i32) : i32
    %clamp = llvm.mlir.constant(31 : i32) : i32
    %y = nvvm.shfl.sync bfly %mask, %x, %one, %clamp : f32 -> f32
    %dst = llvm.getelementptr %out[%tid] : (!llvm.ptr, i32) -> !llvm.ptr, f32
    llvm.store %y, %dst : f32, !llvm.ptr
    llvm.return
  }
  // A product's fragments go to the emulator in ten words, the sums last.
  // CHECK-LABEL: llvm.func @product
  // CHECK: %[[WORDS:.*]] = llvm.alloca %{{.*}} x i32
  // CHECK-COUNT-6: llvm.store %{{.*}} : i32, !llvm.ptr
  // CHECK-COUNT-4: llvm.store %{{.*}} : f32, !llvm.ptr
  // CHECK: llvm.call %{{.*}}(%{{.*}}, %[[WORDS]]) : !llvm.ptr, (i32, !llvm.ptr) -> ()
  // CHECK: %[[SUM:.*]] = llvm.getelementptr %[[WORDS]][6]
  // CHECK: llvm.load %[[SUM]] : !llvm.ptr -> f32
  // CHECK-NOT: nvvm.
  llvm.func @product(%out: !llvm.ptr) attributes {nvvm.kernel} {
    %a = llvm.mlir.constant(0 : i32) : i32
    %c = llvm.mlir.constant(0.0 : f32) : f32
    %d = nvvm.mma.sync A[%a, %a, %a, %a] B[%a, %a] C[%c, %c, %c, %c] {layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, multiplicandAPtxType = #nvvm.mma_type<bf16>, multiplicandBPtxType = #nvvm.mma_type<bf16>, shape = #nvvm.shape<m = 16, n = 8, k = 16>} : (i32, i32, f32) -> !llvm.struct<(f32, f32, f32, f32)>
    %x = llvm.extractvalue %d[0] : !llvm.struct<(f32, f32, f32, f32)>
    llvm.store %x, %out : f32, !llvm.ptr
    llvm.return
  }
  // The turns of a loop are counted from 0 each time it is entered; the loads
  // in its body have numbers that follow one another, the store behind it has
  // one that does not follow theirs.
  // CHECK-LABEL: llvm.func @loop
  // CHECK: %[[COUNTER:.*]] = llvm.alloca %{{.*}} x i32
  // CHECK: %[[ZERO:.*]] = llvm.mlir.constant(0 : i32)
  // CHECK: llvm.store %[[ZERO]], %[[COUNTER]] : i32, !llvm.ptr
  // CHECK: llvm.br ^[[HEADER:bb1]](
  // CHECK: %[[FIRST:.*]] = llvm.mlir.constant(2 : i32)
  // CHECK: %[[TURN:.*]] = llvm.load %[[COUNTER]] : !llvm.ptr -> i32
  // CHECK: llvm.call {{.*}}, %[[FIRST]], %[[TURN]]) : !llvm.ptr, (!llvm.ptr, i64, i32, i32, i32) -> ()
  // CHECK: llvm.mlir.constant(3 : i32)
  // CHECK: llvm.load %[[COUNTER]] : !llvm.ptr -> i32
  // CHECK: %[[BEFORE:.*]] = llvm.load %[[COUNTER]] : !llvm.ptr -> i32
  // CHECK: %[[ONE:.*]] = llvm.mlir.constant(1 : i32)
  // CHECK: %[[NEXT:.*]] = llvm.add %[[BEFORE]], %[[ONE]]
  // CHECK: llvm.store %[[NEXT]], %[[COUNTER]] : i32, !llvm.ptr
  // CHECK: llvm.br ^[[HEADER]](
  // CHECK: llvm.mlir.constant(5 : i32)
  // CHECK: llvm.mlir.constant(0 : i32)
  // CHECK: llvm.store %{{.*}}, %{{.*}} : f32, !llvm.ptr
  llvm.func @loop(%in: !llvm.ptr, %out: !llvm.ptr) attributes {nvvm.kernel} {
    %zero = llvm.mlir.constant(0 : i64) : i64
    %one = llvm.mlir.constant(1 : i64) : i64
    %end = llvm.mlir.constant(3 : i64) : i64
    %none = llvm.mlir.constant(0.0 : f32) : f32
    llvm.br ^header(%zero, %none : i64, f32)
  ^header(%i: i64, %sum: f32):
    %more = llvm.icmp "slt" %i, %end : i64
    llvm.cond_br %more, ^body, ^exit
  ^body:
    %src = llvm.getelementptr %in[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %x = llvm.load %src : !llvm.ptr -> f32
    %y = llvm.load %in : !llvm.ptr -> f32
    %product = llvm.fmul %x, %y : f32
    %total = llvm.fadd %sum, %product : f32
    %next = llvm.add %i, %one : i64
    llvm.br ^header(%next, %total : i64, f32)
  ^exit:
    llvm.store %sum, %out : f32, !llvm.ptr
    llvm.return
  }
}
