// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/ArenaPlanner.h"

#include <gtest/gtest.h>

#include <ctime>
#include <random>

using namespace tessera;

TEST(ArenaPlanner, BuffersThatNeverMeetShareMemory) {
  ArenaPlan plan = planArena({{100, 0, 1}, {60, 2, 3}}, 64);
  EXPECT_EQ(plan.offsets, (std::vector<int64_t>{0, 0}));
  EXPECT_EQ(plan.bytes, 128);
}

TEST(ArenaPlanner, BuffersOfOneStepLieApart) {
  ArenaPlan plan = planArena({{60, 0, 1}, {100, 1, 2}}, 64);
  EXPECT_EQ(plan.offsets, (std::vector<int64_t>{128, 0}));
  EXPECT_EQ(plan.bytes, 192);
}

TEST(ArenaPlanner, SmallBuffersFillGaps) {
  // The second leaves a hole of 256 bytes at steps 2 and 3 below the third.
  ArenaPlan plan =
      planArena({{512, 0, 3}, {256, 0, 1}, {256, 1, 3}, {128, 2, 3}}, 64);
  EXPECT_EQ(plan.offsets[3], 512);
  EXPECT_EQ(plan.bytes, 1024);
}

TEST(ArenaPlanner, NoRequestsTakeNoMemory) {
  EXPECT_EQ(planArena({}, 64).bytes, 0);
}

TEST(ArenaPlanner, LongChainsArePlannedInTimeLinearInTheirLength) {
  // Comparing all pairs would take minutes.
  std::vector<ArenaRequest> requests(400000);
  for (size_t i = 0; i < requests.size(); ++i)
    requests[i] = {64 * (1 + int64_t(i) % 7), int64_t(i), int64_t(i) + 1};
  std::clock_t begin = std::clock();
  ArenaPlan plan = planArena(requests, 64);
  double seconds = double(std::clock() - begin) / CLOCKS_PER_SEC;
  EXPECT_LT(seconds, 10);
  EXPECT_LE(plan.bytes, 64 * 14);
}

TEST(ArenaPlanner, BuffersThatMeetNeverOverlap) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<ArenaRequest> requests(20);
    for (ArenaRequest &request : requests) {
      request.bytes = random() % 1000;
      request.begin = random() % 20;
      request.end = request.begin + random() % 5;
    }
    ArenaPlan plan = planArena(requests, 64);
    for (size_t a = 0; a < requests.size(); ++a) {
      EXPECT_EQ(plan.offsets[a] % 64, 0);
      EXPECT_LE(plan.offsets[a] + requests[a].bytes, plan.bytes);
      for (size_t b = 0; b < a; ++b) {
        if (requests[a].begin > requests[b].end ||
            requests[b].begin > requests[a].end)
          continue;
        EXPECT_TRUE(plan.offsets[a] + requests[a].bytes <= plan.offsets[b] ||
                    plan.offsets[b] + requests[b].bytes <= plan.offsets[a]);
      }
    }
  }
}
