// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What a linear program needs of the primal one: kept, or computed again.
#ifndef TESSERA_DIALECTS_TESSERA_DERIVATIVES_RESIDUALS_H
#define TESSERA_DIALECTS_TESSERA_DERIVATIVES_RESIDUALS_H

#include "mlir/IR/Block.h"
#include "mlir/IR/Builders.h"

namespace tessera::derivatives {

/// A value of the primal program that is kept for the linear one.
struct Residual {
  mlir::Value primal;
  mlir::BlockArgument inside; ///< Stands for it in the linear program.
};

/// Replaces all uses that ops of `linear` make of values of `primal`. Constants
/// and the like are made again, and so are random numbers, of their key, and
/// what rules have added element by element. What is computed in the region of
/// a checkpoint is computed again from a barrier of the region's inputs, unless
/// the policy keeps it. For all else `linear` gets an argument more. An error
/// where a checkpoint has a budget that is too small.
llvm::FailureOr<llvm::SmallVector<Residual>>
bringResiduals(mlir::Block &linear, mlir::Block &primal);

/// Erases ops of `block` that have no effects and no users.
void eraseDeadOps(mlir::Block &block);

} // namespace tessera::derivatives

#endif // TESSERA_DIALECTS_TESSERA_DERIVATIVES_RESIDUALS_H
