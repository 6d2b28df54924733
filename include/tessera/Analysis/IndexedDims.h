// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// How the dimensions of a gather or a scatter correspond: those of the tensor
// that is indexed (the source), of its indices, and of the slices that are read
// or written.
#ifndef TESSERA_ANALYSIS_INDEXEDDIMS_H
#define TESSERA_ANALYSIS_INDEXEDDIMS_H

#include <cstdint>
#include <vector>

namespace tessera {

struct IndexedDims {
  /// Where a dimension of the slices comes from.
  struct Slice {
    /// The dimension of the source, -1 for one of the indices alone.
    int64_t source = -1;
    /// The dimension of the indices, -1 for one of the source alone. A batch
    /// dimension has both.
    int64_t indices = -1;
  };

  int64_t sourceRank = 0, indicesRank = 0;
  std::vector<int64_t> indexed; ///< Dimensions of the source, ascending.
  std::vector<int64_t> sourceBatch, indicesBatch; ///< Pairs.

  bool isIndexed(int64_t sourceDim) const;
  /// The dimensions of the slices: the source's in order, with those of the
  /// indices in the place of the first indexed one. All dimensions are well
  /// formed.
  std::vector<Slice> slices() const;
};

} // namespace tessera

#endif // TESSERA_ANALYSIS_INDEXEDDIMS_H
