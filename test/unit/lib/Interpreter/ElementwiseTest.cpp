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
static const double notANumber = std::numeric_limits<double>::quiet_NaN();

static Tensor f64(Floats values) {
  return Tensor::fromFloats({int64_t(values.size())}, ElementKind::F64, values);
}
static Tensor i32(Ints values) {
  return Tensor::fromInts({int64_t(values.size())}, ElementKind::I32, values);
}
static Tensor ui32(Ints values) {
  return Tensor::fromInts({int64_t(values.size())}, ElementKind::UI32, values);
}
static Tensor i64(Ints values) {
  return Tensor::fromInts({int64_t(values.size())}, ElementKind::I64, values);
}
static Tensor i1(Ints values) {
  return Tensor::fromInts({int64_t(values.size())}, ElementKind::I1, values);
}

TEST(Unary, FunctionsHaveTheirValues) {
  auto at = [](Unary op, double x) { return unary(op, f64({x})).floats[0]; };
  EXPECT_EQ(at(Unary::Neg, 2), -2);
  EXPECT_EQ(at(Unary::Abs, -2), 2);
  EXPECT_EQ(at(Unary::Sign, -3), -1);
  EXPECT_TRUE(std::isnan(at(Unary::Sign, notANumber)));
  EXPECT_DOUBLE_EQ(at(Unary::Exp, 1), 2.718281828459045);
  EXPECT_DOUBLE_EQ(at(Unary::Log, 2), 0.6931471805599453);
  EXPECT_EQ(at(Unary::Sqrt, 9), 3);
  EXPECT_EQ(at(Unary::Rsqrt, 4), 0.5);
  EXPECT_DOUBLE_EQ(at(Unary::Tanh, 0.5), 0.46211715726000973);
  EXPECT_DOUBLE_EQ(at(Unary::Erf, 0.5), 0.5204998778130465);
  EXPECT_DOUBLE_EQ(at(Unary::Logistic, 1), 0.7310585786300049);
  EXPECT_DOUBLE_EQ(at(Unary::Silu, 1), 0.7310585786300049);
  EXPECT_DOUBLE_EQ(at(Unary::Sin, 1), 0.8414709848078965);
  EXPECT_DOUBLE_EQ(at(Unary::Cos, 1), 0.5403023058681398);
  EXPECT_EQ(at(Unary::Floor, -1.5), -2);
  EXPECT_NEAR(at(Unary::GeluErf, 1), 0.8413447460685429, 1e-15);
  EXPECT_NEAR(at(Unary::GeluTanh, 1), 0.8411919906082768, 1e-15);
}

TEST(Unary, IntegersWrap) {
  int64_t least = std::numeric_limits<int32_t>::min();
  EXPECT_EQ(unary(Unary::Neg, i32({least, 3})).ints, (Ints{least, -3}));
  EXPECT_EQ(unary(Unary::Abs, i32({least, -3})).ints, (Ints{least, 3}));
  EXPECT_EQ(unary(Unary::Neg, ui32({1})).ints, (Ints{4294967295}));
  EXPECT_EQ(unary(Unary::Not, i32({0, 5})).ints, (Ints{-1, -6}));
  EXPECT_EQ(unary(Unary::Not, i1({0, 1})).ints, (Ints{1, 0}));
}

TEST(Binary, IntegersWrapAndTruncate) {
  int64_t most = std::numeric_limits<int32_t>::max();
  EXPECT_EQ(binary(Binary::Add, i32({most}), i32({1})).ints, (Ints{-most - 1}));
  EXPECT_EQ(binary(Binary::Sub, ui32({1}), ui32({2})).ints, (Ints{4294967295}));
  EXPECT_EQ(binary(Binary::Mul, i32({65536}), i32({65537})).ints,
            (Ints{65536}));
  EXPECT_EQ(binary(Binary::Div, i32({-7, 7}), i32({2, -2})).ints,
            (Ints{-3, -3}));
  EXPECT_EQ(binary(Binary::Rem, i32({-7, 7}), i32({2, -2})).ints,
            (Ints{-1, 1}));
  EXPECT_EQ(binary(Binary::Div, ui32({4294967294}), ui32({2})).ints,
            (Ints{2147483647}));
  int64_t least = std::numeric_limits<int64_t>::min();
  EXPECT_EQ(binary(Binary::Div, i64({least}), i64({-1})).ints, (Ints{least}));
  EXPECT_EQ(binary(Binary::Rem, i64({least}), i64({-1})).ints, (Ints{0}));
}

TEST(Binary, FloatsFollowTheirEquations) {
  EXPECT_EQ(binary(Binary::Rem, f64({-7.5}), f64({2})).floats, (Floats{-1.5}));
  EXPECT_EQ(binary(Binary::Pow, f64({2}), f64({-2})).floats, (Floats{0.25}));
  EXPECT_EQ(binary(Binary::Div, f64({1}), f64({0})).floats, (Floats{infinity}));
}

TEST(Binary, MaxAndMinGiveNaNIfEitherIs) {
  for (Binary op : {Binary::Max, Binary::Min}) {
    EXPECT_TRUE(std::isnan(binary(op, f64({notANumber}), f64({1})).floats[0]));
    EXPECT_TRUE(std::isnan(binary(op, f64({1}), f64({notANumber})).floats[0]));
  }
  EXPECT_EQ(binary(Binary::Max, f64({1, 5}), f64({2, 4})).floats,
            (Floats{2, 5}));
  EXPECT_EQ(binary(Binary::Min, i32({1, 5}), i32({2, 4})).ints, (Ints{1, 4}));
}

TEST(Binary, ResultsAreRoundedToTheElementType) {
  Tensor big = Tensor::fromFloats({1}, ElementKind::BF16, {256});
  Tensor one = Tensor::fromFloats({1}, ElementKind::BF16, {1});
  EXPECT_EQ(binary(Binary::Add, big, one).floats, (Floats{256}));
}

TEST(Unary, InverseErfUndoesErf) {
  for (double x : {1e-12, 1e-5, 0.01, 0.3, 0.5, 0.9, 0.999, 1 - 1e-9}) {
    double y = unary(Unary::Erfinv, f64({x})).floats[0];
    EXPECT_NEAR(std::erf(y), x, 2e-16) << x;
  }
  EXPECT_EQ(unary(Unary::Erfinv, f64({1, -1, 0})).floats,
            (Floats{infinity, -infinity, 0}));
  EXPECT_TRUE(std::isnan(unary(Unary::Erfinv, f64({1.5})).floats[0]));
}

TEST(Binary, NextafterStepsInTheElementType) {
  auto next = [](ElementKind kind, double x, double y) {
    return binary(Binary::Nextafter, Tensor::fromFloats({1}, kind, {x}),
                  Tensor::fromFloats({1}, kind, {y}))
        .floats[0];
  };
  double bf16 = next(ElementKind::BF16, 1, 2);
  EXPECT_EQ(bf16, 1 + std::ldexp(1, -7));
  EXPECT_EQ(next(ElementKind::BF16, 1, 0), 1 - std::ldexp(1, -8));
  EXPECT_EQ(next(ElementKind::F16, 65504, infinity), infinity);
  EXPECT_EQ(next(ElementKind::F16, infinity, 0), 65504);
  EXPECT_EQ(next(ElementKind::F16, 0, -1), -std::ldexp(1, -24));
  EXPECT_EQ(next(ElementKind::F16, std::ldexp(1, -14), 0),
            std::ldexp(1, -14) - std::ldexp(1, -24));
  EXPECT_EQ(next(ElementKind::F32, 1, 2), 1 + std::ldexp(1, -23));
}

TEST(Binary, ShiftsByTheWidthOrMoreLeaveTheSign) {
  Tensor x = i32({5, -5, 5, -5, 5, -5}), y = i32({1, 1, 32, 32, -1, -1});
  EXPECT_EQ(binary(Binary::ShiftLeft, x, y).ints, (Ints{10, -10, 0, 0, 0, 0}));
  EXPECT_EQ(binary(Binary::ShiftRight, x, y).ints, (Ints{2, -3, 0, -1, 0, -1}));
  EXPECT_EQ(binary(Binary::ShiftRight, ui32({4294967295}), ui32({31})).ints,
            (Ints{1}));
}

TEST(Binary, PowersOfIntegersWrap) {
  EXPECT_EQ(binary(Binary::Pow, i32({3, -2, 7, 2, -1, 1}),
                   i32({21, 3, 0, 32, -3, -9}))
                .ints,
            (Ints{1870418611, -8, 1, 0, -1, 1}));
}

TEST(Compare, WithNaNIsFalseButForNe) {
  Tensor x = f64({notANumber, 1, 2}), y = f64({notANumber, 2, 2});
  EXPECT_EQ(compare(Comparison::Eq, x, y).ints, (Ints{0, 0, 1}));
  EXPECT_EQ(compare(Comparison::Ne, x, y).ints, (Ints{1, 1, 0}));
  EXPECT_EQ(compare(Comparison::Lt, x, y).ints, (Ints{0, 1, 0}));
  EXPECT_EQ(compare(Comparison::Le, x, y).ints, (Ints{0, 1, 1}));
  EXPECT_EQ(compare(Comparison::Gt, x, y).ints, (Ints{0, 0, 0}));
  EXPECT_EQ(compare(Comparison::Ge, x, y).ints, (Ints{0, 0, 1}));
  EXPECT_EQ(compare(Comparison::Lt, ui32({1}), ui32({-1})).ints, (Ints{1}));
}

TEST(Select, PicksByThePredicateAndIgnoresTheOther) {
  EXPECT_EQ(
      select(i1({1, 0}), f64({1, notANumber}), f64({notANumber, 4})).floats,
      (Floats{1, 4}));
}

TEST(Convert, FloatsToIntegersTruncateAndSaturate) {
  Tensor x = f64({-1.9, 1.9, 3e9, -3e9, notANumber, infinity});
  EXPECT_EQ(convert(x, ElementKind::I32).ints,
            (Ints{-1, 1, 2147483647, -2147483648, 0, 2147483647}));
  EXPECT_EQ(convert(x, ElementKind::UI32).ints,
            (Ints{0, 1, 3000000000, 0, 0, 4294967295}));
  int64_t most = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(convert(f64({1e19, -1e19}), ElementKind::I64).ints,
            (Ints{most, -most - 1}));
}

TEST(Convert, BetweenOtherTypesFollowsTheDescription) {
  EXPECT_EQ(convert(f64({0, -0.5, notANumber}), ElementKind::I1).ints,
            (Ints{0, 1, 1}));
  EXPECT_EQ(convert(i1({0, 1}), ElementKind::F32).floats, (Floats{0, 1}));
  EXPECT_EQ(convert(i64({(int64_t{1} << 32) + 5}), ElementKind::I32).ints,
            (Ints{5}));
  EXPECT_EQ(convert(ui32({4294967295}), ElementKind::I64).ints,
            (Ints{4294967295}));
  EXPECT_EQ(convert(f64({1 + 0x1p-8}), ElementKind::BF16).floats, (Floats{1}));
}
