// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/BufferSharing.h"

#include <gtest/gtest.h>
#include <random>

namespace tessera {
namespace {

TEST(BufferSharingTest, ValuesThatLiveAtOnceAreApart) {
  BufferSharing sharing;
  int a = sharing.add({0, 4}), b = sharing.add({2, 6}), c = sharing.add({5, 9});
  EXPECT_FALSE(sharing.join(a, b));
  EXPECT_TRUE(sharing.join(a, c));
  EXPECT_TRUE(sharing.isTogether(a, c));
  // b meets c, which is where a is.
  EXPECT_FALSE(sharing.join(b, a));
  EXPECT_FALSE(sharing.isTogether(a, b));
}

TEST(BufferSharingTest, AStepWritesOverItsOperandOnlyWhereItMay) {
  BufferSharing sharing;
  int a = sharing.add({0, 4}), b = sharing.add({4, 6});
  EXPECT_FALSE(sharing.join(a, b));
  sharing.allowInPlace(a, b);
  EXPECT_TRUE(sharing.join(b, a));
  // Both are read by step 6, which may write over one of them.
  int c = sharing.add({6, 8}), d = sharing.add({2, 6});
  sharing.allowInPlace(b, c);
  EXPECT_TRUE(sharing.join(a, c));
  EXPECT_FALSE(sharing.join(d, c));
}

TEST(BufferSharingTest, MemoryThatIsReadOnlyTakesNothing) {
  BufferSharing sharing;
  int input = sharing.add({0, 3}, /*isWritable=*/false);
  int next = sharing.add({5, 6});
  EXPECT_FALSE(sharing.join(input, next));
  EXPECT_TRUE(sharing.join(input, input));
}

TEST(BufferSharingTest, SetsAreJoinedWhereNoTwoOfTheirValuesMeet) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    BufferSharing sharing;
    std::vector<LiveRange> ranges;
    std::vector<int> set;
    std::set<std::pair<int, int>> inPlace;
    for (int i = 0; i < 20; ++i) {
      int64_t begin = random() % 30;
      ranges.push_back({begin, begin + static_cast<int64_t>(random() % 6)});
      set.push_back(sharing.add(ranges.back()));
    }
    for (int i = 0; i < 60; ++i) {
      int a = random() % 20, b = random() % 20;
      inPlace.insert({a, b});
      sharing.allowInPlace(a, b);
    }
    auto meets = [&](int a, int b) {
      if (ranges[a].end < ranges[b].begin || ranges[b].end < ranges[a].begin)
        return false;
      return !(ranges[a].end == ranges[b].begin && inPlace.count({a, b})) &&
             !(ranges[b].end == ranges[a].begin && inPlace.count({b, a}));
    };
    for (int i = 0; i < 60; ++i) {
      int a = random() % 20, b = random() % 20;
      bool expected = true;
      for (int x = 0; x < 20; ++x)
        for (int y = 0; y < 20; ++y)
          if (set[x] == set[a] && set[y] == set[b] && set[a] != set[b])
            expected &= !meets(x, y);
      EXPECT_EQ(sharing.join(a, b), expected);
      if (expected) {
        int from = set[a], to = set[b];
        for (int &each : set)
          each = each == from ? to : each;
      }
      for (int x = 0; x < 20; ++x)
        EXPECT_EQ(sharing.isTogether(x, a), set[x] == set[a]);
    }
  }
}

} // namespace
} // namespace tessera
