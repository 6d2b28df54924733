// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What is done to a block before its ops are grouped into kernels.
#ifndef TESSERA_LIB_CONVERSION_TESSERATOTILE_PREPAREBLOCKS_H
#define TESSERA_LIB_CONVERSION_TESSERATOTILE_PREPAREBLOCKS_H

#include "mlir/IR/Block.h"

namespace tessera {

/// Gives `block` its own copy of each op that kernels make anew and that it
/// uses from a surrounding block.
void sinkFreeOps(mlir::Block &block);

/// Splits concatenations of many values into some of fewer: a kernel decides
/// for each element which of its inputs it comes from.
void splitConcatenations(mlir::Block &block);

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TESSERATOTILE_PREPAREBLOCKS_H
