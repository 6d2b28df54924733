// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/FactorAssignment.h"

#include "gtest/gtest.h"

#include <deque>

using namespace tessera;

namespace {

const Mesh mesh = {"mesh",
                   {{"x", 2, LinkClass::Shm}, {"y", 4, LinkClass::Shm}}};
const AxisRef x{"x", 1, 0}, y{"y", 1, 0}, yMajor{"y", 1, 2}, yMinor{"y", 2, 2};

/// A tensor of the given dimensions and axes a dimension, which lives on.
FactorVote vote(TensorFactors dims, std::vector<std::vector<AxisRef>> axes,
                double bytes) {
  Layout layout = Layout::replicated("mesh", dims.size());
  for (size_t d = 0; d < axes.size(); ++d)
    layout.dims[d].axes = axes[d];
  static std::deque<std::pair<TensorFactors, Layout>> tensors;
  auto &tensor = tensors.emplace_back(std::move(dims), std::move(layout));
  return {&tensor.first, &tensor.second, bytes};
}

/// `mk,kn->mn`: factors m=0, n=1, k=2, by FactorRule.str().
FactorRule product() {
  return contractionRule("mk", "kn", "mn", {8, 24}, {24, 16});
}

std::string text(const FactorAssignment &axes, const TensorFactors &dims) {
  return layoutUnder(axes, dims, mesh).str();
}

} // namespace

TEST(FactorAssignment, TheAxesOfMostBytesWin) {
  FactorRule rule = product();
  TensorFactors lhs = rule.operands[0], rhs = rule.operands[1];
  auto axes = assignFactors(
      rule, {vote(lhs, {{}, {x}}, 100), vote(rhs, {{y}, {}}, 200)}, mesh);
  EXPECT_EQ(text(axes, lhs), "[{}, {y}]");
  axes = assignFactors(
      rule, {vote(lhs, {{}, {x}}, 300), vote(rhs, {{y}, {}}, 200)}, mesh);
  EXPECT_EQ(text(axes, lhs), "[{}, {x}]");
}

TEST(FactorAssignment, BytesOfEqualChoicesAddUp) {
  FactorRule rule = elementwiseRule({8, 24}, 3);
  TensorFactors dims = rule.results[0];
  auto axes =
      assignFactors(rule,
                    {vote(dims, {{x}, {}}, 100), vote(dims, {{x}, {}}, 100),
                     vote(dims, {{y}, {}}, 150)},
                    mesh);
  EXPECT_EQ(text(axes, dims), "[{x}, {}]");
}

TEST(FactorAssignment, AnAxisSplitsOneFactor) {
  FactorRule rule = product();
  TensorFactors lhs = rule.operands[0], rhs = rule.operands[1];
  auto axes = assignFactors(
      rule, {vote(lhs, {{x}, {}}, 100), vote(rhs, {{}, {x}}, 200)}, mesh);
  EXPECT_EQ(text(axes, rule.results[0]), "[{}, {x}]");
  // Halves of an axis go to two factors, the whole and a half of it do not.
  axes = assignFactors(
      rule, {vote(lhs, {{yMinor}, {}}, 100), vote(rhs, {{}, {yMajor}}, 200)},
      mesh);
  EXPECT_EQ(text(axes, rule.results[0]), "[{y:(2)2}, {y:(1)2}]");
  axes = assignFactors(
      rule, {vote(lhs, {{y}, {}}, 100), vote(rhs, {{}, {yMajor}}, 200)}, mesh);
  EXPECT_EQ(text(axes, rule.results[0]), "[{}, {y:(1)2}]");
}

TEST(FactorAssignment, AFactorKeepsTheAxesBeforeTheTakenOne) {
  FactorRule rule = product();
  TensorFactors lhs = rule.operands[0], rhs = rule.operands[1];
  auto axes = assignFactors(
      rule, {vote(lhs, {{x, y}, {}}, 100), vote(rhs, {{}, {y}}, 200)}, mesh);
  EXPECT_EQ(text(axes, rule.results[0]), "[{x}, {y}]");
}

TEST(FactorAssignment, WhatTheOpNeedsWholeIsNotSplit) {
  FactorRule rule = elementwiseRule({8, 24}, 1);
  rule.factors[0].kind = FactorKind::Replicate;
  TensorFactors dims = rule.results[0];
  auto axes = assignFactors(rule, {vote(dims, {{x}, {y}}, 100)}, mesh);
  EXPECT_EQ(text(axes, dims), "[{}, {y}]");
}

TEST(FactorAssignment, AMinorFactorIsSplitOnlyBelowCompleteOnes) {
  FactorRule rule = reshapeRule({2, 3, 8}, {48}); // d0, d1, d2 -> d0d1d2.
  TensorFactors apart = rule.operands[0], joined = rule.results[0];
  auto split = [&](std::vector<std::vector<AxisRef>> axes) {
    return text(assignFactors(rule, {vote(apart, axes, 100)}, mesh), apart);
  };
  EXPECT_EQ(split({{x}, {}, {}}), "[{x}, {}, {}]");
  EXPECT_EQ(split({{}, {}, {y}}), "[{}, {}, {}]");
  EXPECT_EQ(split({{x}, {}, {y}}), "[{x}, {}, {}]"); // d1 is not split.
  rule = reshapeRule({2, 8}, {16});
  apart = rule.operands[0], joined = rule.results[0];
  EXPECT_EQ(split({{x}, {y}}), "[{x}, {y}]");
  EXPECT_EQ(split({{}, {y}}), "[{}, {}]");
}

TEST(FactorAssignment, SplitsOfAJoinedDimensionDivide) {
  FactorRule rule = reshapeRule({6, 5}, {30});
  auto axes =
      assignFactors(rule, {vote(rule.operands[0], {{x, y}, {}}, 100)}, mesh);
  EXPECT_EQ(text(axes, rule.operands[0]), "[{x}, {}]"); // 6 is not 8 parts.
}

TEST(FactorAssignment, AFactorThatIsNotSplitAfterAllClosesWhatItIsMajorIn) {
  FactorRule rule;
  for (int64_t size : {3, 2, 4})
    rule.addFactor("f" + std::to_string(size), size);
  rule.operands = {{{1, 2}}};     // Visited first, when f2 is still split.
  rule.results = {{{0, 1}, {2}}}; // Here f2 cannot be: f3 is not.
  TensorFactors each = {{0}, {1}, {2}};
  auto axes = assignFactors(rule, {vote(each, {{}, {x}, {y}}, 100)}, mesh);
  EXPECT_EQ(text(axes, each), "[{}, {}, {}]");
}

TEST(FactorAssignment, AViewSeesWhatFactorAxesFinds) {
  // Of one factor a dimension, of several, and one that two dimensions share.
  const std::vector<TensorFactors> tensors = {
      {{2}, {0}}, {{}, {1}}, {{0, 1}, {2}}, {{1}, {1}}};
  const std::vector<std::vector<AxisRef>> lists = {{}, {x}, {y}, {x, y}};
  FactorRule rule;
  for (int64_t size : {2, 4, 8})
    rule.addFactor("f" + std::to_string(size), size);
  FactorAxesView view; // One for all: nothing is left of the last tensor.
  for (const TensorFactors &dims : tensors)
    for (const std::vector<AxisRef> &major : lists)
      for (const std::vector<AxisRef> &minor : lists) {
        Layout layout = Layout::replicated("mesh", 2);
        layout.dims[0].axes = major;
        layout.dims[1].axes = minor;
        auto expected = factorAxes(rule, dims, layout, mesh);
        ASSERT_EQ(view.see(rule, dims, layout, mesh), expected.has_value());
        std::map<int, std::vector<AxisRef>> seen;
        for (auto [factor, axes] : view.entries())
          EXPECT_TRUE(seen.emplace(factor, *axes).second);
        EXPECT_EQ(seen, expected.value_or(decltype(seen)()));
        for (auto &[factor, axes] : seen)
          EXPECT_EQ(view.axesOf(factor), axes);
      }
}

TEST(FactorAssignment, AnAxisThatCrossesFactorsHasNoSay) {
  FactorRule rule = reshapeRule({2, 8}, {16});
  // y would split d0 in two and d1 in two.
  EXPECT_EQ(factorAxes(rule, rule.results[0],
                       *vote(rule.results[0], {{y}}, 0).layout, mesh),
            std::nullopt);
  auto axes = assignFactors(rule,
                            {vote(rule.results[0], {{y}}, 200),
                             vote(rule.operands[0], {{x}, {}}, 100)},
                            mesh);
  EXPECT_EQ(text(axes, rule.operands[0]), "[{x}, {}]");
}

TEST(FactorAssignment, ExcludedAxesSplitNothing) {
  FactorRule rule = product();
  auto axes = assignFactors(rule, {vote(rule.operands[0], {{x, y}, {}}, 100)},
                            mesh, {y});
  EXPECT_EQ(text(axes, rule.results[0]), "[{x}, {}]");
  axes = assignFactors(rule, {vote(rule.operands[0], {{yMinor}, {x}}, 100)},
                       mesh, {y});
  EXPECT_EQ(text(axes, rule.operands[0]), "[{}, {x}]");
}
