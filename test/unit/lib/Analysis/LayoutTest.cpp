// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/Layout.h"

#include "gtest/gtest.h"

using namespace tessera;

namespace {

Mesh mesh2x4() {
  return {"mesh", {{"x", 2, LinkClass::IB}, {"y", 4, LinkClass::NVLink}}};
}
const AxisRef x{"x", 1, 0}, y{"y", 1, 0}, yMajor{"y", 1, 2}, yMinor{"y", 2, 2};

} // namespace

TEST(Layout, IntervalsOfADimensionCoverItOnce) {
  Mesh mesh = mesh2x4();
  for (const std::vector<AxisRef> &axes :
       {std::vector<AxisRef>{}, {x}, {y}, {x, y}, {y, x}, {yMinor, x, yMajor}})
    for (int64_t size : {1, 2, 3, 5, 7, 8, 13, 16}) {
      std::vector<int> holders(size, 0);
      for (int64_t device = 0; device < mesh.numDevices(); ++device) {
        DimInterval part = localInterval(size, axes, mesh, device);
        EXPECT_LE(part.valid, part.local);
        for (int64_t i = 0; i < part.valid; ++i)
          ++holders[part.begin + i];
      }
      int64_t parts = 1;
      for (const AxisRef &axis : axes)
        parts *= axis.sizeOn(mesh);
      for (int64_t i = 0; i < size; ++i)
        EXPECT_EQ(holders[i], mesh.numDevices() / parts) << "size " << size;
    }
}

TEST(Layout, LocalShapeEqualsTheNestedCuts) {
  Mesh mesh = mesh2x4();
  for (int64_t size : {1, 5, 7, 9, 13}) {
    Layout layout = Layout::replicated("mesh", 1);
    layout.dims[0].axes = {x, y};
    EXPECT_EQ(layout.localShape({size}, mesh)[0],
              localInterval(size, {x, y}, mesh, 0).local);
  }
}

TEST(Layout, SubAxesOfOneAxisOverlapWhereTheyShareDigits) {
  Mesh mesh = mesh2x4();
  EXPECT_FALSE(yMajor.overlaps(yMinor, mesh));
  EXPECT_TRUE(yMajor.overlaps(y, mesh));
  EXPECT_TRUE(y.overlaps(yMinor, mesh));
  EXPECT_FALSE(x.overlaps(y, mesh));
}

TEST(Layout, AnAxisOfOneDeviceOverlapsItself) {
  Mesh mesh;
  mesh.axes = {{"one", 1, LinkClass::Shm}};
  EXPECT_TRUE((AxisRef{"one", 1, 0}).overlaps({"one", 1, 0}, mesh));
}

// Of six devices, [2, 3] and [3, 2] are two numberings: no device list is both
// a row of one and a column of the other.
TEST(Layout, SubAxesOfUnlikeNumberingsOverlap) {
  Mesh mesh = {"mesh", {{"z", 6, LinkClass::Shm}}};
  AxisRef half{"z", 1, 2}, minorThird{"z", 2, 3}, minorHalf{"z", 3, 2};
  EXPECT_FALSE(half.overlaps(minorThird, mesh));
  EXPECT_TRUE(half.overlaps(minorHalf, mesh));
  EXPECT_TRUE(minorHalf.overlaps(half, mesh));
}

TEST(Layout, NormaliseJoinsAdjacentSubAxes) {
  Mesh mesh = mesh2x4();
  EXPECT_EQ(normalise({yMajor, yMinor}, mesh), std::vector<AxisRef>{y});
  EXPECT_EQ(normalise({yMinor, yMajor}, mesh),
            (std::vector<AxisRef>{yMinor, yMajor}));
}

TEST(Layout, NamesTheTwoUsersOfAnAxis) {
  Layout layout = Layout::replicated("mesh", 2);
  layout.dims[0].axes = {y};
  layout.dims[1].axes = {yMinor};
  auto error = findLayoutError(layout, mesh2x4(), 2);
  ASSERT_TRUE(error);
  EXPECT_NE(error->find("dimension 0"), std::string::npos) << *error;
  EXPECT_NE(error->find("dimension 1"), std::string::npos) << *error;
}

TEST(Layout, UnknownAxesAreNamedWithTheKnownOnes) {
  auto error = findAxesError({{"tp", 1, 0}}, mesh2x4());
  ASSERT_TRUE(error);
  EXPECT_NE(error->find("'tp'"), std::string::npos);
  EXPECT_NE(error->find("'x', 'y'"), std::string::npos) << *error;
}

TEST(Layout, UnlikeNumberingsAreSaidToBeSo) {
  Mesh mesh = {"mesh", {{"z", 12, LinkClass::Shm}}};
  AxisRef half{"z", 1, 2}, minorQuarter{"z", 3, 4}, third{"z", 4, 3};
  auto error = findAxesError({half, minorQuarter}, mesh);
  ASSERT_TRUE(error);
  EXPECT_NE(error->find("number the 12 devices of axis 'z' differently"),
            std::string::npos)
      << *error;
  EXPECT_NE(error->find("such as z:(1)2 and z:(2)6"), std::string::npos);
  // A digit without a minor one is paired with the major one.
  error = findAxesError({third, half, minorQuarter}, mesh);
  ASSERT_TRUE(error);
  EXPECT_NE(error->find("such as z:(4)3 and z:(1)4"), std::string::npos)
      << *error;
}

TEST(Layout, DigitsOfOneNumberingAreSharedNotUnlike) {
  Mesh mesh = {"mesh", {{"z", 8, LinkClass::Shm}}};
  auto error = findAxesError({{"z", 1, 4}, {"z", 2, 2}}, mesh);
  ASSERT_TRUE(error);
  EXPECT_NE(error->find("overlaps"), std::string::npos) << *error;
}

TEST(Layout, SubAxesThatSpanTheirAxisAreTheAxis) {
  Layout layout = Layout::replicated("mesh", 2);
  layout.dims[0].axes = {{"x", 1, 2}, yMajor};
  layout.partial = {{"y", 1, 4}};
  Layout whole = layout.withWholeAxes(mesh2x4());
  EXPECT_EQ(whole.dims[0].axes, (std::vector<AxisRef>{x, yMajor}));
  EXPECT_EQ(whole.partial, std::vector<AxisRef>{y});
}
