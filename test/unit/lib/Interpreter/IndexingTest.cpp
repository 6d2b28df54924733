// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Interpreter/TensorOps.h"

#include <gtest/gtest.h>

#include <limits>

using namespace tessera;
using namespace tessera::interpreter;

using Ints = std::vector<int64_t>;

static Tensor make(Shape shape, Ints values) {
  return Tensor::fromInts(std::move(shape), ElementKind::I32,
                          std::move(values));
}

static const Tensor x23 = make({2, 3}, {1, 2, 3, 4, 5, 6});

TEST(Indexing, GatherTakesSlicesAndReadsZerosOutside) {
  Tensor at = make({2, 2}, {1, 0, -1, 2}), columns = make({2}, {2, 0});
  Tensor t = gather(x23, {&at}, {2, 2, {0}, {}, {}}, {2, 2, 3});
  EXPECT_EQ(t.ints, (Ints{4, 5, 6, 1, 2, 3, 0, 0, 0, 0, 0, 0}));
  Tensor u = gather(x23, {&columns}, {2, 1, {1}, {}, {}}, {2, 2});
  EXPECT_EQ(u.ints, (Ints{3, 1, 6, 4}));
}

TEST(Indexing, GatherOfPointsNeedsAllIndicesInside) {
  Tensor i = make({3}, {0, 1, 0}), j = make({3}, {2, 0, 3});
  Tensor t = gather(x23, {&i, &j}, {2, 1, {0, 1}, {}, {}}, {3});
  EXPECT_EQ(t.ints, (Ints{3, 4, 0}));
}

TEST(Indexing, BatchDimensionsPairUp) {
  Tensor at = make({3, 2}, {0, 1, 1, 1, 0, 0});
  // result[i, k] = source[at[k, i], k]
  Tensor t = gather(x23, {&at}, {2, 2, {0}, {1}, {0}}, {2, 3});
  EXPECT_EQ(t.ints, (Ints{1, 5, 3, 4, 5, 3}));
}

TEST(Indexing, OfSeveralUpdatesTheLastStaysAndOthersCombine) {
  Tensor at = make({4}, {1, 1, -1, 0}), updates = make({4}, {7, 5, 9, 2});
  Tensor x = make({2}, {1, 3});
  IndexedDims dims{1, 1, {0}, {}, {}};
  EXPECT_EQ(scatter(Update::Set, x, {&at}, updates, dims).ints, (Ints{2, 5}));
  EXPECT_EQ(scatter(Update::Add, x, {&at}, updates, dims).ints, (Ints{3, 15}));
  EXPECT_EQ(scatter(Update::Max, x, {&at}, updates, dims).ints, (Ints{2, 7}));
  EXPECT_EQ(scatter(Update::Min, x, {&at}, updates, dims).ints, (Ints{1, 3}));
}

TEST(Indexing, SortsAreStableAndNaNIsGreatest) {
  double nan = std::numeric_limits<double>::quiet_NaN();
  Tensor x =
      Tensor::fromFloats({6}, ElementKind::F32, {0.0, nan, -0.0, -1, nan, 2});
  EXPECT_EQ(argsort(x, 0, false).ints, (Ints{3, 0, 2, 5, 1, 4}));
  EXPECT_EQ(argsort(x, 0, true).ints, (Ints{1, 4, 5, 0, 2, 3}));
  Tensor y = make({2, 3}, {3, 1, 2, 1, 1, 5});
  EXPECT_EQ(argsort(y, 0, false).ints, (Ints{1, 0, 0, 0, 1, 1}));
  EXPECT_EQ(argsort(y, 1, false).ints, (Ints{1, 2, 0, 0, 1, 2}));
}

TEST(Indexing, BoxesAreMovedInside) {
  EXPECT_EQ(dynamicSlice(x23, {5, -2}, {1, 2}).ints, (Ints{4, 5}));
  Tensor update = make({1, 2}, {8, 9});
  EXPECT_EQ(dynamicUpdateSlice(x23, {0, 2}, update).ints,
            (Ints{1, 8, 9, 4, 5, 6}));
}
