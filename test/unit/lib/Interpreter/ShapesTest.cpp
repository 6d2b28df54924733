// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Interpreter/TensorOps.h"

#include <gtest/gtest.h>

using namespace tessera;
using namespace tessera::interpreter;
using Ints = std::vector<int64_t>;

static Tensor make(Shape shape, Ints values) {
  return Tensor::fromInts(shape, ElementKind::I32, values);
}
static const Tensor x23 = make({2, 3}, {1, 2, 3, 4, 5, 6});

TEST(Shapes, TransposePermutes) {
  Tensor t = transpose(x23, {1, 0});
  EXPECT_EQ(t.shape, (Shape{3, 2}));
  EXPECT_EQ(t.ints, (Ints{1, 4, 2, 5, 3, 6}));
  // Result dimension i is input dimension permutation[i].
  EXPECT_EQ(transpose(make({2, 3, 1}, x23.ints), {2, 0, 1}).shape,
            (Shape{1, 2, 3}));
}

TEST(Shapes, ReshapeKeepsTheOrder) {
  Tensor t = reshape(x23, {3, 2});
  EXPECT_EQ(t.shape, (Shape{3, 2}));
  EXPECT_EQ(t.ints, x23.ints);
}

TEST(Shapes, BroadcastRepeats) {
  EXPECT_EQ(broadcast(make({2}, {7, 8}), {0}, {2, 3}).ints,
            (Ints{7, 7, 7, 8, 8, 8}));
  EXPECT_EQ(broadcast(make({2}, {7, 8}), {1}, {2, 2}).ints, (Ints{7, 8, 7, 8}));
  EXPECT_EQ(broadcast(make({1, 2}, {7, 8}), {0, 1}, {2, 2}).ints,
            (Ints{7, 8, 7, 8}));
  EXPECT_EQ(broadcast(make({}, {9}), {}, {2}).ints, (Ints{9, 9}));
}

TEST(Shapes, SliceTakesStridedBoxes) {
  Tensor t = slice(make({2, 7}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}),
                   {0, 1}, {2, 6}, {1, 3});
  EXPECT_EQ(t.shape, (Shape{2, 2}));
  EXPECT_EQ(t.ints, (Ints{1, 4, 8, 11}));
  EXPECT_EQ(slice(x23, {1, 1}, {1, 3}, {1, 1}).shape, (Shape{0, 2}));
}

TEST(Shapes, ConcatenateJoins) {
  Tensor y = make({2, 1}, {8, 9});
  EXPECT_EQ(concatenate({&x23, &y}, 1).ints, (Ints{1, 2, 3, 8, 4, 5, 6, 9}));
  EXPECT_EQ(concatenate({&x23, &x23}, 0).shape, (Shape{4, 3}));
}

TEST(Shapes, PadSurrounds) {
  Tensor t = pad(make({1, 2}, {1, 2}), {1, 0}, {0, 1}, make({}, {9}));
  EXPECT_EQ(t.shape, (Shape{2, 3}));
  EXPECT_EQ(t.ints, (Ints{9, 9, 9, 1, 2, 9}));
}

TEST(Shapes, IotaCountsFromItsOffset) {
  EXPECT_EQ(iota({2, 3}, ElementKind::I32, 1, 0).ints,
            (Ints{0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(iota({2, 3}, ElementKind::I32, 0, 4).ints,
            (Ints{4, 4, 4, 5, 5, 5}));
  EXPECT_EQ(iota({2}, ElementKind::F32, 0, 1).floats,
            (std::vector<double>{1, 2}));
}
