// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/FactorRule.h"

#include <gtest/gtest.h>

#include <map>

using namespace tessera;

using Shape = std::vector<int64_t>;

static std::string reshape(const Shape &from, const Shape &to) {
  return reshapeRule(from, to).str();
}

TEST(ReshapeRule, SplitsADimensionIntoItsParts) {
  EXPECT_EQ(reshape({6}, {2, 3}), "([d0d1])->([d0,d1]) {d0=2,d1=3}");
}

TEST(ReshapeRule, JoinsDimensions) {
  EXPECT_EQ(reshape({2, 3}, {6}), "([d0,d1])->([d0d1]) {d0=2,d1=3}");
  EXPECT_EQ(reshape({2, 3, 5}, {6, 5}),
            "([d0,d1,d2])->([d0d1,d2]) {d0=2,d1=3,d2=5}");
  EXPECT_EQ(reshape({7, 2}, {14}), "([d0,d1])->([d0d1]) {d0=7,d1=2}");
}

TEST(ReshapeRule, MovesAFactorAcrossABoundary) {
  EXPECT_EQ(reshape({4, 6}, {8, 3}),
            "([d0,d1d2])->([d0d1,d2]) {d0=4,d1=2,d2=3}");
}

TEST(ReshapeRule, SkipsDimensionsOfSizeOne) {
  EXPECT_EQ(reshape({1, 6, 1}, {2, 1, 3}),
            "([*,d0d1,*])->([d0,*,d1]) {d0=2,d1=3}");
  EXPECT_EQ(reshape({}, {1, 1}), "([])->([*,*]) {}");
}

TEST(ReshapeRule, KeepsWholeWhatHasNoCommonFactor) {
  EXPECT_EQ(reshape({5, 7}, {7, 5}),
            "([r0,r2])->([r1,r3]) {r0=5,r1=7,r2=7,r3=5} "
            "replicate={r0,r1,r2,r3}");
}

TEST(ReshapeRule, TakesTheCommonMajorPartOfUnlikeDimensions) {
  EXPECT_EQ(reshape({6, 4}, {4, 6}),
            "([d0r1,r4])->([d0r2,r3]) {d0=2,r1=3,r2=2,r3=6,r4=4} "
            "replicate={r1,r2,r3,r4}");
}

TEST(ReshapeRule, GoesOnAfterARunThatIsWhole) {
  EXPECT_EQ(reshape({5, 7, 3}, {7, 5, 3}),
            "([r0,r2,d4])->([r1,r3,d4]) {r0=5,r1=7,r2=7,r3=5,d4=3} "
            "replicate={r0,r1,r2,r3}");
}

TEST(ReshapeRule, AnEmptyTensorHasNoFactors) {
  EXPECT_EQ(reshape({0, 3}, {5, 0}), "([*,*])->([*,*]) {}");
}

/// Digit of every factor at element number `element` of a tensor.
static std::map<int, int64_t> digitsOf(const FactorRule &rule,
                                       const TensorFactors &dims,
                                       const Shape &shape, int64_t element) {
  std::map<int, int64_t> digits;
  for (size_t d = shape.size(); d-- > 0;) {
    int64_t index = element % shape[d];
    element /= shape[d];
    for (size_t f = dims[d].size(); f-- > 0;) {
      int64_t size = rule.factors[dims[d][f]].size;
      digits[dims[d][f]] = index % size;
      index /= size;
    }
  }
  return digits;
}

static void listShapes(int64_t elements, size_t rank, Shape &prefix,
                       std::vector<Shape> &shapes) {
  if (elements == 1)
    shapes.push_back(prefix);
  if (rank == 0)
    return;
  for (int64_t size = 1; size <= elements; ++size) {
    if (elements % size != 0)
      continue;
    prefix.push_back(size);
    listShapes(elements / size, rank - 1, prefix, shapes);
    prefix.pop_back();
  }
}

TEST(ReshapeRule, SharedFactorsAreTheSameDigitOfEveryElement) {
  for (int64_t elements : {12, 30, 36, 48}) {
    std::vector<Shape> shapes;
    Shape prefix;
    listShapes(elements, 3, prefix, shapes);
    for (const Shape &from : shapes)
      for (const Shape &to : shapes) {
        FactorRule rule = reshapeRule(from, to);
        ASSERT_EQ(rule.verify({from}, {to}), "") << rule.str();
        for (int64_t element = 0; element < elements; ++element) {
          auto in = digitsOf(rule, rule.operands[0], from, element);
          auto out = digitsOf(rule, rule.results[0], to, element);
          for (auto [factor, digit] : in)
            if (out.count(factor))
              ASSERT_EQ(digit, out[factor]) << rule.str();
            else
              ASSERT_EQ(rule.factors[factor].kind, FactorKind::Replicate)
                  << rule.str();
        }
      }
  }
}

TEST(ContractionRule, ReducesLettersAbsentFromTheResult) {
  FactorRule rule = contractionRule("bmk", "kn", "bmn", {2, 3, 5}, {5, 7});
  EXPECT_EQ(rule.str(),
            "([b,m,k],[k,n])->([b,m,n]) {b=2,m=3,k=5,n=7} reduce={k}");
  EXPECT_EQ(rule.verify({{2, 3, 5}, {5, 7}}, {{2, 3, 7}}), "");
}

TEST(FactorRule, VerifyNamesTheDimensionThatDoesNotFit) {
  FactorRule rule = elementwiseRule({2, 3}, 2);
  EXPECT_EQ(rule.verify({{2, 3}, {2, 5}}, {{2, 3}}),
            "factors of operand 1 dimension 1 multiply to 3, the dimension "
            "has 5");
  EXPECT_EQ(rule.verify({{2, 3}}, {{2, 3}}),
            "rule has 2 operands, the op has 1");
  EXPECT_EQ(rule.verify({{2, 3}, {2}}, {{2, 3}}),
            "rank of operand 1 is 1, its rule has 2");
}
