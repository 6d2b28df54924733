// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What is done to a block before its ops are grouped into kernels.
#ifndef TESSERA_LIB_CONVERSION_TESSERATOTILE_PREPAREBLOCKS_H
#define TESSERA_LIB_CONVERSION_TESSERATOTILE_PREPAREBLOCKS_H

#include "TileSizes.h"

#include "mlir/IR/Block.h"

namespace tessera {

/// Gives `block` its own copy of each op that kernels make anew and that it
/// uses from a surrounding block.
void sinkFreeOps(mlir::Block &block);

/// Splits concatenations of many values into some of fewer: a kernel decides
/// for each element which of its inputs it comes from.
void splitConcatenations(mlir::Block &block);

/// Splits reductions that few blocks would do into two steps: the first
/// reduces pieces of the input, work for many threads, the second what they
/// come to.
void splitReductions(mlir::Block &block, const TileSizes &sizes);

/// Makes of cumulative ops along few long rows: sums of pieces, what they come
/// to one after the other, and the same op on all pieces at once.
void splitLongRows(mlir::Block &block, const TileSizes &sizes);

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TESSERATOTILE_PREPAREBLOCKS_H
