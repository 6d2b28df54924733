// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Values of 16 bits in f32, without the rounding to 16 bits.
#ifndef TESSERA_DIALECTS_TESSERA_DERIVATIVES_WIDENING_H
#define TESSERA_DIALECTS_TESSERA_DERIVATIVES_WIDENING_H

#include "dialects/Tessera/IR/FormulaBuilder.h"

namespace tessera::derivatives {

/// `value`, of 16 bits, in `wide`, which is f32, formed there as far as it is a
/// sum: products of narrow operands with a wide result, and what adds and moves
/// them, sums of the iterations of a loop included. So its elements are not
/// rounded before they are converted. What others use as well is converted.
mlir::Value widened(FormulaBuilder &build, mlir::OpBuilder &builder,
                    mlir::Value value, mlir::Type wide);

} // namespace tessera::derivatives

#endif // TESSERA_DIALECTS_TESSERA_DERIVATIVES_WIDENING_H
