// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Known answers of Random123 1.09 (tests/kat_vectors).
#include "tessera/Interpreter/Philox.h"
#include "lib/Interpreter/TensorOps.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace tessera;
using namespace tessera::interpreter;
using Words = std::array<uint32_t, 4>;

TEST(Philox, GivesTheKnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  uint32_t ones = 0xffffffff;
  EXPECT_EQ(philox4x32({ones, ones, ones, ones}, {ones, ones}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                       {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

static const Tensor zeroKey = Tensor::fromInts({2}, ElementKind::I32, {0, 0});

TEST(Rng, TakesWordsInOrder) {
  Tensor bits = interpreter::random(Distribution::Bits, zeroKey, {6}, {0}, {6},
                                    ElementKind::UI32);
  EXPECT_EQ(bits.ints[0], 0x6627e8d5);
  EXPECT_EQ(bits.ints[3], 0x9b00dbd8);
  EXPECT_EQ(bits.ints[4], philox4x32({1, 0, 0, 0}, {0, 0})[0]);
}

TEST(Rng, APartEqualsThatPartOfTheWhole) {
  Tensor whole = interpreter::random(Distribution::Normal, zeroKey, {3, 5},
                                     {0, 0}, {3, 5}, ElementKind::F32);
  Tensor part = interpreter::random(Distribution::Normal, zeroKey, {3, 5},
                                    {1, 2}, {2, 3}, ElementKind::F32);
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 3; ++j)
      EXPECT_EQ(part.floats[i * 3 + j], whole.floats[(i + 1) * 5 + j + 2]);
}

TEST(Rng, NumbersFollowTheirDistribution) {
  const int n = 40000;
  Tensor u = interpreter::random(Distribution::Uniform, zeroKey, {n}, {0}, {n},
                                 ElementKind::F32);
  Tensor z = interpreter::random(Distribution::Normal, zeroKey, {n}, {0}, {n},
                                 ElementKind::F32);
  double uSum = 0, zSum = 0, zSquares = 0;
  for (int i = 0; i < n; ++i) {
    ASSERT_GE(u.floats[i], 0);
    ASSERT_LT(u.floats[i], 1);
    uSum += u.floats[i];
    zSum += z.floats[i];
    zSquares += z.floats[i] * z.floats[i];
  }
  // Five standard errors.
  EXPECT_NEAR(uSum / n, 0.5, 5 * std::sqrt(1.0 / 12 / n));
  EXPECT_NEAR(zSum / n, 0, 5 / std::sqrt(n));
  EXPECT_NEAR(zSquares / n, 1, 5 * std::sqrt(2.0 / n));
}
