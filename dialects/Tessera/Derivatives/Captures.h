// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the regions of an op use from outside.
#ifndef TESSERA_DIALECTS_TESSERA_DERIVATIVES_CAPTURES_H
#define TESSERA_DIALECTS_TESSERA_DERIVATIVES_CAPTURES_H

#include "mlir/IR/Operation.h"
#include "llvm/ADT/SetVector.h"

namespace tessera::derivatives {

/// The values from outside that the regions of `op` use, in the order of their
/// first uses. While a function is differentiated they may be of another block
/// that is not around `op`, and blocks may be in no op yet; MLIR's
/// getUsedValuesDefinedAbove knows neither.
llvm::SetVector<mlir::Value> capturedValues(mlir::Operation *op);

/// The operands of `op` and what its regions capture.
llvm::SetVector<mlir::Value> usedValues(mlir::Operation *op);

} // namespace tessera::derivatives

#endif // TESSERA_DIALECTS_TESSERA_DERIVATIVES_CAPTURES_H
