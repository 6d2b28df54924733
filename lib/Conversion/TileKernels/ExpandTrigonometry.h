// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Sine and cosine for targets that have no fast function for them.
#ifndef TESSERA_LIB_CONVERSION_TILEKERNELS_EXPANDTRIGONOMETRY_H
#define TESSERA_LIB_CONVERSION_TILEKERNELS_EXPANDTRIGONOMETRY_H

#include "mlir/IR/PatternMatch.h"

namespace tessera {

/// Writes math.sin and math.cos of f32 scalars and vectors as polynomials after
/// reducing the argument: absolute error below 2e-7 for every finite x. Above
/// 1e5 the reduction is a slower one, in a branch that is taken where a lane
/// needs it. Preferred to other patterns for these ops.
void populateExpandTrigonometryPatterns(mlir::RewritePatternSet &patterns);

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TILEKERNELS_EXPANDTRIGONOMETRY_H
