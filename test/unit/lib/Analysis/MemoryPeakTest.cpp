// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/MemoryPeak.h"

#include <gtest/gtest.h>

#include <random>

using namespace tessera;

TEST(MemoryPeak, NothingTakesNothing) {
  MemoryPeak peak = findMemoryPeak({}, 64);
  EXPECT_EQ(peak.bytes, 0);
  EXPECT_TRUE(peak.alive.empty());
}

TEST(MemoryPeak, StepsAreIncluded) {
  // The second begins at the step that reads the first for the last time.
  MemoryPeak peak = findMemoryPeak({{64, 0, 1}, {128, 1, 2}, {64, 3, 3}}, 64);
  EXPECT_EQ(peak.bytes, 192);
  EXPECT_EQ(peak.step, 1);
  EXPECT_EQ(peak.alive, (std::vector<size_t>{0, 1}));
}

TEST(MemoryPeak, SizesAreRoundedUp) {
  EXPECT_EQ(findMemoryPeak({{1, 0, 1}, {65, 0, 1}}, 64).bytes, 192);
}

TEST(MemoryPeak, TheFirstOfEqualPeaksIsNamed) {
  MemoryPeak peak = findMemoryPeak({{64, 5, 6}, {64, 1, 2}}, 64);
  EXPECT_EQ(peak.step, 1);
  EXPECT_EQ(peak.alive, (std::vector<size_t>{1}));
}

TEST(MemoryPeak, NoArenaIsSmaller) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    std::vector<ArenaRequest> requests(1 + random() % 30);
    for (ArenaRequest &request : requests) {
      request.bytes = 1 + random() % 1000;
      request.begin = random() % 20;
      request.end = request.begin + random() % 6;
    }
    MemoryPeak peak = findMemoryPeak(requests, 64);
    EXPECT_LE(peak.bytes, planArena(requests, 64).bytes);
    int64_t most = 0;
    for (int64_t step = 0; step < 30; ++step) {
      int64_t bytes = 0;
      for (const ArenaRequest &request : requests)
        if (request.begin <= step && step <= request.end)
          bytes += (request.bytes + 63) / 64 * 64;
      most = std::max(most, bytes);
    }
    EXPECT_EQ(peak.bytes, most);
  }
}
