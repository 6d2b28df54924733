// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Whether what a user's rule for jvp computes is linear in the tangents.
#ifndef TESSERA_DIALECTS_TESSERA_DERIVATIVES_RULECHECKS_H
#define TESSERA_DIALECTS_TESSERA_DERIVATIVES_RULECHECKS_H

#include "dialects/Tessera/IR/Calls.h"

namespace tessera::derivatives {

/// An error, at the op to blame, where `results` are not linear in `tangents`:
/// where they have a term that does not depend on these, and, `forTransposing`,
/// where an op is not linear. All of them are in the block of `results`, or are
/// its arguments. `call` is the call whose rule was put in its place.
mlir::LogicalResult checkLinear(CallOp call,
                                llvm::ArrayRef<mlir::Value> results,
                                llvm::ArrayRef<mlir::Value> tangents,
                                bool forTransposing);

} // namespace tessera::derivatives

#endif // TESSERA_DIALECTS_TESSERA_DERIVATIVES_RULECHECKS_H
