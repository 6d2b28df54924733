// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/KeptValues.h"

#include <gtest/gtest.h>

#include <random>

using namespace tessera;

/// A value that must be kept if it is needed, as an argument.
static KeepableValue input(int64_t bytes) {
  KeepableValue value;
  value.bytes = bytes;
  value.canRecompute = false;
  return value;
}

static KeepableValue computed(int64_t bytes, double work,
                              std::vector<int> operands) {
  KeepableValue value;
  value.bytes = bytes;
  value.work = work;
  value.operands = std::move(operands);
  return value;
}

/// input -> cheap and large -> dear and small -> cheap and large; both ends
/// are needed.
static KeepingProblem layer() {
  return {{input(8), computed(32, 4, {0}), computed(4, 1000, {1}),
           computed(16, 2, {2})},
          {1, 3}};
}

TEST(KeptValues, TheLeastIsWhatAllElseFollowsFrom) {
  KeepingChoice least = keepLeast(layer());
  EXPECT_EQ(least.bytes, 8);
  EXPECT_EQ(least.isKept, (std::vector<bool>{true, false, false, false}));
  EXPECT_EQ(least.work, 1006);
}

TEST(KeptValues, ABudgetBelowTheLeastIsMetByNothing) {
  EXPECT_FALSE(keepWithin(layer(), 7).has_value());
  EXPECT_EQ(keepWithin(layer(), 8)->work, 1006);
}

TEST(KeptValues, DearValuesAreKeptFirst) {
  // The input and the small one; the large ones follow from these.
  std::optional<KeepingChoice> choice = keepWithin(layer(), 15);
  EXPECT_EQ(choice->isKept, (std::vector<bool>{true, false, true, false}));
  EXPECT_EQ(choice->bytes, 12);
  EXPECT_EQ(choice->work, 6);
}

TEST(KeptValues, WithEnoughNothingIsComputedAgain) {
  std::optional<KeepingChoice> choice = keepWithin(layer(), 48);
  EXPECT_EQ(choice->work, 0);
  EXPECT_EQ(choice->isKept, (std::vector<bool>{false, true, false, true}));
}

TEST(KeptValues, AValueStandsForItsInputs) {
  // Keeping the sum of two inputs takes less than keeping them.
  KeepingProblem problem{
      {input(10), input(10), computed(10, 1, {0, 1}), computed(10, 1, {2})},
      {3}};
  EXPECT_EQ(keepLeast(problem).bytes, 10);
  EXPECT_EQ(keepWithin(problem, 10)->work, 0);
}

TEST(KeptValues, WhatCannotBeKeptIsComputedAgain) {
  KeepingProblem problem{{input(8), computed(1, 5, {0})}, {1}};
  problem.values[1].canKeep = false;
  EXPECT_FALSE(keepWithin(problem, 7).has_value());
  EXPECT_EQ(keepWithin(problem, 100)->work, 5);
}

TEST(KeptValues, NothingIsNeeded) {
  std::optional<KeepingChoice> choice = keepWithin({{input(8)}, {}}, 0);
  EXPECT_EQ(choice->bytes, 0);
  EXPECT_EQ(choice->isKept, (std::vector<bool>{false}));
}

TEST(KeptValues, ThingsOfAKnapsackAreChosenExactly) {
  // By work per byte the first is best, and leaves no room for the other two.
  KeepingProblem problem{{input(0), computed(6, 66, {0}), computed(5, 50, {0}),
                          computed(5, 50, {0})},
                         {1, 2, 3}};
  std::optional<KeepingChoice> choice = keepWithin(problem, 10);
  EXPECT_EQ(choice->work, 66);
  EXPECT_EQ(choice->bytes, 10);
}

/// Bytes and work of keeping the values in `mask` of those that are needed.
static std::pair<int64_t, double> follow(const KeepingProblem &problem,
                                         unsigned mask) {
  int64_t bytes = 0;
  double work = 0;
  std::vector<bool> seen(problem.values.size());
  std::vector<int> worklist = problem.needed;
  while (!worklist.empty()) {
    int number = worklist.back();
    worklist.pop_back();
    if (seen[number])
      continue;
    seen[number] = true;
    const KeepableValue &value = problem.values[number];
    bool isKept = mask >> number & 1;
    if (!(isKept ? value.canKeep : value.canRecompute))
      return {-1, 0};
    if (isKept) {
      bytes += value.bytes;
      continue;
    }
    work += value.work;
    worklist.insert(worklist.end(), value.operands.begin(),
                    value.operands.end());
  }
  return {bytes, work};
}

static KeepingProblem randomProblem(std::mt19937 &random) {
  KeepingProblem problem;
  int inputs = 1 + random() % 3, count = inputs + 1 + random() % 8;
  for (int v = 0; v < count; ++v) {
    if (v < inputs) {
      problem.values.push_back(input(random() % 12));
      continue;
    }
    std::vector<int> operands;
    for (int k = 1 + random() % 3; k > 0; --k)
      operands.push_back(random() % v);
    problem.values.push_back(
        computed(random() % 12, random() % 30, std::move(operands)));
    if (random() % 6 == 0)
      problem.values.back().canKeep = false;
    else if (random() % 8 == 0)
      problem.values.back().canRecompute = false;
  }
  for (int k = 1 + random() % 3; k > 0; --k)
    problem.needed.push_back(random() % count);
  return problem;
}

TEST(KeptValues, ChoicesAreThoseOfTryingAll) {
  std::mt19937 random(1);
  int met = 0;
  for (int round = 0; round < 3000; ++round) {
    KeepingProblem problem = randomProblem(random);
    int64_t budget = random() % 40, least = 1 << 20;
    double wanted = -1;
    for (unsigned mask = 0; mask < 1u << problem.values.size(); ++mask) {
      auto [bytes, work] = follow(problem, mask);
      if (bytes < 0)
        continue;
      least = std::min(least, bytes);
      if (bytes <= budget && (wanted < 0 || work < wanted))
        wanted = work;
    }
    EXPECT_EQ(keepLeast(problem).bytes, least) << "round " << round;
    std::optional<KeepingChoice> choice =
        keepWithin(problem, budget, /*maxBranches=*/1 << 20);
    ASSERT_EQ(choice.has_value(), least <= budget) << "round " << round;
    if (!choice)
      continue;
    ++met;
    EXPECT_EQ(choice->work, wanted) << "round " << round;
    EXPECT_LE(choice->bytes, budget) << "round " << round;
    unsigned mask = 0;
    for (size_t v = 0; v < problem.values.size(); ++v)
      mask |= unsigned(choice->isKept[v]) << v;
    EXPECT_EQ(follow(problem, mask),
              std::make_pair(choice->bytes, choice->work));
  }
  EXPECT_GT(met, 1000);
}

TEST(KeptValues, LargeProblemsEndEarlyWithAChoiceThatFits) {
  std::mt19937 random(2);
  KeepingProblem problem{{input(64)}, {}};
  for (int v = 1; v <= 3000; ++v) {
    problem.values.push_back(computed(1 + random() % 1000,
                                      1 + random() % 100000,
                                      {static_cast<int>(random() % v)}));
    if (random() % 2)
      problem.needed.push_back(v);
  }
  std::optional<KeepingChoice> choice =
      keepWithin(problem, 100000, /*maxBranches=*/4);
  ASSERT_TRUE(choice.has_value());
  EXPECT_LE(choice->bytes, 100000);
  // What is left is smaller than any value that would fit.
  EXPECT_GT(choice->bytes, 99000);
  EXPECT_LT(choice->work, keepLeast(problem).work);
}
