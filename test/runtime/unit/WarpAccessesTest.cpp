// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the accesses of a warp cost, on patterns whose sectors are counted by
// hand.
#include "runtime/devices/emulated/BlockEmulator.h"

#include <gtest/gtest.h>

using namespace tessera::emulated;
using tessera::rt::KernelTraffic;
using tessera::rt::SectorCount;

namespace {

using Lanes = std::vector<std::vector<ThreadAccess>>;

/// One load of 4 bytes a lane, of lane l at byte begin + l * stride.
Lanes stridedLoads(int64_t begin, int64_t stride, int lanes = 32) {
  Lanes accesses(lanes);
  for (int l = 0; l < lanes; ++l)
    accesses[l].push_back({0, 0, 0, false, begin + l * stride, 4});
  return accesses;
}

SectorCount loadsOf(const Lanes &lanes) {
  KernelTraffic traffic(1);
  countWarp(lanes, traffic);
  EXPECT_EQ(traffic[0].stores.touched, 0);
  return traffic[0].loads;
}

void expectSectors(SectorCount count, int64_t touched, int64_t least) {
  EXPECT_EQ(count.touched, touched);
  EXPECT_EQ(count.least, least);
}

TEST(WarpAccessesTest, NeighboursTouchNoMoreSectorsThanTheyNeed) {
  expectSectors(loadsOf(stridedLoads(64, 4)), 4, 4);
}

TEST(WarpAccessesTest, TheOrderOfLanesDoesNotMatter) {
  expectSectors(loadsOf(stridedLoads(31 * 4, -4)), 4, 4);
}

TEST(WarpAccessesTest, NeighboursAcrossASectorsEdgeTouchOneMore) {
  expectSectors(loadsOf(stridedLoads(4, 4)), 5, 4);
}

TEST(WarpAccessesTest, LanesFarApartTouchASectorEach) {
  expectSectors(loadsOf(stridedLoads(0, 1024)), 32, 4);
}

TEST(WarpAccessesTest, LanesAtOneAddressNeedOneSector) {
  expectSectors(loadsOf(stridedLoads(8, 0)), 1, 1);
}

TEST(WarpAccessesTest, PartialWarpsNeedWhatTheirLanesDo) {
  expectSectors(loadsOf(stridedLoads(0, 4, 9)), 2, 2);
}

TEST(WarpAccessesTest, SideBySideAccessesOfABlockAreOneWideAccess) {
  Lanes lanes(32);
  for (int l = 0; l < 32; ++l)
    for (int i = 0; i < 4; ++i)
      lanes[l].push_back({i, 0, 0, false, 16 * l + 4 * i, 4});
  expectSectors(loadsOf(lanes), 16, 16);
}

TEST(WarpAccessesTest, AccessesOfTwoBlocksStayApart) {
  Lanes lanes(32);
  for (int l = 0; l < 32; ++l)
    for (int i = 0; i < 4; ++i) // Every other number: four blocks.
      lanes[l].push_back({2 * i, 0, 0, false, 16 * l + 4 * i, 4});
  expectSectors(loadsOf(lanes), 4 * 16, 4 * 4);
}

TEST(WarpAccessesTest, MisalignedRunsAreCutToWhatIsAligned) {
  Lanes lanes(32);
  for (int l = 0; l < 32; ++l) // 8 bytes aligned: two accesses of 8 bytes.
    for (int i = 0; i < 4; ++i)
      lanes[l].push_back({i, 0, 0, false, 24 * l + 4 * i, 4});
  // 32 rows of 24 bytes lie in 24 sectors, and each has a part of some row's
  // first 8 bytes, and of some row's next 8.
  expectSectors(loadsOf(lanes), 2 * 24, 2 * 8);
}

TEST(WarpAccessesTest, LanesMeetInTheSameTurnOfALoop) {
  // Lane l skips the turns before its own, as at a ragged edge. Matched by how
  // often they did it, lanes would seem to be far apart.
  Lanes lanes(32);
  for (int l = 0; l < 32; ++l)
    for (int turn = l / 8; turn < 4; ++turn)
      lanes[l].push_back({0, turn, 0, false, 1024 * turn + 4 * l, 4});
  expectSectors(loadsOf(lanes), 1 + 2 + 3 + 4, 1 + 2 + 3 + 4);
}

TEST(WarpAccessesTest, ALoopEnteredAgainIsAnotherTime) {
  Lanes lanes(32);
  for (int l = 0; l < 32; ++l)
    for (int time = 0; time < 3; ++time)
      for (int turn = 0; turn < 2; ++turn)
        lanes[l].push_back(
            {0, turn, 0, false, 4096 * time + 1024 * turn + 4 * l, 4});
  expectSectors(loadsOf(lanes), 6 * 4, 6 * 4);
}

TEST(WarpAccessesTest, LoadsAndStoresOfEachArgumentAreCountedApart) {
  Lanes lanes(32);
  for (int l = 0; l < 32; ++l) {
    lanes[l].push_back({0, 0, 0, false, 4 * l, 4});
    lanes[l].push_back({1, 0, 1, false, 32 * l, 4});
    lanes[l].push_back({2, 0, 1, true, 8 * l, 8});
  }
  KernelTraffic traffic(2);
  countWarp(lanes, traffic);
  expectSectors(traffic[0].loads, 4, 4);
  expectSectors(traffic[0].stores, 0, 0);
  expectSectors(traffic[1].loads, 32, 4);
  expectSectors(traffic[1].stores, 8, 8);
}

TEST(WarpAccessesTest, LanesOfOneSiteMayBeAtDifferentArguments) {
  Lanes lanes(32);
  for (int l = 0; l < 32; ++l)
    lanes[l].push_back({0, 0, l / 16, false, 4 * (l % 16), 4});
  KernelTraffic traffic(2);
  countWarp(lanes, traffic);
  expectSectors(traffic[0].loads, 2, 2);
  expectSectors(traffic[1].loads, 2, 2);
}

/// y[stride i] = x[i], as an emulated kernel of two blocks of 64 threads.
template <int stride> void copyKernel(void *const *args) {
  const TesseraEmuTable &emu = BlockEmulator::table();
  int32_t i = emu.readRegister(TESSERA_EMU_TID_X) +
              64 * emu.readRegister(TESSERA_EMU_CTAID_X);
  auto *from = static_cast<float *>(args[0]) + i;
  auto *to = static_cast<float *>(args[1]) + stride * i;
  emu.checkGlobalAccess(from, 4, 0, 0, 0);
  emu.checkGlobalAccess(to, 4, TESSERA_EMU_ACCESS_WRITE, 1, 0);
  *to = *from;
}

TEST(WarpAccessesTest, LaunchesAddUpTheirWarpsOnAnyNumberOfThreads) {
  for (int osThreads : {1, 3}) {
    std::vector<float> x(128, 1.0F), y(128 * 16);
    KernelTraffic traffic;
    EmulatedLaunch launch;
    launch.name = "copy";
    launch.kernel = copyKernel<16>;
    launch.grid[0] = 2;
    launch.threads = 64;
    launch.buffers = {
        {reinterpret_cast<char *>(x.data()), int64_t(x.size() * 4), false},
        {reinterpret_cast<char *>(y.data()), int64_t(y.size() * 4), true}};
    launch.traffic = &traffic;
    tessera::rt::ThreadPool pool(osThreads);
    ASSERT_EQ(runEmulated(launch, pool), "");
    ASSERT_EQ(traffic.size(), 2U);
    expectSectors(traffic[0].loads, 16, 16);
    expectSectors(traffic[1].stores, 128, 16);
  }
}

} // namespace
