// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Kernels of several ops on one attention: the attention and the logsumexp of
// its scores, or its gradients.
#ifndef TESSERA_LIB_CONVERSION_TESSERATOTILE_ATTENTIONKERNELS_H
#define TESSERA_LIB_CONVERSION_TESSERATOTILE_ATTENTIONKERNELS_H

#include "BlockEmitter.h"

namespace tessera {

/// The logsumexp of the same scores in the same block, which `op` then shares a
/// kernel with; null where there is none.
AttentionLogsumexpOp findLogsumexp(AttentionOp op);

/// Ops that one kernel computes, in the order of its results: attention, if
/// there is one, and attention_logsumexp; or attention_gradient on the same
/// operands, of each operand once. Where there are few heads the gradient by
/// the queries has a kernel of its own, so that blocks are of a part of a head.
struct AttentionLaunch {
  llvm::SmallVector<mlir::Operation *> ops;
  mlir::Operation *place; ///< The first of them in the block.
};

/// Those of a block, whose ops that can have another kernel have one already.
std::vector<AttentionLaunch> findAttentionLaunches(mlir::Block &block,
                                                   const TileSizes &sizes);

/// The kernel of `launch`; null, with a diagnostic, where it cannot be built.
tile::KernelOp buildAttentionKernel(mlir::OpBuilder &builder,
                                    const AttentionLaunch &launch,
                                    const TileSizes &sizes);

/// Launches `kernel` where `builder` is, in place of the ops.
void launchAttentionKernel(mlir::OpBuilder &builder,
                           const AttentionLaunch &launch,
                           tile::KernelOp kernel);

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TESSERATOTILE_ATTENTIONKERNELS_H
