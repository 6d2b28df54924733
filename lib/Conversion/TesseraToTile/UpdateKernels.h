// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Kernels whose output begins as a copy of an input and that write a part of
// it: in place, where the input is dead.
#ifndef TESSERA_LIB_CONVERSION_TESSERATOTILE_UPDATEKERNELS_H
#define TESSERA_LIB_CONVERSION_TESSERATOTILE_UPDATEKERNELS_H

#include "BlockEmitter.h"

namespace tessera {

/// The kernel of `op`. Its inputs are the first operand, which is not read, and
/// then `inputs`. Null, with a diagnostic, when an op cannot be part of one.
tile::KernelOp buildUpdateKernel(mlir::OpBuilder &builder, mlir::Operation *op,
                                 llvm::ArrayRef<mlir::Value> inputs,
                                 const TileSizes &sizes);

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TESSERATOTILE_UPDATEKERNELS_H
