// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/CollectiveCost.h"

#include "gtest/gtest.h"

using namespace tessera;

namespace {
const AxisRef a{"a", 1, 0}, b{"b", 1, 0};
const Mesh mesh{"mesh", {{"a", 3, LinkClass::IB}, {"b", 4, LinkClass::NVLink}}};
} // namespace

TEST(CollectiveCost, BytesAreThoseOfRingAlgorithms) {
  auto bytes = [](CollectiveKind kind, const std::vector<AxisRef> &axes) {
    return collectiveBytes(kind, axes, 1200, mesh);
  };
  EXPECT_EQ(bytes(CollectiveKind::AllSlice, {b}), 0);
  EXPECT_EQ(bytes(CollectiveKind::AllGather, {b}), 3 * 1200);
  EXPECT_EQ(bytes(CollectiveKind::AllReduce, {b}), 2 * 900);
  EXPECT_EQ(bytes(CollectiveKind::ReduceScatter, {b}), 900);
  EXPECT_EQ(bytes(CollectiveKind::AllToAll, {b}), 900);
  EXPECT_EQ(bytes(CollectiveKind::Permute, {b}), 1200);
  // A group is the product of its axes.
  EXPECT_EQ(bytes(CollectiveKind::AllReduce, {a, b}), 2 * 1100);
}

TEST(CollectiveCost, TimeIsLatencyAndBytesOverBandwidth) {
  LinkCost link = linkCost(LinkClass::NVLink);
  EXPECT_DOUBLE_EQ(collectiveCost(CollectiveKind::AllGather, {b}, 1200, mesh),
                   link.latencyNs + 3 * 1200 / link.bytesPerNs);
}

TEST(CollectiveCost, AnAllReduceIsAReduceScatterAndAnAllGather) {
  double parts =
      collectiveCost(CollectiveKind::ReduceScatter, {b}, 1200, mesh) +
      collectiveCost(CollectiveKind::AllGather, {b}, 300, mesh);
  EXPECT_DOUBLE_EQ(collectiveCost(CollectiveKind::AllReduce, {b}, 1200, mesh),
                   parts);
}

TEST(CollectiveCost, TheSlowestLinkOfAGroupCounts) {
  LinkCost link = linkCost(LinkClass::IB);
  for (const std::vector<AxisRef> &axes :
       {std::vector{a, b}, std::vector{b, a}})
    EXPECT_DOUBLE_EQ(collectiveCost(CollectiveKind::AllGather, axes, 100, mesh),
                     link.latencyNs + 11 * 100 / link.bytesPerNs);
}

TEST(CollectiveCost, ASliceCostsLessThanAnyMessage) {
  double slice = collectiveCost(CollectiveKind::AllSlice, {b}, 1000, mesh);
  EXPECT_GT(slice, 0);
  for (LinkClass link :
       {LinkClass::Shm, LinkClass::NVLink, LinkClass::PCIe, LinkClass::IB})
    EXPECT_LT(slice, linkCost(link).latencyNs);
}
