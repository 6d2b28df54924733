// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The transposed maps of loops and conditionals on tangents.
#ifndef TESSERA_DIALECTS_TESSERA_DERIVATIVES_CONTROLTRANSPOSES_H
#define TESSERA_DIALECTS_TESSERA_DERIVATIVES_CONTROLTRANSPOSES_H

#include "Transposer.h"

namespace tessera::derivatives {

/// The loop from the last iteration to the first, or from the first to the last
/// where it is reversed. Cotangents of carried values are carried; those of
/// values that every iteration uses from outside are summed in carried values
/// that start at zero; those of slices are stacked.
mlir::LogicalResult transposeScan(ScanOp scan, Cotangents &cotangents);

/// Refuses: what a backward pass would have to keep has no size known before.
mlir::LogicalResult transposeWhile(WhileOp loop, Cotangents &cotangents);

/// Each branch gives the cotangents of what any branch uses from outside.
mlir::LogicalResult transposeCond(CondOp cond, Cotangents &cotangents);

} // namespace tessera::derivatives

#endif // TESSERA_DIALECTS_TESSERA_DERIVATIVES_CONTROLTRANSPOSES_H
