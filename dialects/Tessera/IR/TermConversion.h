// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Narrowing conversions of the terms of a sum.
#ifndef TESSERA_DIALECTS_TESSERA_IR_TERMCONVERSION_H
#define TESSERA_DIALECTS_TESSERA_IR_TERMCONVERSION_H

#include "llvm/ADT/StringRef.h"

namespace tessera {

/// Attribute of a `tessera.convert` that the user asked to round the terms of a
/// sum by (`reduce` of `tessera.constrain`): they pass it, though it narrows.
inline constexpr llvm::StringLiteral roundsTermsAttrName =
    "tessera.rounds_terms";

} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_IR_TERMCONVERSION_H
