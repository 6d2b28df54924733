// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/IndexedDims.h"

#include <algorithm>

using namespace tessera;

bool IndexedDims::isIndexed(int64_t sourceDim) const {
  return std::find(indexed.begin(), indexed.end(), sourceDim) != indexed.end();
}

std::vector<IndexedDims::Slice> IndexedDims::slices() const {
  std::vector<Slice> result;
  for (int64_t d = 0; d < sourceRank; ++d) {
    if (!isIndexed(d)) {
      Slice slice{d, -1};
      auto batch = std::find(sourceBatch.begin(), sourceBatch.end(), d);
      if (batch != sourceBatch.end())
        slice.indices = indicesBatch[batch - sourceBatch.begin()];
      result.push_back(slice);
      continue;
    }
    if (d != indexed.front())
      continue;
    for (int64_t i = 0; i < indicesRank; ++i)
      if (std::find(indicesBatch.begin(), indicesBatch.end(), i) ==
          indicesBatch.end())
        result.push_back({-1, i});
  }
  return result;
}
