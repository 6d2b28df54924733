// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Interpreter/TensorOps.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

using namespace tessera;
using namespace tessera::interpreter;
using Ints = std::vector<int64_t>;
using Floats = std::vector<double>;

static const double infinity = std::numeric_limits<double>::infinity();

static Tensor make(Shape shape, Floats values,
                   ElementKind kind = ElementKind::F32) {
  return Tensor::fromFloats(shape, kind, values);
}
static void expectNear(const Tensor &x, const Floats &values) {
  ASSERT_EQ(x.floats.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i)
    EXPECT_NEAR(x.floats[i], values[i], 1e-6) << i;
}

TEST(Contract, MultipliesMatrices) {
  Tensor a = make({2, 3}, {1, 2, 3, 4, 5, 6});
  Tensor b = make({3, 2}, {1, 0, 2, 1, 0, 3});
  EXPECT_EQ(contract(a, b, "mk", "kn", "mn", ElementKind::F32).floats,
            (Floats{5, 11, 14, 23}));
  EXPECT_EQ(contract(a, b, "mk", "kn", "nm", ElementKind::F32).floats,
            (Floats{5, 14, 11, 23}));
}

TEST(Contract, TakesBatchesOuterProductsAndSeveralSummedLetters) {
  Tensor a = make({2, 2}, {1, 2, 3, 4}), b = make({2, 2}, {5, 6, 7, 8});
  EXPECT_EQ(contract(a, b, "bk", "bk", "b", ElementKind::F32).floats,
            (Floats{17, 53}));
  EXPECT_EQ(contract(a, b, "kl", "lk", "", ElementKind::F32).floats,
            (Floats{1 * 5 + 2 * 7 + 3 * 6 + 4 * 8}));
  Tensor u = make({2}, {1, 2}), v = make({3}, {3, 4, 5});
  EXPECT_EQ(contract(u, v, "i", "j", "ji", ElementKind::F32).floats,
            (Floats{3, 6, 4, 8, 5, 10}));
  EXPECT_EQ(contract(u, a, "b", "bk", "kb", ElementKind::F32).floats,
            (Floats{1, 6, 2, 8}));
}

TEST(Contract, RoundsOnceToTheResultType) {
  Tensor a = make({1, 3}, {256, 1, 1}, ElementKind::BF16);
  Tensor b = make({3, 1}, {1, 1, 1}, ElementKind::BF16);
  // 257 would round back to 256 at each step.
  EXPECT_EQ(contract(a, b, "mk", "kn", "mn", ElementKind::BF16).floats,
            (Floats{258}));
  EXPECT_EQ(contract(a, b, "mk", "kn", "mn", ElementKind::F32).floats,
            (Floats{258}));
  Tensor u = make({2}, {256, 1}, ElementKind::BF16);
  Tensor v = make({2}, {1, 1}, ElementKind::BF16);
  EXPECT_EQ(contract(u, v, "k", "k", "", ElementKind::BF16).floats,
            (Floats{256}));
}

TEST(Contract, IntegersWrap) {
  Tensor a = Tensor::fromInts({1, 2}, ElementKind::I32, {65536, 1});
  Tensor b = Tensor::fromInts({2, 1}, ElementKind::I32, {65536, -3});
  EXPECT_EQ(contract(a, b, "mk", "kn", "mn", ElementKind::I32).ints,
            (Ints{-3}));
}

TEST(Contract, BlocksAgreeWithThePlainSum) {
  Shape m{7, 11}, n{11, 300};
  Tensor a(m, ElementKind::F64), b(n, ElementKind::F64);
  for (int64_t i = 0; i < a.size(); ++i)
    a.floats[i] = i % 13 - 6;
  for (int64_t i = 0; i < b.size(); ++i)
    b.floats[i] = i % 17 - 8;
  Tensor c = contract(a, b, "mk", "kn", "mn", ElementKind::F64);
  for (int64_t i = 0; i < 7; ++i)
    for (int64_t j = 0; j < 300; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < 11; ++k)
        sum += a.floats[i * 11 + k] * b.floats[k * 300 + j];
      ASSERT_EQ(c.floats[i * 300 + j], sum);
    }
}

TEST(Reduce, CombinesAlongDimensions) {
  Tensor x = make({2, 3, 2}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  EXPECT_EQ(reduce(ReduceKind::Sum, x, {1}).floats, (Floats{9, 12, 27, 30}));
  EXPECT_EQ(reduce(ReduceKind::Sum, x, {0, 2}).floats, (Floats{18, 26, 34}));
  EXPECT_EQ(reduce(ReduceKind::Max, x, {0}).floats,
            (Floats{7, 8, 9, 10, 11, 12}));
  EXPECT_EQ(reduce(ReduceKind::Min, x, {0, 1, 2}).floats, (Floats{1}));
  EXPECT_EQ(reduce(ReduceKind::Prod, x, {1}).floats,
            (Floats{15, 48, 693, 960}));
  EXPECT_EQ(reduce(ReduceKind::Sum, x, {}).floats, x.floats);
}

TEST(Reduce, OverNothingGivesTheNeutralElement) {
  Tensor x = make({2, 0}, {});
  EXPECT_EQ(reduce(ReduceKind::Sum, x, {1}).floats, (Floats{0, 0}));
  EXPECT_EQ(reduce(ReduceKind::Max, x, {1}).floats,
            (Floats{-infinity, -infinity}));
  EXPECT_EQ(reduce(ReduceKind::Min, x, {1}).floats,
            (Floats{infinity, infinity}));
  EXPECT_EQ(reduce(ReduceKind::Prod, x, {1}).floats, (Floats{1, 1}));
  Tensor i({0}, ElementKind::I32), u({0}, ElementKind::UI32);
  EXPECT_EQ(reduce(ReduceKind::Max, i, {0}).ints, (Ints{-2147483648}));
  EXPECT_EQ(reduce(ReduceKind::Min, i, {0}).ints, (Ints{2147483647}));
  EXPECT_EQ(reduce(ReduceKind::Min, u, {0}).ints, (Ints{4294967295}));
}

TEST(Reduce, SumsOfBF16AreRoundedOnce) {
  Tensor x = make({3}, {256, 1, 1}, ElementKind::BF16);
  EXPECT_EQ(reduce(ReduceKind::Sum, x, {0}).floats, (Floats{258}));
}

TEST(Softmax, NormalisesAlongEitherDimension) {
  Tensor x = make({2, 2}, {0, std::log(3.0), 1000, 1000});
  expectNear(softmax(x, 1), {0.25, 0.75, 0.5, 0.5});
  Tensor y = make({2, 2}, {0, 5, std::log(3.0), 5});
  expectNear(softmax(y, 0), {0.25, 0.5, 0.75, 0.5});
}

TEST(LayerNorm, HasMeanZeroAndVarianceOneBeforeScaling) {
  Tensor x = make({1, 4}, {1, 3, 1, 3});
  Tensor scale = make({4}, {1, 2, 3, 4}), bias = make({4}, {0, 0, 1, 1});
  expectNear(layerNorm(x, scale, bias, 0), {-1, 2, -2, 5});
  // Variance 1 and epsilon 3: divided by 2.
  expectNear(layerNorm(x, scale, bias, 3), {-0.5, 1, -0.5, 3});
}

TEST(RmsNorm, DividesByTheRootMeanSquare) {
  Tensor x = make({1, 2}, {1, 7});
  expectNear(rmsNorm(x, make({2}, {5, 10}), 0), {1, 14});
}

TEST(Attention, AveragesValuesByWeights) {
  // One head; scores are 0 and ln 3, weights 1/4 and 3/4.
  Tensor q = make({1, 1, 1, 1}, {1}), k = make({1, 2, 1, 1}, {0, 2});
  Tensor v = make({1, 2, 1, 2}, {4, 0, 8, 4});
  expectNear(attention(q, k, v, nullptr, std::log(3.0) / 2, false), {7, 3});
}

TEST(Attention, GroupsOfQueryHeadsShareAKeyHead) {
  // Four query heads on two key heads that hold different values.
  Tensor q = make({1, 1, 4, 1}, {0, 0, 0, 0}), k = make({1, 1, 2, 1}, {0, 0});
  Tensor v = make({1, 1, 2, 1}, {10, 20});
  expectNear(attention(q, k, v, nullptr, 1, false), {10, 10, 20, 20});
}

TEST(Attention, CausalAlignsTheLastPositions) {
  // Two queries, three keys: the first sees two keys, the second all.
  Tensor q = make({1, 2, 1, 1}, {0, 0}), k = make({1, 3, 1, 1}, {0, 0, 0});
  Tensor v = make({1, 3, 1, 1}, {3, 6, 12});
  expectNear(attention(q, k, v, nullptr, 1, true), {4.5, 7});
}

TEST(Attention, AddsABiasThatRepeatsAndMasks) {
  Tensor q = make({1, 2, 2, 1}, {0, 0, 0, 0}), k = make({1, 2, 1, 1}, {0, 0});
  Tensor v = make({1, 2, 1, 1}, {4, 8});
  // By query position, for both heads.
  Tensor bias = make({1, 1, 2, 2}, {0, std::log(3.0), -infinity, -infinity});
  expectNear(attention(q, k, v, &bias, 1, false), {7, 7, 0, 0});
  Tensor byHead = make({1, 2, 1, 2}, {0, -infinity, -infinity, 0});
  expectNear(attention(q, k, v, &byHead, 1, false), {4, 8, 4, 8});
}

TEST(Attention, OfNoColumnsOrKeysIsAverageOrZero) {
  // Scores of no columns are equal; a query without keys gives 0.
  Tensor none = make({1, 2, 1, 0}, {}), value = make({1, 2, 1, 1}, {1, 3});
  expectNear(attention(none, none, value, nullptr, 1, false), {2, 2});
  Tensor query = make({1, 2, 1, 1}, {1, 2}), noKeys = make({1, 0, 1, 1}, {});
  expectNear(attention(query, noKeys, noKeys, nullptr, 1, true), {0, 0});
  Tensor sums = make({1, 1, 2}, {0, 0});
  for (auto of :
       {AttentionPart::Query, AttentionPart::Key, AttentionPart::Value}) {
    AttentionSums ofNoColumns = {none, none, none, sums, sums, none};
    expectNear(
        attentionGradient(of, ofNoColumns, nullptr, 1, false, ElementKind::F64),
        {});
  }
}
