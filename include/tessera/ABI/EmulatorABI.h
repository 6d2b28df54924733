// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What emulated kernels call for everything that an NVVM op does.
//
// An emulated kernel is the NVVM kernel compiled for the host with each NVVM op
// replaced by a call through a table. The object exports the table's slot under
// TESSERA_EMU_TABLE; whoever loads the object stores the table's address there
// before the first launch. So the object has no undefined symbols and does not
// depend on how the runtime was loaded.
#ifndef TESSERA_ABI_EMULATORABI_H
#define TESSERA_ABI_EMULATORABI_H

#include <cstdint>

/// Name of the exported variable of type `const TesseraEmuTable *`.
#define TESSERA_EMU_TABLE "tessera_emu_table"

/// Special registers, the argument of `readRegister`.
enum TesseraEmuRegister : int32_t {
  TESSERA_EMU_TID_X = 0,
  TESSERA_EMU_TID_Y = 1,
  TESSERA_EMU_TID_Z = 2,
  TESSERA_EMU_NTID_X = 3,
  TESSERA_EMU_NTID_Y = 4,
  TESSERA_EMU_NTID_Z = 5,
  TESSERA_EMU_CTAID_X = 6,
  TESSERA_EMU_CTAID_Y = 7,
  TESSERA_EMU_CTAID_Z = 8,
  TESSERA_EMU_NCTAID_X = 9,
  TESSERA_EMU_NCTAID_Y = 10,
  TESSERA_EMU_NCTAID_Z = 11,
  TESSERA_EMU_LANEID = 12,
};

/// Kinds of `shuffle`, as in PTX shfl.sync.
enum TesseraEmuShuffle : int32_t {
  TESSERA_EMU_SHUFFLE_BFLY = 0,
  TESSERA_EMU_SHUFFLE_UP = 1,
  TESSERA_EMU_SHUFFLE_DOWN = 2,
  TESSERA_EMU_SHUFFLE_IDX = 3,
};

/// Bits of `checkAccess`'s last argument.
enum TesseraEmuAccess : int32_t {
  TESSERA_EMU_ACCESS_WRITE = 1,
  TESSERA_EMU_ACCESS_SHARED = 2,
};

/// Element types of `multiply`'s factors.
enum TesseraEmuElement : int32_t {
  TESSERA_EMU_F16 = 0,
  TESSERA_EMU_BF16 = 1,
};

/// A lane's part of the factors, two elements a word, and of the sums, as in
/// PTX ("Matrix Fragments for mma.m16n8k16").
struct TesseraEmuFragments {
  uint32_t a[4];
  uint32_t b[2];
  float sums[4];
};

/// The entries are indexed by the compiler: append only, and raise
/// TESSERA_EMU_TABLE_VERSION with every change.
#define TESSERA_EMU_TABLE_VERSION 3
struct TesseraEmuTable {
  int64_t version;
  /// The value of a TesseraEmuRegister for the running thread.
  int32_t (*readRegister)(int32_t which);
  /// bar.sync id, count: waits until `count` threads (all of the block when it
  /// is negative) have arrived.
  void (*barrier)(int32_t id, int32_t count);
  /// bar.warp.sync: waits for the lanes of `mask`.
  void (*syncWarp)(int32_t mask);
  /// shfl.sync: the value of another lane; `clamp` packs segment mask and
  /// bound.
  int32_t (*shuffle)(int32_t kind, int32_t mask, int32_t value, int32_t offset,
                     int32_t clamp);
  /// The block's shared memory, 1024-byte aligned.
  void *(*sharedMemory)();
  /// Before an access to global or shared memory: checks bounds, and races
  /// between threads.
  void (*checkAccess)(const void *address, int64_t bytes, int32_t flags);
  /// mma.sync.m16n8k16 with f32 sums: waits for the whole warp, then replaces
  /// the sums in `fragments` by theirs plus the product.
  void (*multiply)(int32_t elementType, TesseraEmuFragments *fragments);
  /// checkAccess for global memory, which also records the accesses of the
  /// lanes of a warp together. `site` numbers the kernel's accesses: those of
  /// one basic block follow one another, and a number is left out between
  /// blocks. `turn` counts the turns of the innermost loop around it.
  void (*checkGlobalAccess)(const void *address, int64_t bytes, int32_t flags,
                            int32_t site, int32_t turn);
};

/// Bounds that a block of threads and its emulation keep.
#define TESSERA_EMU_MAX_THREADS 1024
#define TESSERA_EMU_WARP_SIZE 32

#endif // TESSERA_ABI_EMULATORABI_H
