// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Interpreter/Sharding.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace tessera;
using namespace tessera::interpreter;
using Floats = std::vector<double>;
using Axes = std::vector<AxisRef>;

static const Mesh two{"m", {{"x", 2}}}, three{"m", {{"x", 3}}},
    square{"m", {{"x", 2}, {"y", 2}}}, eight{"m", {{"x", 8}}};

static Tensor make(Floats values) {
  return Tensor::fromFloats({int64_t(values.size())}, ElementKind::F32, values);
}
static Layout split(Axes axes) {
  Layout layout = Layout::replicated("m", 1);
  layout.dims[0].axes = std::move(axes);
  return layout;
}
static AxisRef axis(std::string name, int64_t pre = 1, int64_t size = 0) {
  return {std::move(name), pre, size};
}
/// Elements of a part as text; padding is "_".
static std::string text(const Tensor &part) {
  std::string result;
  for (double value : part.floats)
    result += std::isnan(value) ? "_" : std::to_string(int(value));
  return result;
}
static std::string text(const PerDevice &parts) {
  std::string result;
  for (const Tensor &part : parts)
    result += (result.empty() ? "" : " ") + text(part);
  return result;
}

TEST(Cut, PadsUnevenParts) {
  Tensor x = make({0, 1, 2, 3, 4});
  EXPECT_EQ(text(cutAll(x, split({axis("x")}), two)), "012 34_");
  EXPECT_EQ(text(cutAll(x, split({axis("x")}), three)), "01 23 4_");
}

TEST(Cut, CutsNestAxisByAxis) {
  // 5 in chunks of 3 along x, each in chunks of 2 along y.
  Tensor x = make({0, 1, 2, 3, 4});
  EXPECT_EQ(text(cutAll(x, split({axis("x"), axis("y")}), square)),
            "01 2_ 34 __");
  EXPECT_EQ(text(cutAll(x, split({axis("y"), axis("x")}), square)),
            "01 34 2_ __");
}

TEST(Cut, SubAxesTakeTheirDigit) {
  // Eight devices as 2 x 2 x 2: the middle digit alone splits.
  Tensor x = make({0, 1});
  EXPECT_EQ(text(cutAll(x, split({axis("x", 2, 2)}), eight)),
            "0 0 1 1 0 0 1 1");
  EXPECT_EQ(text(cutAll(x, split({axis("x", 1, 2)}), eight)),
            "0 0 0 0 1 1 1 1");
}

TEST(Cut, PartialTermsAddUpToTheValue) {
  Layout layout = Layout::replicated("m", 1);
  layout.partial = {axis("x")};
  Tensor x = make({5, 7});
  PerDevice terms = cutAll(x, layout, two);
  EXPECT_EQ(text(terms), "57 00");
  EXPECT_EQ(text(join(terms, layout, two, {2}).whole), "57");
}

TEST(Join, UndoesCut) {
  Tensor x = make({0, 1, 2, 3, 4});
  for (const Layout &layout :
       {split({axis("x"), axis("y")}), split({axis("y"), axis("x")}),
        split({axis("y")}), split({})}) {
    Joined joined = join(cutAll(x, layout, square), layout, square, {5});
    EXPECT_EQ(joined.error, "");
    EXPECT_EQ(joined.whole.floats, x.floats);
  }
}

TEST(Join, CombinesByTheKind) {
  Layout layout = Layout::replicated("m", 1);
  layout.partial = {axis("x")};
  layout.partialKind = ReduceKind::Max;
  EXPECT_EQ(text(join({make({1, 5}), make({3, 2})}, layout, two, {2}).whole),
            "35");
}

TEST(Join, NamesTheReplicaThatDiffers) {
  Layout layout = split({axis("x")});
  PerDevice parts = {make({1}), make({1}), make({2}), make({3})};
  EXPECT_EQ(join(parts, layout, square, {2}).error,
            "device 3 does not agree with device 2, which holds the same part: "
            "element 0 is 3.000000, expected 2.000000");
}

TEST(Join, DevicesMayDifferAlongVaryingAxes) {
  Layout layout = Layout::replicated("m", 1);
  layout.varying = {axis("x")};
  PerDevice parts = {make({1}), make({1}), make({2}), make({2})};
  Joined joined = join(parts, layout, square, {1});
  EXPECT_EQ(joined.error, "");
  EXPECT_EQ(text(joined.whole), "1");
  // Along y they are replicas.
  parts[1] = make({3});
  EXPECT_NE(join(parts, layout, square, {1}).error, "");
}

TEST(Join, IgnoresPaddingThatDiffers) {
  Layout layout = split({axis("x")});
  PerDevice parts = {make({1, 2}), make({1, 2}), make({3, 8}), make({3, 9})};
  Joined joined = join(parts, layout, square, {3});
  EXPECT_EQ(joined.error, "");
  EXPECT_EQ(text(joined.whole), "123");
}

static const PerDevice four = {make({1, 2, 3}), make({4, 5, 6}),
                               make({7, 8, 9}), make({2, 2, 2})};

TEST(Collectives, AllReduceCombinesEachGroup) {
  EXPECT_EQ(text(allReduce(ReduceKind::Sum, {make({1}), make({2})}, {axis("x")},
                           two)),
            "3 3");
  EXPECT_EQ(text(allReduce(ReduceKind::Max, four, {axis("x")}, square)),
            "789 456 789 456");
  EXPECT_EQ(text(allReduce(ReduceKind::Min, four, {axis("y")}, square)),
            "123 123 222 222");
  EXPECT_EQ(text(allReduce(ReduceKind::Prod, {make({1}), make({2}), make({4})},
                           {axis("x")}, three)),
            "8 8 8");
}

TEST(Collectives, BF16TermsAreRoundedOnce) {
  PerDevice terms;
  for (double value : {256, 1, 1})
    terms.push_back(Tensor::fromFloats({1}, ElementKind::BF16, {value}));
  EXPECT_EQ(allReduce(ReduceKind::Sum, terms, {axis("x")}, three)[2].floats,
            (Floats{258}));
}

TEST(Collectives, AllGatherJoinsInGroupOrder) {
  PerDevice chunks = {make({0, 1}), make({2, 3}), make({4, 5})};
  EXPECT_EQ(text(allGather(chunks, 0, 5, {axis("x")}, three)),
            "01234 01234 01234");
  PerDevice ones = {make({0}), make({1}), make({2}), make({3})};
  EXPECT_EQ(text(allGather(ones, 0, 4, {axis("y"), axis("x")}, square)),
            "0213 0213 0213 0213");
}

TEST(Collectives, AllSliceLeavesPaddingUnspecified) {
  Tensor x = make({0, 1, 2, 3});
  EXPECT_EQ(text(allSlice({x, x, x}, 0, {axis("x")}, three)), "01 23 __");
  Tensor y = make({0, 1, 2});
  EXPECT_EQ(text(allSlice({y, y, y, y}, 0, {axis("y")}, square)),
            "01 2_ 01 2_");
}

TEST(Collectives, AllGatherUndoesAllSlice) {
  Tensor x = make({0, 1, 2, 3, 4});
  PerDevice chunks = allSlice({x, x, x}, 0, {axis("x")}, three);
  EXPECT_EQ(text(allGather(chunks, 0, 5, {axis("x")}, three)),
            "01234 01234 01234");
}

TEST(Collectives, PermuteSendsToTargets) {
  PerDevice values = {make({0}), make({1}), make({2})};
  // Device 0 sends to 2, 1 to 0, 2 to 1.
  EXPECT_EQ(text(permute(values, {2, 0, 1})), "1 2 0");
}
