// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The order in which sums of several terms are formed, some of them partial.
#ifndef TESSERA_DIALECTS_TESSERA_TRANSFORMS_PARTIALSUMS_H
#define TESSERA_DIALECTS_TESSERA_TRANSFORMS_PARTIALSUMS_H

#include "dialects/Tessera/IR/Tessera.h"

namespace tessera {

/// Whether `op` is an addition whose only user is another one of its block: it
/// belongs to a sum of more than two terms, which is looked at as a whole.
bool isInnerSum(mlir::Operation *op);

/// The additions of the sum that `root` ends, in the order of the program; none
/// where `root` is not an addition. Terms that are partial along the same axes
/// are added first where that takes fewer reductions: r + a@w + b@v becomes
/// r + (a@w + b@v). The additions are then new ones, in the place of `root`.
llvm::SmallVector<mlir::Operation *> regroupSum(mlir::Operation *root);

} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_TRANSFORMS_PARTIALSUMS_H
