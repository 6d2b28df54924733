// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Every plan is run on simulated devices that hold logical indices, or for
// partial values the terms of a sum, and must leave the right part everywhere.
#include "test/unit/lib/Analysis/ReshardSimulation.h"

namespace {

void expectAllPairsMove(const std::vector<AxisRef> &axes,
                        const std::vector<int64_t> &shape, const Mesh &mesh) {
  std::vector<Layout> layouts = allLayouts(axes, shape.size());
  for (const Layout &from : layouts)
    for (const Layout &to : layouts) {
      expectPlanMoves(from, to, shape, mesh);
      if (::testing::Test::HasFatalFailure())
        return;
    }
}

const std::vector<AxisRef> xy = {{"x", 1, 0}, {"y", 1, 0}};
const std::vector<AxisRef> subAxes = {{"y", 1, 2}, {"y", 2, 2}, {"x", 1, 0}};

} // namespace

TEST(ReshardPlanner, MovesEveryPairOfLayoutsThatDivide) {
  expectAllPairsMove(xy, {8, 16}, makeMesh({2, 2}));
  expectAllPairsMove(xy, {4, 8, 8}, makeMesh({2, 4}));
}

TEST(ReshardPlanner, MovesEveryPairOfUnevenLayouts) {
  expectAllPairsMove(xy, {5, 7}, makeMesh({2, 2}));
  expectAllPairsMove(xy, {5, 7}, makeMesh({2, 4}));
  expectAllPairsMove(xy, {7, 3}, makeMesh({3, 2}));
  expectAllPairsMove(xy, {5, 2, 3}, makeMesh({2, 2}));
}

TEST(ReshardPlanner, MovesDimensionsSmallerThanTheirAxes) {
  expectAllPairsMove(xy, {1, 3}, makeMesh({2, 4}));
}

TEST(ReshardPlanner, MovesEveryPairOfSubAxisLayouts) {
  expectAllPairsMove(subAxes, {8, 8}, makeMesh({2, 4}));
  expectAllPairsMove(subAxes, {5, 7}, makeMesh({2, 4}));
}

TEST(ReshardPlanner, MovesBetweenWholeAxesAndTheirParts) {
  Mesh mesh = makeMesh({2, 4});
  for (const std::vector<int64_t> &shape :
       {std::vector<int64_t>{8, 8}, std::vector<int64_t>{5, 2},
        std::vector<int64_t>{6, 7}})
    for (const Layout &whole : allLayouts(xy, 2))
      for (const Layout &parts : allLayouts(subAxes, 2)) {
        expectPlanMoves(whole, parts, shape, mesh);
        expectPlanMoves(parts, whole, shape, mesh);
        if (::testing::Test::HasFatalFailure())
          return;
      }
}

// An axis is one cut, its parts are several: of nine elements on four devices
// {x} gives 3, 3, 3, 0 and {x:(1)2, x:(2)2} gives 3, 2, 3, 1.
TEST(ReshardPlanner, MovesBetweenAllSpellingsOfAnUnevenCut) {
  Mesh mesh = makeMesh({8});
  const std::vector<std::vector<AxisRef>> spellings = {
      {},
      {{"x", 1, 0}},
      {{"x", 1, 4}},
      {{"x", 2, 4}},
      {{"x", 2, 2}},
      {{"x", 1, 2}, {"x", 2, 4}},
      {{"x", 1, 4}, {"x", 4, 2}},
      {{"x", 1, 2}, {"x", 2, 2}, {"x", 4, 2}},
      {{"x", 4, 2}, {"x", 1, 4}},
      {{"x", 2, 2}, {"x", 1, 2}}};
  for (int64_t size : {1, 2, 3, 5, 7, 9, 10, 12, 13, 15, 16, 17})
    for (const std::vector<AxisRef> &a : spellings)
      for (const std::vector<AxisRef> &b : spellings) {
        Layout from = Layout::replicated("mesh", 2), to = from;
        from.dims[0].axes = a;
        to.dims[0].axes = b;
        expectPlanMoves(from, to, {size, 3}, mesh);
        std::swap(from.dims[0], from.dims[1]);
        expectPlanMoves(from, to, {size, 3}, mesh);
        if (HasFatalFailure())
          return;
      }
}

TEST(ReshardPlanner, MovesBetweenUnlikeNumberingsOfAnAxis) {
  Mesh mesh = makeMesh({6, 2});
  const std::vector<AxisRef> byTwo = {{"x", 1, 2}, {"x", 2, 3}, {"y", 1, 0}};
  const std::vector<AxisRef> byThree = {{"x", 1, 3}, {"x", 3, 2}, {"y", 1, 0}};
  for (const std::vector<int64_t> &shape :
       {std::vector<int64_t>{12, 6}, std::vector<int64_t>{7, 5}})
    for (const Layout &a : allLayouts(byTwo, 2))
      for (const Layout &b : allLayouts(byThree, 2)) {
        expectPlanMoves(a, b, shape, mesh);
        expectPlanMoves(b, a, shape, mesh);
        if (HasFatalFailure())
          return;
      }
}

TEST(ReshardPlanner, ReducesAPartialValueIntoAnUnlikeNumbering) {
  Mesh mesh = makeMesh({6});
  Layout from = Layout::replicated("mesh", 1), to = from;
  const std::vector<AxisRef> byTwo = {{"x", 1, 2}, {"x", 2, 3}};
  const std::vector<AxisRef> byThree = {{"x", 1, 3}, {"x", 3, 2}};
  for (const AxisRef &a : byTwo)
    for (const AxisRef &b : byThree) {
      from.partial = {a};
      to.dims[0].axes = {b};
      expectPlanMoves(from, to, {7}, mesh);
      from.partial = {b};
      to.dims[0].axes = {a};
      expectPlanMoves(from, to, {7}, mesh);
    }
}

// Only what changes moves: the major cut along y stays as it is.
TEST(ReshardPlanner, KeepsTheMajorCutsOfAnUnevenDimension) {
  Mesh mesh = makeMesh({4, 2});
  Layout from = Layout::replicated("mesh", 1), to = from;
  from.dims[0].axes = {{"y", 1, 0}, {"x", 1, 0}};
  to.dims[0].axes = {{"y", 1, 0}, {"x", 1, 2}};
  ReshardPlan plan = planReshard(from, to, {18}, 4, mesh);
  for (const ReshardStep &step : plan.steps)
    for (const AxisRef &axis : step.axes)
      EXPECT_EQ(axis.name, "x") << describe(plan);
  expectPlanMoves(from, to, {18}, mesh);
}

TEST(ReshardPlanner, ReducesPartialValuesIntoEveryLayout) {
  for (const std::vector<int64_t> &shape :
       {std::vector<int64_t>{8, 4}, std::vector<int64_t>{5, 7}}) {
    Mesh mesh = makeMesh({2, 4});
    std::vector<Layout> layouts = allLayouts(xy, 2);
    std::vector<AxisRef> onlyX = {xy[0]}, onlyY = {xy[1]};
    for (const auto &[partial, rest] :
         {std::make_pair(onlyX, onlyY), std::make_pair(onlyY, onlyX),
          std::make_pair(xy, std::vector<AxisRef>{})})
      for (Layout from : allLayouts(rest, 2)) {
        from.partial = partial;
        for (const Layout &to : layouts)
          expectPlanMoves(from, to, shape, mesh);
      }
  }
}

TEST(ReshardPlanner, KeepsAPartialAxisThatTheGoalHasToo) {
  Mesh mesh = makeMesh({2, 2});
  Layout from = Layout::replicated("mesh", 1);
  from.partial = xy;
  Layout to = Layout::replicated("mesh", 1);
  to.partial = {xy[1]};
  ReshardPlan plan = planReshard(from, to, {8}, 4, mesh);
  ASSERT_EQ(plan.steps.size(), 1u);
  EXPECT_EQ(plan.steps[0].kind, CollectiveKind::AllReduce);
  EXPECT_EQ(plan.steps[0].axes, std::vector<AxisRef>{xy[0]});
}

TEST(ReshardPlanner, RefusesToMakeAWholeValuePartial) {
  Layout to = Layout::replicated("mesh", 1);
  to.partial = {xy[0]};
  ReshardPlan plan =
      planReshard(Layout::replicated("mesh", 1), to, {8}, 4, makeMesh({2, 2}));
  EXPECT_TRUE(std::isinf(plan.nanoseconds));
  EXPECT_TRUE(plan.steps.empty());
}

// The layouts of an XLA issue (openxla/xla 15207), where a full gather was
// made.
TEST(ReshardPlanner, MovesTwoAxesToOneDimensionWithoutAGather) {
  Mesh mesh = makeMesh({4, 2});
  Layout from = Layout::replicated("mesh", 3);
  from.dims[0].axes = {xy[1]};
  from.dims[2].axes = {xy[0]};
  Layout to = Layout::replicated("mesh", 3);
  to.dims[1].axes = xy;
  ReshardPlan plan = planReshard(from, to, {1024, 1024, 1024}, 2, mesh);
  ASSERT_EQ(plan.steps.size(), 2u) << describe(plan);
  for (const ReshardStep &step : plan.steps)
    EXPECT_EQ(step.kind, CollectiveKind::AllToAll);
}

TEST(ReshardPlanner, ScattersAReductionWhoseResultIsSplit) {
  Mesh mesh = makeMesh({4});
  Layout from = Layout::replicated("mesh", 2);
  from.partial = {xy[0]};
  Layout to = Layout::replicated("mesh", 2);
  to.dims[1].axes = {xy[0]};
  ReshardPlan plan = planReshard(from, to, {64, 64}, 4, mesh);
  ASSERT_EQ(plan.steps.size(), 1u);
  EXPECT_EQ(plan.steps[0].kind, CollectiveKind::ReduceScatter);
  EXPECT_EQ(plan.steps[0].bytes, 64 * 64 * 4 * 3 / 4);
}

TEST(ReshardPlanner, PlansNothingBetweenEqualLayouts) {
  Layout layout = Layout::replicated("mesh", 2);
  layout.dims[0].axes = xy;
  ReshardPlan plan = planReshard(layout, layout, {8, 8}, 4, makeMesh({2, 2}));
  EXPECT_TRUE(plan.steps.empty());
  EXPECT_EQ(plan.nanoseconds, 0);
}

// One exchange over both axes, not one for each digit (openxla/shardy's
// reshard_to_collectives tests have the case).
TEST(ReshardPlanner, MovesSeveralAxesAtOnce) {
  Mesh mesh = makeMesh({4, 2});
  Layout from = Layout::replicated("mesh", 3), to = from;
  from.dims[2].axes = xy;
  to.dims[1].axes = xy;
  ReshardPlan plan = planReshard(from, to, {64, 64, 64}, 4, mesh);
  ASSERT_EQ(plan.steps.size(), 1u) << describe(plan);
  EXPECT_EQ(plan.steps[0].kind, CollectiveKind::AllToAll);
  EXPECT_EQ(plan.steps[0].axes, xy);
}

TEST(ReshardPlanner, MovesPartOfAnAxis) {
  Mesh mesh = makeMesh({4});
  Layout from = Layout::replicated("mesh", 2), to = from;
  from.dims[0].axes = {{"x", 1, 0}};
  to.dims[0].axes = {{"x", 1, 2}};
  to.dims[1].axes = {{"x", 2, 2}};
  ReshardPlan plan = planReshard(from, to, {64, 64}, 4, mesh);
  ASSERT_EQ(plan.steps.size(), 1u) << describe(plan);
  EXPECT_EQ(plan.steps[0].kind, CollectiveKind::AllToAll);
  EXPECT_EQ(plan.steps[0].axes, (std::vector<AxisRef>{{"x", 2, 2}}));
}

// Of [{y, x}] and [{x}], the cuts change their order, then y is gathered.
TEST(ReshardPlanner, PermutesOnTheWayToTheGoal) {
  Mesh mesh = makeMesh({4, 2});
  Layout from = Layout::replicated("mesh", 1), to = from;
  from.dims[0].axes = {xy[1], xy[0]};
  to.dims[0].axes = {xy[0]};
  ReshardPlan plan = planReshard(from, to, {1 << 20}, 4, mesh);
  ASSERT_EQ(plan.steps.size(), 2u) << describe(plan);
  EXPECT_EQ(plan.steps[0].kind, CollectiveKind::Permute);
  EXPECT_EQ(plan.steps[1].kind, CollectiveKind::AllGather);
  expectPlanMoves(from, to, {16}, mesh);
}

TEST(ReshardPlanner, LeavesIdleAxesAlone) {
  Mesh mesh{"mesh", {{"x", 4, LinkClass::IB}, {"y", 8, LinkClass::NVLink}}};
  Layout from = Layout::replicated("mesh", 2);
  from.partial = {xy[0]};
  ReshardPlan plan =
      planReshard(from, Layout::replicated("mesh", 2), {4096, 4096}, 4, mesh);
  ASSERT_EQ(plan.steps.size(), 1u) << describe(plan);
  EXPECT_EQ(plan.steps[0].kind, CollectiveKind::AllReduce);
}

TEST(ReshardPlanner, AValueThatVariesIsMovedAlongOtherAxesOnly) {
  Mesh mesh = makeMesh({2, 4});
  Layout whole = Layout::replicated("mesh", 2), from = whole, to = whole;
  from.varying = to.varying = {xy[0]};
  from.dims[0].axes = {xy[1]};
  ReshardPlan plan = planReshard(from, to, {8, 8}, 4, mesh);
  ASSERT_EQ(plan.steps.size(), 1u) << describe(plan);
  EXPECT_EQ(plan.steps[0].kind, CollectiveKind::AllGather);
  EXPECT_EQ(plan.steps[0].axes, std::vector<AxisRef>{xy[1]});
  // To begin to vary costs what the replicated value costs.
  from = whole;
  from.dims[0].axes = {xy[0]};
  EXPECT_EQ(planReshard(from, to, {8, 8}, 4, mesh).nanoseconds,
            planReshard(from, whole, {8, 8}, 4, mesh).nanoseconds);
  EXPECT_TRUE(planReshard(whole, to, {8, 8}, 4, mesh).steps.empty());
  for (const Layout &other : {whole, from})
    EXPECT_TRUE(
        std::isinf(planReshard(to, other, {8, 8}, 4, mesh).nanoseconds));
}
