// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/IndexedDims.h"

#include <gtest/gtest.h>

using namespace tessera;

static std::vector<std::pair<int64_t, int64_t>>
slicesOf(const IndexedDims &dims) {
  std::vector<std::pair<int64_t, int64_t>> pairs;
  for (const IndexedDims::Slice &slice : dims.slices())
    pairs.emplace_back(slice.source, slice.indices);
  return pairs;
}

TEST(IndexedDims, IndicesStandWhereTheFirstIndexedDimensionWas) {
  using Pairs = std::vector<std::pair<int64_t, int64_t>>;
  EXPECT_EQ(slicesOf({4, 2, {1, 3}, {}, {}}),
            (Pairs{{0, -1}, {-1, 0}, {-1, 1}, {2, -1}}));
}

TEST(IndexedDims, BatchDimensionsStayInTheSource) {
  using Pairs = std::vector<std::pair<int64_t, int64_t>>;
  EXPECT_EQ(slicesOf({3, 3, {1}, {0, 2}, {2, 0}}),
            (Pairs{{0, 2}, {-1, 1}, {2, 0}}));
}
