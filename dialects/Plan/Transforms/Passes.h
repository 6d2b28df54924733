// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Passes within the plan dialect.
#ifndef TESSERA_DIALECTS_PLAN_TRANSFORMS_PASSES_H
#define TESSERA_DIALECTS_PLAN_TRANSFORMS_PASSES_H

#include "dialects/Plan/IR/Plan.h"

#include "mlir/Pass/Pass.h"

namespace tessera {
#define GEN_PASS_DECL
#include "dialects/Plan/Transforms/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "dialects/Plan/Transforms/Passes.h.inc"
} // namespace tessera

#endif // TESSERA_DIALECTS_PLAN_TRANSFORMS_PASSES_H
