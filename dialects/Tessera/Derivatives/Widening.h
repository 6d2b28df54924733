// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Gradients formed in a wider type than that of the values they come by.
#ifndef TESSERA_DIALECTS_TESSERA_DERIVATIVES_WIDENING_H
#define TESSERA_DIALECTS_TESSERA_DERIVATIVES_WIDENING_H

#include "mlir/IR/Block.h"

namespace tessera::derivatives {

/// Unit attribute of the tessera.convert of a gradient to a wider type, which
/// forms it there where it can.
inline constexpr llvm::StringLiteral gradientAttrName = "tessera.gradient";

/// Unit attribute of the ops of a rule by hand in a backward pass.
inline constexpr llvm::StringLiteral byHandAttrName = "tessera.by_hand";

/// Replaces the marked conversions in `block` and its regions. What gives the
/// gradient is computed in the wide type, as far as it is for gradients alone:
/// products, and what moves and adds them, the iterations of a loop and the
/// branches of a conditional included. Factors of products are what they were,
/// and are converted. So no element is rounded to the narrow type but where
/// others use it as well, or where an op that is no such map gives the
/// gradient, or a rule by hand, which says itself what it rounds.
void widenGradients(mlir::Block &block);

} // namespace tessera::derivatives

#endif // TESSERA_DIALECTS_TESSERA_DERIVATIVES_WIDENING_H
