// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/ShortList.h"

#include "gtest/gtest.h"

#include <vector>

using namespace tessera;

namespace {

using List = ShortList<int, 2>;

List upTo(int count) {
  List list;
  for (int i = 0; i < count; ++i)
    list.push_back(i);
  return list;
}

std::vector<int> elements(const List &list) {
  return std::vector<int>(list.begin(), list.end());
}

} // namespace

TEST(ShortList, HoldsWhatIsPutIntoIt) {
  EXPECT_TRUE(List().empty());
  EXPECT_EQ(elements({4, 2, 7}), (std::vector<int>{4, 2, 7}));
  List list = upTo(100);
  ASSERT_EQ(list.size(), 100u);
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(list[i], i);
  EXPECT_EQ(list.front(), 0);
  EXPECT_EQ(list.back(), 99);
}

TEST(ShortList, CopiesAreOnTheirOwn) {
  for (int count : {0, 1, 2, 3, 9}) {
    List list = upTo(count), copy = list;
    copy.push_back(-1);
    EXPECT_EQ(list, upTo(count));
    EXPECT_EQ(copy.size(), count + 1u);
    EXPECT_EQ(copy.back(), -1);
  }
}

TEST(ShortList, AssignmentReplacesLongByShortAndShortByLong) {
  for (int from : {0, 1, 2, 3, 9})
    for (int to : {0, 1, 2, 3, 9}) {
      List source = upTo(from), target = upTo(to);
      target = source;
      EXPECT_EQ(target, source);
      target.push_back(5);
      target.clear();
      EXPECT_TRUE(target.empty());
      target = std::move(source);
      EXPECT_EQ(target, upTo(from));
    }
}

TEST(ShortList, WhatWasMovedFromIsEmptyAndUsable) {
  List list = upTo(9), other = std::move(list);
  EXPECT_TRUE(list.empty());
  for (int i = 0; i < 9; ++i)
    list.push_back(i);
  EXPECT_EQ(list, other);
}
