// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Digits of device numbers mean what axes mean.
#include "lib/Target/Plan/MeshDigits.h"

#include <gtest/gtest.h>
#include <numeric>

namespace tessera {
namespace {

const Mesh mesh = {"mesh", {{"a", 6}, {"b", 1}, {"c", 4}}};

TEST(MeshDigitsTest, PartsAreThoseOfTheLayout) {
  const std::vector<std::vector<AxisRef>> lists = {
      {},
      {{"a"}},
      {{"c"}},
      {{"c"}, {"a"}},
      {{"a"}, {"b"}, {"c"}},
      {{"a", 1, 2}, {"c", 2, 2}},
      {{"a", 2, 3}, {"a", 1, 2}},
      {{"c", 1, 2}, {"a", 2, 3}, {"c", 2, 2}}};
  for (const std::vector<AxisRef> &axes : lists) {
    std::vector<abi::Digit> digits = digitsOf(axes, mesh);
    for (int64_t size : {1, 5, 7, 24, 100})
      for (int64_t device = 0; device < mesh.numDevices(); ++device) {
        DimInterval expected = localInterval(size, axes, mesh, device);
        abi::Interval part = abi::intervalOf(size, digits, device);
        EXPECT_EQ(part.begin, expected.begin);
        EXPECT_EQ(part.valid, expected.valid);
        EXPECT_EQ(part.local, expected.local);
      }
  }
}

TEST(MeshDigitsTest, GroupsDifferInTheirAxesAlone) {
  using Groups = std::vector<std::vector<int32_t>>;
  const Mesh square = {"mesh", {{"x", 2}, {"y", 2}}};
  auto groups = [&](std::vector<AxisRef> axes) {
    return abi::groupsAlong(digitsOf(axes, square), 4);
  };
  EXPECT_EQ(groups({{"x"}}), (Groups{{0, 2}, {1, 3}}));
  EXPECT_EQ(groups({{"y"}}), (Groups{{0, 1}, {2, 3}}));
  EXPECT_EQ(groups({{"x"}, {"y"}}), (Groups{{0, 1, 2, 3}}));
  EXPECT_EQ(groups({{"y"}, {"x"}}), (Groups{{0, 2, 1, 3}}));
  EXPECT_EQ(groups({}), (Groups{{0}, {1}, {2}, {3}}));
}

std::vector<int64_t> targetsOf(const std::vector<abi::DigitMove> &moves,
                               int64_t count) {
  std::vector<int64_t> targets(count);
  for (int64_t device = 0; device < count; ++device)
    targets[device] = abi::targetOf(moves, device);
  return targets;
}

TEST(MeshDigitsTest, ReorderedAndShiftedDigitsAreFound) {
  const std::vector<std::vector<abi::DigitMove>> all = {
      {},
      {{{1, 4}, 1, 1}},                 // A ring along c,
      {{{4, 6}, 4, 5}},                 // one along a,
      {{{1, 4}, 6, 0}, {{4, 6}, 1, 0}}, // a and c change places,
      {{{1, 2}, 2, 0}, {{2, 2}, 1, 0}}, // or the digits of c.
  };
  for (const std::vector<abi::DigitMove> &moves : all) {
    std::vector<int64_t> targets = targetsOf(moves, mesh.numDevices());
    auto found = findMoves(targets, mesh);
    ASSERT_TRUE(found);
    EXPECT_EQ(targetsOf(*found, mesh.numDevices()), targets);
  }
}

TEST(MeshDigitsTest, OtherPermutationsHaveNoMoves) {
  std::vector<int64_t> targets(mesh.numDevices());
  std::iota(targets.begin(), targets.end(), 0);
  std::swap(targets[3], targets[17]);
  EXPECT_FALSE(findMoves(targets, mesh));
  std::swap(targets[0], targets[1]);
  EXPECT_FALSE(findMoves(targets, mesh));
}

} // namespace
} // namespace tessera
