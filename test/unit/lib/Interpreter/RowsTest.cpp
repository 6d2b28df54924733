// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Interpreter/TensorOps.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

using namespace tessera;
using namespace tessera::interpreter;
using Floats = std::vector<double>;

static const double infinity = std::numeric_limits<double>::infinity();

static Tensor make(Shape shape, Floats values,
                   ElementKind kind = ElementKind::F64) {
  return Tensor::fromFloats(shape, kind, values);
}
static void expectNear(const Tensor &x, const Floats &values) {
  ASSERT_EQ(x.floats.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i)
    EXPECT_NEAR(x.floats[i], values[i], 1e-12) << i;
}

TEST(LogSumExp, AddsExponentialsAlongEitherDimension) {
  double ln3 = std::log(3.0);
  Tensor x = make({2, 3}, {0, 0, 0, ln3, ln3, 1000});
  expectNear(logSumExp(x, 1, ElementKind::F64), {ln3, 1000});
  expectNear(logSumExp(x, 0, ElementKind::F64),
             {std::log(4.0), std::log(4.0), 1000});
}

TEST(LogSumExp, IsInfiniteWhereTheLargestElementIs) {
  Tensor x = make({3, 2}, {-infinity, -infinity, infinity, 0, -infinity, 2});
  Tensor y = logSumExp(x, 1, ElementKind::F64);
  EXPECT_EQ(y.floats, (Floats{-infinity, infinity, 2}));
}

TEST(LogSumExp, OfNothingIsMinusInfinity) {
  Tensor y = logSumExp(make({2, 0, 2}, {}), 1, ElementKind::F64);
  EXPECT_EQ(y.floats, Floats(4, -infinity));
}

TEST(CrossEntropy, IsTheNegatedLogarithmOfTheSoftmax) {
  Tensor x = make({2, 2}, {0, std::log(3.0), 1e6, 1e6});
  Tensor labels = Tensor::fromInts({2}, ElementKind::I32, {1, 0});
  expectNear(crossEntropy(x, labels, {}, ElementKind::F64),
             {std::log(4.0 / 3), std::log(2.0)});
}

TEST(CrossEntropy, SharesAPartAmongAllClasses) {
  Tensor x = make({1, 2}, {1, 3});
  Tensor labels = Tensor::fromInts({1}, ElementKind::I64, {1});
  double lse = 3 + std::log1p(std::exp(-2.0));
  CrossEntropyOptions options;
  options.smoothing = 0.5;
  options.zLoss = 2;
  expectNear(crossEntropy(x, labels, options, ElementKind::F64),
             {lse - 0.75 * 3 - 0.25 * 1 + 2 * lse * lse});
}

TEST(CrossEntropy, KnowsIgnoredLabelsAndThoseThatAreNoClass) {
  Tensor x = make({3, 2}, {1, 3, infinity, 0, 1, 3});
  Tensor labels = Tensor::fromInts({3}, ElementKind::I32, {2, 0, -1});
  CrossEntropyOptions options;
  options.ignore = 0;
  Tensor y = crossEntropy(x, labels, options, ElementKind::F64);
  EXPECT_TRUE(std::isnan(y.floats[0]));
  EXPECT_EQ(y.floats[1], 0);
  EXPECT_TRUE(std::isnan(y.floats[2]));
}

TEST(NormTangent, IsTheDerivativeOfNormalisedRows) {
  Tensor x = make({1, 4}, {1, -2, 0.5, 4}), d = make({1, 4}, {0.3, 1, -2, 0.1});
  Tensor ones = make({4}, {1, 1, 1, 1}), zeros({4}, ElementKind::F64);
  auto moved = [&](double step) {
    Tensor y = x;
    for (size_t i = 0; i < y.floats.size(); ++i)
      y.floats[i] += step * d.floats[i];
    return y;
  };
  constexpr double step = 1e-6, epsilon = 0.1;
  for (bool isCentred : {false, true}) {
    auto norm = [&](const Tensor &y) {
      return isCentred ? layerNorm(y, ones, zeros, epsilon)
                       : rmsNorm(y, ones, epsilon);
    };
    Tensor above = norm(moved(step)), below = norm(moved(-step));
    Tensor tangent = normTangent(d, x, epsilon, isCentred);
    for (size_t i = 0; i < 4; ++i)
      EXPECT_NEAR(tangent.floats[i],
                  (above.floats[i] - below.floats[i]) / (2 * step), 1e-8);
  }
}

TEST(NormTangent, IsItsOwnTransposedMap) {
  Tensor x = make({1, 3}, {1, -2, 0.5});
  Tensor d = make({1, 3}, {0.3, 1, -2}), e = make({1, 3}, {2, 0.7, 1});
  auto dot = [](const Tensor &a, const Tensor &b) {
    double sum = 0;
    for (size_t i = 0; i < a.floats.size(); ++i)
      sum += a.floats[i] * b.floats[i];
    return sum;
  };
  for (bool isCentred : {false, true})
    EXPECT_NEAR(dot(normTangent(d, x, 0.1, isCentred), e),
                dot(d, normTangent(e, x, 0.1, isCentred)), 1e-12);
}
