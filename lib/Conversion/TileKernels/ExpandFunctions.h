// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Functions of f32 that targets have no instruction for.
#ifndef TESSERA_LIB_CONVERSION_TILEKERNELS_EXPANDFUNCTIONS_H
#define TESSERA_LIB_CONVERSION_TILEKERNELS_EXPANDFUNCTIONS_H

#include "mlir/IR/PatternMatch.h"

namespace tessera {

/// Writes exp, exp2, log2, log10, asin, acos, atan, atan2, asinh, acosh and
/// atanh of f32 scalars and vectors as polynomials, right within 4 units in the
/// last place for every argument, denormal numbers included; but exp, of which
/// much time of attention is, may be 0 where it is below 2^-125. Preferred to
/// other patterns for these ops.
void populateExpandFunctionsPatterns(mlir::RewritePatternSet &patterns);

/// Whether `op` is a function that a C library has and an instruction set has
/// not: what is left of these needs a library.
bool isLibraryFunction(mlir::Operation *op);

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TILEKERNELS_EXPANDFUNCTIONS_H
