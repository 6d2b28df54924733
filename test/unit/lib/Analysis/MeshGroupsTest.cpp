// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/MeshGroups.h"

#include "gtest/gtest.h"

using namespace tessera;

namespace {
using Groups = std::vector<std::vector<int32_t>>;
using Targets = std::vector<int64_t>;

const Mesh square{"mesh", {{"x", 2}, {"y", 2}}};
const Mesh eight{"mesh", {{"x", 8}}};
const Mesh six{"mesh", {{"x", 2}, {"y", 3}}};

AxisRef axis(const char *name, int64_t pre = 1, int64_t size = 0) {
  return {name, pre, size};
}
} // namespace

TEST(MeshGroups, HoldDevicesThatDifferInTheirDigitsAlone) {
  EXPECT_EQ(groupsAlong({axis("x")}, square), (Groups{{0, 2}, {1, 3}}));
  EXPECT_EQ(groupsAlong({axis("y")}, square), (Groups{{0, 1}, {2, 3}}));
  EXPECT_EQ(groupsAlong({axis("x"), axis("y")}, square),
            (Groups{{0, 1, 2, 3}}));
  EXPECT_EQ(groupsAlong({axis("y"), axis("x")}, square),
            (Groups{{0, 2, 1, 3}}));
  EXPECT_EQ(groupsAlong({axis("x", 2, 2)}, eight),
            (Groups{{0, 2}, {1, 3}, {4, 6}, {5, 7}}));
  EXPECT_EQ(groupsAlong({}, square), (Groups{{0}, {1}, {2}, {3}}));
}

TEST(MeshGroups, SpanTheSameDevicesInAnyOrder) {
  EXPECT_TRUE(
      spanSameDevices({axis("x"), axis("y")}, {axis("y"), axis("x")}, six));
  EXPECT_TRUE(
      spanSameDevices({axis("x")}, {axis("x", 4, 2), axis("x", 1, 4)}, eight));
  EXPECT_FALSE(spanSameDevices({axis("x")}, {axis("y")}, square));
  EXPECT_FALSE(spanSameDevices({axis("x", 1, 2)}, {axis("x", 2, 2)}, eight));
}

TEST(MeshGroups, PermutesGiveTheIndexAlongTheReceiversAxes) {
  EXPECT_EQ(
      permuteTargets({axis("x"), axis("y")}, {axis("y"), axis("x")}, square),
      (Targets{0, 2, 1, 3}));
  // Of unequal sizes too: device 1 is number 1 of (x, y), as device 3 is of
  // (y, x).
  EXPECT_EQ(permuteTargets({axis("x"), axis("y")}, {axis("y"), axis("x")}, six),
            (Targets{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(permuteTargets({axis("x", 1, 2), axis("x", 2, 2)},
                           {axis("x", 2, 2), axis("x", 1, 2)}, eight),
            (Targets{0, 1, 4, 5, 2, 3, 6, 7}));
}

TEST(MeshGroups, MovesOfDigitsSendWhereTheTargetsSay) {
  const Mesh mesh{"mesh", {{"x", 4}, {"y", 2}, {"z", 3}}};
  auto check = [&](const std::vector<AxisRef> &from,
                   const std::vector<AxisRef> &to) {
    auto moves = permuteMoves(from, to, mesh);
    ASSERT_TRUE(moves);
    Targets targets = permuteTargets(from, to, mesh);
    for (int64_t device = 0; device < mesh.numDevices(); ++device)
      EXPECT_EQ(tessera::abi::targetOf(*moves, device), targets[device]);
  };
  check({axis("x", 1, 2), axis("y")}, {axis("y"), axis("x", 1, 2)});
  check({axis("x"), axis("y")}, {axis("y"), axis("x")});
  check({axis("x", 1, 2), axis("x", 2, 2)}, {axis("x", 2, 2), axis("x", 1, 2)});
  check({axis("x"), axis("y"), axis("z")}, {axis("y"), axis("x"), axis("z")});
  EXPECT_FALSE(
      permuteMoves({axis("y"), axis("z")}, {axis("z"), axis("y")}, mesh));
}
