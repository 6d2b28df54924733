// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Functions that have no instruction and no polynomial, as calls of the C
// library.
#ifndef TESSERA_LIB_CONVERSION_TILETOCPU_MATHLIBRARYCALLS_H
#define TESSERA_LIB_CONVERSION_TILETOCPU_MATHLIBRARYCALLS_H

#include "mlir/IR/BuiltinOps.h"

namespace tessera {

/// Makes the math ops that have no instruction calls of the C library, one per
/// lane: rarely used functions, and those of f64.
void callMathLibrary(mlir::ModuleOp module);

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TILETOCPU_MATHLIBRARYCALLS_H
