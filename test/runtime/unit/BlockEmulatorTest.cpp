// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Kernels written against the emulator's table by hand: right ones run in every
// order of threads, wrong ones are caught.
#include "runtime/devices/emulated/BlockEmulator.h"

#include <gtest/gtest.h>

using namespace tessera::emulated;

namespace {

const TesseraEmuTable &emu = BlockEmulator::table();

struct SumFixture {
  std::vector<int32_t> input, output;
  EmulatedLaunch launch;

  SumFixture(EmulatedKernel kernel, int threads, int blocks) {
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

} // namespace

TEST(BlockEmulator, NeighboursExchangeThroughSharedMemoryInEveryOrder) {
  for (ThreadOrder order :
       {ThreadOrder::Forward, ThreadOrder::Reverse, ThreadOrder::Random}) {
    SumFixture f(rotateKernel<true>, 64, 3);
    f.launch.order = order;
    EXPECT_EQ(runEmulated(f.launch, 2), "");
    for (int b = 0; b < 3; ++b)
      for (int t = 0; t < 64; ++t)
        EXPECT_EQ(f.output[b * 64 + t], f.input[b * 64 + (t + 1) % 64]);
  }
}

TEST(BlockEmulator, AMissingBarrierIsARaceOrAnUnwrittenRead) {
  for (ThreadOrder order :
       {ThreadOrder::Forward, ThreadOrder::Reverse, ThreadOrder::Random}) {
    SumFixture f(rotateKernel<false>, 64, 1);
    f.launch.order = order;
    std::string error = runEmulated(f.launch, 1);
    EXPECT_TRUE(error.find("race") != std::string::npos ||
                error.find("nothing has written") != std::string::npos)
        << error;
  }
}

TEST(BlockEmulator, ButterflyShufflesSumAWarp) {
  SumFixture f(warpSumKernel, 64, 1);
  f.launch.order = ThreadOrder::Random;
  ASSERT_EQ(runEmulated(f.launch, 1), "");
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
  EXPECT_NE(runEmulated(f.launch, 1).find("16 threads wait at a barrier"),
            std::string::npos);
}

TEST(BlockEmulator, AWriteBehindABufferNamesTheArgument) {
  SumFixture f(outOfBoundsKernel, 64, 1);
  EXPECT_NE(runEmulated(f.launch, 1).find("offset 256 of argument 1"),
            std::string::npos);
}

TEST(BlockEmulator, AWriteToAnInputIsAFault) {
  SumFixture f(writeInputKernel, 1, 1);
  EXPECT_NE(runEmulated(f.launch, 1).find("read only"), std::string::npos);
}

TEST(BlockEmulator, SharedMemoryThatNobodyWroteIsAFault) {
  SumFixture f(uninitialisedKernel, 32, 1);
  EXPECT_NE(runEmulated(f.launch, 1).find("nothing has written"),
            std::string::npos);
}
