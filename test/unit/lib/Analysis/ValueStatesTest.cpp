// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/ValueStates.h"

#include "gtest/gtest.h"

using namespace tessera;
using Axes = std::vector<AxisRef>;

namespace {

const Mesh mesh = {"mesh", {{"x", 8}, {"y", 2}}};
const AxisRef x{"x"}, y{"y"}, major{"x", 1, 2}, middle{"x", 2, 2},
    twoMajor{"x", 1, 4}, twoMinor{"x", 2, 4};

Layout varying(Axes axes) {
  Layout layout = Layout::replicated("mesh", 1);
  layout.varying = std::move(axes);
  return layout;
}

} // namespace

TEST(ValueStates, AResultVariesAlongWhatAnyOperandDoes) {
  EXPECT_EQ(joinVarying({y}, {x}, mesh), (Axes{x, y}));
  EXPECT_EQ(joinVarying({x, y}, {y}, mesh), (Axes{x, y}));
  EXPECT_EQ(joinVarying({}, {major}, mesh), Axes{major});
}

TEST(ValueStates, TheLargerOfTwoNestedAxesStandsForBoth) {
  EXPECT_EQ(joinVarying({x}, {major}, mesh), Axes{x});
  EXPECT_EQ(joinVarying({major, y}, {x}, mesh), (Axes{x, y}));
  EXPECT_EQ(joinVarying({middle}, {twoMajor}, mesh), Axes{twoMajor});
}

TEST(ValueStates, TheWholeAxisStandsForDigitsThatOverlapInPart) {
  EXPECT_EQ(joinVarying({twoMajor}, {twoMinor}, mesh), Axes{x});
  EXPECT_EQ(joinVarying({major, y}, {}, mesh), (Axes{major, y}));
}

TEST(ValueStates, OrderAndFormDoNotMatter) {
  EXPECT_TRUE(isSameVarying({x, y}, {y, x}, mesh));
  EXPECT_TRUE(isSameVarying({{"y", 1, 2}}, {y}, mesh));
  EXPECT_TRUE(isSameVarying({major, middle}, {twoMajor}, mesh));
  EXPECT_FALSE(isSameVarying({x}, {major}, mesh));
}

TEST(ValueStates, AValueThatVariesStaysSo) {
  EXPECT_EQ(findLostVarying(varying({x}), varying({})), x);
  EXPECT_EQ(findLostVarying(varying({x, y}), varying({x})), y);
  EXPECT_EQ(findLostVarying(varying({major}), varying({x})), std::nullopt);
  EXPECT_EQ(findLostVarying(varying({x}), varying({major})), x);
  EXPECT_EQ(findLostVarying(varying({}), varying({x})), std::nullopt);
}
