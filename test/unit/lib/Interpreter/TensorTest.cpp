// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Interpreter/Tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

using namespace tessera;

static const double infinity = std::numeric_limits<double>::infinity();
static const double notANumber = std::numeric_limits<double>::quiet_NaN();

TEST(Rounding, BF16TakesTiesToEven) {
  // Eight significant bits: the unit at 1 is 2^-7.
  EXPECT_EQ(roundTo(ElementKind::BF16, 1 + 0x1p-8), 1);
  EXPECT_EQ(roundTo(ElementKind::BF16, 1 + 3 * 0x1p-8), 1 + 0x1p-6);
  EXPECT_EQ(roundTo(ElementKind::BF16, 3.14159265), 3.140625);
}

TEST(Rounding, IsDoneOnceAndNotThroughF32) {
  // Just above a tie of bf16; rounding to f32 first would make it the tie.
  EXPECT_EQ(roundTo(ElementKind::BF16, 1 + 0x1p-8 + 0x1p-40), 1 + 0x1p-7);
  EXPECT_EQ(roundTo(ElementKind::F16, 1 + 0x1p-11 + 0x1p-40), 1 + 0x1p-10);
}

TEST(Rounding, OverflowsToInfinity) {
  EXPECT_EQ(roundTo(ElementKind::F16, 65504.0), 65504);
  EXPECT_EQ(roundTo(ElementKind::F16, 65519.0), 65504);
  EXPECT_EQ(roundTo(ElementKind::F16, 65520.0), infinity);
  EXPECT_EQ(roundTo(ElementKind::BF16, -3.4e38), -infinity);
  EXPECT_EQ(roundTo(ElementKind::F32, 1e39), infinity);
}

TEST(Rounding, KeepsSubnormals) {
  EXPECT_EQ(roundTo(ElementKind::F16, 0x1p-24), 0x1p-24);
  EXPECT_EQ(roundTo(ElementKind::F16, 0x1p-25), 0);
  EXPECT_EQ(roundTo(ElementKind::F16, 3 * 0x1p-25), 0x1p-23);
  EXPECT_EQ(roundTo(ElementKind::BF16, 0x1p-133), 0x1p-133);
}

TEST(Rounding, AgreesWithTheHardwareForF32) {
  for (double x : {0.1, 1e-40, 16777217.0, -3.3e38})
    EXPECT_EQ(roundTo(ElementKind::F32, x), static_cast<float>(x));
}

TEST(Rounding, IntegersAreRoundedOnce) {
  // Just above a tie of bf16; a double cannot tell it from the tie.
  int64_t x = (int64_t{1} << 60) + (int64_t{1} << 52) + 1;
  EXPECT_EQ(roundTo(ElementKind::BF16, x), 0x1p60 + 0x1p53);
  EXPECT_EQ(roundTo(ElementKind::F32, x), static_cast<float>(x));
}

TEST(Wrapping, KeepsTheLowBits) {
  EXPECT_EQ(wrapTo(ElementKind::I32, int64_t{1} << 31), -(int64_t{1} << 31));
  EXPECT_EQ(wrapTo(ElementKind::UI32, -1), 4294967295);
  EXPECT_EQ(wrapTo(ElementKind::I1, 3), 1);
}

TEST(Printing, NestsListsWithSpacesBetweenBrackets) {
  Tensor x = Tensor::fromFloats({2, 2, 1}, ElementKind::F32, {1, 2.5, -3, 4});
  EXPECT_EQ(toString(x), "[ [ [1], [2.5] ], [ [-3], [4] ] ]");
  EXPECT_EQ(toString(Tensor::scalar(7)), "7");
  EXPECT_EQ(toString(x.shape, x.kind), "2x2x1xf32");
}

TEST(Difference, IsRelativeToTheLargestElement) {
  auto f32 = ElementKind::F32;
  Tensor a = Tensor::fromFloats({2}, f32, {100, 1});
  Tensor b = Tensor::fromFloats({2}, f32, {100, 1.5});
  EXPECT_FALSE(findDifference(a, b, 0.01));
  auto difference = findDifference(a, b, 0.001);
  ASSERT_TRUE(difference);
  EXPECT_EQ(difference->index, 1);
  EXPECT_EQ(difference->absolute, 0.5);
}

TEST(Difference, FindsNaNAndInfinityAtAnyTolerance) {
  auto f32 = ElementKind::F32;
  Tensor a = Tensor::fromFloats({2}, f32, {1, infinity});
  EXPECT_FALSE(findDifference(a, a, 0));
  EXPECT_TRUE(findDifference(
      a, Tensor::fromFloats({2}, f32, {notANumber, infinity}), 1e9));
  EXPECT_TRUE(
      findDifference(a, Tensor::fromFloats({2}, f32, {1, -infinity}), 1e9));
  Tensor allNaN = Tensor::poison({2}, f32);
  EXPECT_FALSE(findDifference(allNaN, allNaN, 0));
}

TEST(Buffers, RoundTripEveryHalf) {
  for (ElementKind kind : {ElementKind::F16, ElementKind::BF16})
    for (uint32_t bits = 0; bits < 65536; ++bits) {
      auto word = static_cast<uint16_t>(bits), back = uint16_t{0};
      Tensor x = readBuffer(&word, {}, kind);
      if (std::isnan(x.floats[0]))
        continue;
      ASSERT_EQ(roundTo(kind, x.floats[0]), x.floats[0]) << bits;
      writeBuffer(x, &back);
      ASSERT_EQ(back, word);
    }
}

TEST(Buffers, HoldKnownHalves) {
  uint16_t words[] = {0x3c00, 0xc000, 0x7bff, 0x0001};
  EXPECT_EQ(readBuffer(words, {4}, ElementKind::F16).floats,
            (std::vector<double>{1, -2, 65504, 0x1p-24}));
  uint16_t bwords[] = {0x3f80, 0x4049};
  EXPECT_EQ(readBuffer(bwords, {2}, ElementKind::BF16).floats,
            (std::vector<double>{1, 3.140625}));
}

TEST(Buffers, KeepIntegersAndTruthValues) {
  int32_t ints[] = {-1, 2};
  EXPECT_EQ(readBuffer(ints, {2}, ElementKind::I32).ints,
            (std::vector<int64_t>{-1, 2}));
  EXPECT_EQ(readBuffer(ints, {2}, ElementKind::UI32).ints,
            (std::vector<int64_t>{4294967295, 2}));
  uint8_t truths[2];
  writeBuffer(Tensor::fromInts({2}, ElementKind::I1, {1, 0}), truths);
  EXPECT_EQ(truths[0], 1);
  EXPECT_EQ(truths[1], 0);
}
