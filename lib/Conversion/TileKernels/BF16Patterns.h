// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Conversions to and from bf16 for targets that have no instruction for them.
#ifndef TESSERA_LIB_CONVERSION_TILEKERNELS_BF16PATTERNS_H
#define TESSERA_LIB_CONVERSION_TILEKERNELS_BF16PATTERNS_H

#include "mlir/IR/PatternMatch.h"

namespace tessera {

/// extf and truncf between bf16 and f32 become bit arithmetic; integers become
/// bf16 through f32, rounded once.
void populateBF16Patterns(mlir::RewritePatternSet &patterns);

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TILEKERNELS_BF16PATTERNS_H
