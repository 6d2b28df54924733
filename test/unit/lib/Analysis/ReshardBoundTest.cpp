// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Plans between layouts of many axes: how long they take, and that they are
// good and right.
#include "test/unit/lib/Analysis/ReshardSimulation.h"

#include <ctime>
#include <random>

namespace {

/// A mesh of `count` axes of `size` devices, every other one a slow link.
Mesh makeLargeMesh(int count, int64_t size) {
  Mesh mesh;
  mesh.name = "mesh";
  for (int i = 0; i < count; ++i)
    mesh.axes.push_back({std::string(1, char('a' + i)), size,
                         i % 2 ? LinkClass::IB : LinkClass::NVLink});
  return mesh;
}

/// Each axis cuts some dimension, is partial where that is allowed, or idle.
Layout randomLayout(const Mesh &mesh, size_t rank, bool mayBePartial,
                    std::mt19937 &random) {
  Layout layout = Layout::replicated("mesh", rank);
  std::vector<MeshAxis> axes = mesh.axes;
  for (size_t i = axes.size(); i > 1; --i)
    std::swap(axes[i - 1], axes[random() % i]);
  for (const MeshAxis &axis : axes) {
    size_t place = random() % (rank + (mayBePartial ? 2 : 1));
    if (place < rank)
      layout.dims[place].axes.push_back({axis.name, 1, 0});
    else if (place > rank)
      layout.partial.push_back({axis.name, 1, 0});
  }
  std::sort(layout.partial.begin(), layout.partial.end());
  return layout;
}

/// What reducing, gathering and cutting costs, one axis at a time.
double plainCost(const Layout &from, const Layout &to,
                 const std::vector<int64_t> &shape, const Mesh &mesh) {
  double cost = 0;
  Layout at = from;
  auto bytes = [&] {
    double n = 4;
    for (int64_t size : at.localShape(shape, mesh))
      n *= double(size);
    return n;
  };
  if (!at.partial.empty())
    cost +=
        collectiveCost(CollectiveKind::AllReduce, at.partial, bytes(), mesh);
  at.partial.clear();
  for (size_t d = 0; d < shape.size(); ++d)
    while (!at.dims[d].axes.empty()) {
      cost += collectiveCost(CollectiveKind::AllGather,
                             {at.dims[d].axes.back()}, bytes(), mesh);
      at.dims[d].axes.pop_back();
    }
  for (size_t d = 0; d < shape.size(); ++d)
    for (const AxisRef &axis : to.dims[d].axes) {
      at.dims[d].axes.push_back(axis);
      cost += collectiveCost(CollectiveKind::AllSlice, {axis}, bytes(), mesh);
    }
  return cost;
}

} // namespace

// Unoptimised builds, and those with a sanitizer, are given more time.
#if !defined(__OPTIMIZE__)
constexpr bool isFast = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool isFast = false;
#else
constexpr bool isFast = true;
#endif
#else
constexpr bool isFast = true;
#endif

TEST(ReshardBound, TakesBoundedTimeAndIsNoDearerThanThePlainPlan) {
  constexpr double maxSeconds = isFast ? 0.05 : 1;
  std::mt19937 random(7);
  double worst = 0;
  for (auto [count, size, rank] :
       {std::make_tuple(8, 2, 4), {8, 2, 3}, {4, 16, 4}, {16, 2, 5}}) {
    Mesh mesh = makeLargeMesh(count, size);
    std::vector<int64_t> shape(rank, 256);
    for (int i = 0; i < 8; ++i) {
      Layout from = randomLayout(mesh, rank, i % 2, random);
      Layout to = randomLayout(mesh, rank, false, random);
      std::vector<ReshardPlan> others;
      clock_t begin = clock();
      ReshardPlan plan = planReshard(from, to, shape, 4, mesh, &others);
      worst = std::max(worst, double(clock() - begin) / CLOCKS_PER_SEC);
      EXPECT_LE(plan.nanoseconds, plainCost(from, to, shape, mesh) * 1.000001)
          << from.str() << " to " << to.str() << "\n"
          << describe(plan);
      for (const ReshardPlan &other : others)
        if (!plan.isCut)
          EXPECT_GE(other.nanoseconds, plan.nanoseconds * 0.999999)
              << from.str() << " to " << to.str();
    }
  }
  EXPECT_LT(worst, maxSeconds);
}

TEST(ReshardBound, MovesRandomLayoutsOfManyAxes) {
  std::mt19937 random(3);
  Mesh mesh = makeLargeMesh(6, 2);
  for (int i = 0; i < 100; ++i) {
    const std::vector<int64_t> shape =
        i % 2 ? std::vector<int64_t>{8, 8, 8} : std::vector<int64_t>{5, 8, 6};
    expectPlanMoves(randomLayout(mesh, 3, i % 3 == 0, random),
                    randomLayout(mesh, 3, false, random), shape, mesh);
    if (HasFatalFailure())
      return;
  }
}
