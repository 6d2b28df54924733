// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Kernels written against the emulator's table by hand: right ones run in every
// order of threads, wrong ones are caught.
#include "runtime/devices/emulated/BlockEmulator.h"

#include <gtest/gtest.h>

#include <cstring>

using namespace tessera::emulated;

namespace {

const TesseraEmuTable &emu = BlockEmulator::table();

struct SumFixture {
  std::vector<int32_t> input, output;
  EmulatedLaunch launch;

  SumFixture(tessera::abi::EmulatedKernel kernel, int threads, int blocks) {
    input.resize(threads * blocks);
    output.resize(threads * blocks, -1);
    for (size_t i = 0; i < input.size(); ++i)
      input[i] = static_cast<int32_t>(i * 7 % 31);
    launch.name = "test";
    launch.kernel = kernel;
    launch.grid[0] = blocks;
    launch.threads = threads;
    launch.sharedBytes = threads * 4;
    launch.buffers = {{reinterpret_cast<char *>(input.data()),
                       int64_t(input.size() * 4), false},
                      {reinterpret_cast<char *>(output.data()),
                       int64_t(output.size() * 4), true}};
  }

  /// On so many OS threads; the first fault, or nothing.
  std::string run(int osThreads) {
    tessera::rt::ThreadPool pool(osThreads);
    return runEmulated(launch, pool);
  }
};

int32_t loadShared(int32_t index) {
  auto *address = static_cast<int32_t *>(emu.sharedMemory()) + index;
  emu.checkAccess(address, 4, TESSERA_EMU_ACCESS_SHARED);
  return *address;
}

void storeShared(int32_t index, int32_t value) {
  auto *address = static_cast<int32_t *>(emu.sharedMemory()) + index;
  emu.checkAccess(address, 4,
                  TESSERA_EMU_ACCESS_SHARED | TESSERA_EMU_ACCESS_WRITE);
  *address = value;
}

/// Each thread writes its neighbour's input through shared memory.
template <bool withBarrier> void rotateKernel(void *const *args) {
  int32_t tid = emu.readRegister(TESSERA_EMU_TID_X);
  int32_t n = emu.readRegister(TESSERA_EMU_NTID_X);
  int32_t base = emu.readRegister(TESSERA_EMU_CTAID_X) * n;
  storeShared(tid, static_cast<int32_t *>(args[0])[base + tid]);
  if (withBarrier)
    emu.barrier(0, -1);
  int32_t value = loadShared((tid + 1) % n);
  static_cast<int32_t *>(args[1])[base + tid] = value;
}

/// Sums a warp by butterfly shuffles.
void warpSumKernel(void *const *args) {
  int32_t tid = emu.readRegister(TESSERA_EMU_TID_X);
  int32_t value = static_cast<int32_t *>(args[0])[tid];
  for (int offset = 16; offset > 0; offset /= 2)
    value += emu.shuffle(TESSERA_EMU_SHUFFLE_BFLY, -1, value, offset, 31);
  static_cast<int32_t *>(args[1])[tid] = value;
}

void halfBarrierKernel(void *const *) {
  if (emu.readRegister(TESSERA_EMU_TID_X) < 16)
    emu.barrier(0, -1);
}

void outOfBoundsKernel(void *const *args) {
  auto *address = static_cast<int32_t *>(args[1]) + 64;
  emu.checkAccess(address, 4, TESSERA_EMU_ACCESS_WRITE);
}

void writeInputKernel(void *const *args) {
  emu.checkAccess(args[0], 4, TESSERA_EMU_ACCESS_WRITE);
}

void uninitialisedKernel(void *const *) { loadShared(3); }

/// out[tid] = the value that a shuffle of the thread ids brings.
template <int32_t kind, int32_t offset, int32_t clamp>
void shuffleKernel(void *const *args) {
  int32_t tid = emu.readRegister(TESSERA_EMU_TID_X);
  static_cast<int32_t *>(args[1])[tid] =
      emu.shuffle(kind, -1, tid, offset, clamp);
}

void shuffleWithoutSelfKernel(void *const *) {
  emu.shuffle(TESSERA_EMU_SHUFFLE_IDX, 2, 0, 1, 31);
}

/// Lanes 0 and 1 take part, lane 1 asks for lane 2.
void shuffleFromAbsentLaneKernel(void *const *) {
  int32_t tid = emu.readRegister(TESSERA_EMU_TID_X);
  if (tid < 2)
    emu.shuffle(TESSERA_EMU_SHUFFLE_DOWN, 3, tid, 1, 31);
}

/// Neighbours within a warp exchange; a warp sync orders them.
template <bool withSync> void warpExchangeKernel(void *const *args) {
  int32_t tid = emu.readRegister(TESSERA_EMU_TID_X);
  storeShared(tid, tid);
  if (withSync)
    emu.syncWarp(-1);
  static_cast<int32_t *>(args[1])[tid] = loadShared(tid ^ 1);
}

/// Row i of the left factor is i + 1 at position 3 and 0 elsewhere, row 3 of
/// the right one is 1, 2, 4, ... 128: with sums that begin at 0.5, element (i,
/// j) is (i + 1) 2^j + 0.5. Numbers are bf16, whose bits are the upper half of
/// f32's.
void productKernel(void *const *args) {
  int32_t lane = emu.readRegister(TESSERA_EMU_LANEID), g = lane / 4;
  auto bits = [](float value) {
    uint32_t word;
    std::memcpy(&word, &value, sizeof word);
    return word >> 16;
  };
  TesseraEmuFragments fragments = {{}, {}, {0.5, 0.5, 0.5, 0.5}};
  if (lane % 4 == 1) { // Holds positions 2 and 3.
    fragments.a[0] = bits(float(g + 1)) << 16;
    fragments.a[1] = bits(float(g + 9)) << 16;
    fragments.b[0] = bits(float(1 << g)) << 16;
  }
  emu.multiply(TESSERA_EMU_BF16, &fragments);
  auto *out = static_cast<float *>(args[1]);
  for (int r = 0; r < 4; ++r)
    out[(g + r / 2 * 8) * 8 + lane % 4 * 2 + r % 2] = fragments.sums[r];
}

/// The upper half of a warp does not come.
void halfProductKernel(void *const *) {
  TesseraEmuFragments fragments = {};
  if (emu.readRegister(TESSERA_EMU_TID_X) < 16)
    emu.multiply(TESSERA_EMU_F16, &fragments);
}

/// The first warp alone meets at barrier 3.
void namedBarrierKernel(void *const *args) {
  int32_t tid = emu.readRegister(TESSERA_EMU_TID_X);
  if (tid >= 32)
    return;
  storeShared(tid, tid);
  emu.barrier(3, 32);
  static_cast<int32_t *>(args[1])[tid] = loadShared(31 - tid);
}

void disagreeingBarrierKernel(void *const *) {
  int32_t tid = emu.readRegister(TESSERA_EMU_TID_X);
  emu.barrier(1, tid == 0 ? 32 : 64);
}

void absentBarrierKernel(void *const *) { emu.barrier(16, -1); }

void storeGlobal(void *const *args, int32_t index, int32_t value) {
  int32_t *address = static_cast<int32_t *>(args[1]) + index;
  emu.checkAccess(address, 4, TESSERA_EMU_ACCESS_WRITE);
  *address = value;
}

/// Two threads write the same result.
template <bool withBarrier> void doubleWriteKernel(void *const *args) {
  int32_t tid = emu.readRegister(TESSERA_EMU_TID_X);
  if (tid == 3)
    storeGlobal(args, 7, 1);
  if (withBarrier)
    emu.barrier(0, -1);
  if (tid == 5)
    storeGlobal(args, 7, 2);
}

/// Every block writes the same result.
void blocksCollideKernel(void *const *args) {
  if (emu.readRegister(TESSERA_EMU_TID_X) == 0)
    storeGlobal(args, 0, emu.readRegister(TESSERA_EMU_CTAID_X));
}

void readResultKernel(void *const *args) {
  int32_t tid = emu.readRegister(TESSERA_EMU_TID_X);
  storeGlobal(args, tid, tid);
  int32_t *neighbour = static_cast<int32_t *>(args[1]) + (tid ^ 1);
  emu.checkAccess(neighbour, 4, 0);
}

void misalignedKernel(void *const *args) {
  emu.checkAccess(static_cast<int32_t *>(args[0]) + 1, 16, 0);
}

void sharedOverflowKernel(void *const *) { storeShared(64, 0); }

void nowhereKernel(void *const *) {
  static char elsewhere[1 << 20];
  emu.checkAccess(elsewhere + (1 << 19), 4, 0);
}

void registersKernel(void *const *args) {
  if (emu.readRegister(TESSERA_EMU_TID_X) != 33)
    return;
  int32_t block = emu.readRegister(TESSERA_EMU_CTAID_X) +
                  2 * emu.readRegister(TESSERA_EMU_CTAID_Y) +
                  6 * emu.readRegister(TESSERA_EMU_CTAID_Z);
  if (block != 23)
    return;
  for (int32_t which = TESSERA_EMU_TID_X; which <= TESSERA_EMU_LANEID; ++which)
    storeGlobal(args, which, emu.readRegister(which));
}

} // namespace

TEST(BlockEmulator, NeighboursExchangeThroughSharedMemoryInEveryOrder) {
  for (ThreadOrder order :
       {ThreadOrder::Forward, ThreadOrder::Reverse, ThreadOrder::Random}) {
    SumFixture f(rotateKernel<true>, 64, 3);
    f.launch.order = order;
    EXPECT_EQ(f.run(2), "");
    for (int b = 0; b < 3; ++b)
      for (int t = 0; t < 64; ++t)
        EXPECT_EQ(f.output[b * 64 + t], f.input[b * 64 + (t + 1) % 64]);
  }
}

TEST(BlockEmulator, AWarpMultipliesItsFragments) {
  for (ThreadOrder order :
       {ThreadOrder::Forward, ThreadOrder::Reverse, ThreadOrder::Random}) {
    SumFixture f(productKernel, 128, 1);
    f.launch.threads = 32;
    f.launch.order = order;
    EXPECT_EQ(f.run(1), "");
    for (int i = 0; i < 16; ++i)
      for (int j = 0; j < 8; ++j) {
        float element;
        std::memcpy(&element, &f.output[i * 8 + j], sizeof element);
        EXPECT_EQ(element, float(i + 1) * float(1 << j) + 0.5f);
      }
  }
}

TEST(BlockEmulator, AProductOfHalfAWarpNeverEnds) {
  SumFixture f(halfProductKernel, 32, 1);
  EXPECT_NE(f.run(1).find(
                "deadlock: 0 threads wait at a barrier, 16 at a warp exchange"),
            std::string::npos);
  f.launch.threads = 24;
  EXPECT_NE(f.run(1).find("a warp of fewer than 32 threads"),
            std::string::npos);
}

TEST(BlockEmulator, AMissingBarrierIsARaceOrAnUnwrittenRead) {
  for (ThreadOrder order :
       {ThreadOrder::Forward, ThreadOrder::Reverse, ThreadOrder::Random}) {
    SumFixture f(rotateKernel<false>, 64, 1);
    f.launch.order = order;
    std::string error = f.run(1);
    EXPECT_TRUE(error.find("race") != std::string::npos ||
                error.find("nothing has written") != std::string::npos)
        << error;
  }
}

TEST(BlockEmulator, ButterflyShufflesSumAWarp) {
  SumFixture f(warpSumKernel, 64, 1);
  f.launch.order = ThreadOrder::Random;
  ASSERT_EQ(f.run(1), "");
  for (int warp = 0; warp < 2; ++warp) {
    int32_t sum = 0;
    for (int lane = 0; lane < 32; ++lane)
      sum += f.input[warp * 32 + lane];
    for (int lane = 0; lane < 32; ++lane)
      EXPECT_EQ(f.output[warp * 32 + lane], sum);
  }
}

TEST(BlockEmulator, ABarrierThatSomeThreadsSkipIsADeadlock) {
  SumFixture f(halfBarrierKernel, 32, 1);
  EXPECT_NE(f.run(1).find("16 threads wait at a barrier"), std::string::npos);
}

TEST(BlockEmulator, AWriteBehindABufferNamesTheArgument) {
  SumFixture f(outOfBoundsKernel, 64, 1);
  EXPECT_NE(f.run(1).find("offset 256 of argument 1"), std::string::npos);
}

TEST(BlockEmulator, AWriteToAnInputIsAFault) {
  SumFixture f(writeInputKernel, 1, 1);
  EXPECT_NE(f.run(1).find("read only"), std::string::npos);
}

TEST(BlockEmulator, SharedMemoryThatNobodyWroteIsAFault) {
  SumFixture f(uninitialisedKernel, 32, 1);
  EXPECT_NE(f.run(1).find("nothing has written"), std::string::npos);
}

TEST(BlockEmulator, ShufflesOfEachKindReadTheLaneThatPTXNames) {
  struct Case {
    tessera::abi::EmulatedKernel kernel;
    int32_t (*source)(int32_t lane);
  };
  const Case cases[] = {
      {shuffleKernel<TESSERA_EMU_SHUFFLE_UP, 3, 0>,
       [](int32_t lane) { return lane < 3 ? lane : lane - 3; }},
      {shuffleKernel<TESSERA_EMU_SHUFFLE_DOWN, 3, 31>,
       [](int32_t lane) { return lane + 3 > 31 ? lane : lane + 3; }},
      {shuffleKernel<TESSERA_EMU_SHUFFLE_BFLY, 5, 31>,
       [](int32_t lane) { return lane ^ 5; }},
      {shuffleKernel<TESSERA_EMU_SHUFFLE_IDX, 9, 31>,
       [](int32_t) { return 9; }},
      // Segments of eight lanes: mask 24 in bits 8 to 12.
      {shuffleKernel<TESSERA_EMU_SHUFFLE_IDX, 2, 24 << 8 | 31>,
       [](int32_t lane) { return lane / 8 * 8 + 2; }},
      {shuffleKernel<TESSERA_EMU_SHUFFLE_DOWN, 1, 24 << 8 | 31>,
       [](int32_t lane) { return lane % 8 == 7 ? lane : lane + 1; }},
  };
  for (const Case &c : cases) {
    SumFixture f(c.kernel, 64, 1);
    f.launch.order = ThreadOrder::Random;
    ASSERT_EQ(f.run(1), "");
    for (int32_t t = 0; t < 64; ++t)
      EXPECT_EQ(f.output[t], t / 32 * 32 + c.source(t % 32)) << t;
  }
}

TEST(BlockEmulator, SpecialRegistersAreTheLaunchs) {
  SumFixture f(registersKernel, 64, 1);
  f.launch.grid[0] = 2;
  f.launch.grid[1] = 3;
  f.launch.grid[2] = 4;
  ASSERT_EQ(f.run(2), "");
  std::vector<int32_t> expected = {33, 0, 0, 64, 1, 1, 1, 2, 3, 2, 3, 4, 1};
  EXPECT_EQ(std::vector<int32_t>(f.output.begin(), f.output.begin() + 13),
            expected);
}

TEST(BlockEmulator, AWarpSyncOrdersItsLanes) {
  SumFixture good(warpExchangeKernel<true>, 64, 1);
  ASSERT_EQ(good.run(1), "");
  for (int32_t t = 0; t < 64; ++t)
    EXPECT_EQ(good.output[t], t ^ 1);
  SumFixture bad(warpExchangeKernel<false>, 64, 1);
  EXPECT_NE(bad.run(1), "");
}

TEST(BlockEmulator, ANamedBarrierIsThoseThreadsAlone) {
  SumFixture f(namedBarrierKernel, 64, 1);
  ASSERT_EQ(f.run(1), "");
  for (int32_t t = 0; t < 32; ++t)
    EXPECT_EQ(f.output[t], 31 - t);
}

TEST(BlockEmulator, WrongUsesAreFaultsThatSayWhereAndWhat) {
  struct Case {
    tessera::abi::EmulatedKernel kernel;
    int blocks;
    const char *what;
  };
  const Case cases[] = {
      {shuffleWithoutSelfKernel, 1, "mask leaves out the calling lane"},
      {shuffleFromAbsentLaneKernel, 1,
       "thread 1: shuffle reads lane 2, which does not take part"},
      {disagreeingBarrierKernel, 1,
       "barrier 1 expects 64 threads here and 32 elsewhere"},
      {absentBarrierKernel, 1, "barrier 16 does not exist"},
      {doubleWriteKernel<false>, 1,
       "thread 5: race on offset 28 of argument 1: write after a write by "
       "thread 3 with no barrier between"},
      {doubleWriteKernel<true>, 1, ""},
      {blocksCollideKernel, 1, ""},
      {blocksCollideKernel, 2,
       "block (1, 0, 0), thread 0: race on offset 0 of argument 1: write after "
       "a write by thread 0 of block 0"},
      {readResultKernel, 1, "read after a write by thread"},
      {misalignedKernel, 1, "misaligned access of 16 bytes"},
      {sharedOverflowKernel, 1, "outside its 256 bytes"},
      {nowhereKernel, 1, "outside all arguments"},
      {halfBarrierKernel, 1,
       "block (0, 0, 0): deadlock: 16 threads wait at a barrier"},
  };
  for (const Case &c : cases) {
    SumFixture f(c.kernel, 64, c.blocks);
    std::string error = f.run(1);
    if (!*c.what) {
      EXPECT_EQ(error, "");
    } else {
      EXPECT_NE(error.find(c.what), std::string::npos)
          << c.what << ": " << error;
      EXPECT_NE(error.find("kernel 'test', block ("), std::string::npos)
          << error;
    }
  }
}
