// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Kernels of sorts: a block sorts a row in scratch memory.
#ifndef TESSERA_LIB_CONVERSION_TESSERATOTILE_SORTKERNELS_H
#define TESSERA_LIB_CONVERSION_TESSERATOTILE_SORTKERNELS_H

#include "BlockEmitter.h"

namespace tessera {

/// The kernel of `op`: one input, and five outputs: the first is the
/// result, the others are scratch of the types `scratchTypes`. Null, with a
/// diagnostic, where it cannot be built.
tile::KernelOp buildSortKernel(mlir::OpBuilder &builder, ArgsortOp op,
                               const TileSizes &sizes);

/// The tensors that the scratch outputs are.
llvm::SmallVector<mlir::Type> sortScratchTypes(ArgsortOp op);

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TESSERATOTILE_SORTKERNELS_H
