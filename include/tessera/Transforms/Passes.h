// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Passes that rewrite several dialects within one stage.
#ifndef TESSERA_TRANSFORMS_PASSES_H
#define TESSERA_TRANSFORMS_PASSES_H

#include "dialects/Dist/IR/Dist.h"
#include "dialects/Tessera/IR/Tessera.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace tessera {
#define GEN_PASS_DECL
#include "lib/Transforms/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "lib/Transforms/Passes.h.inc"
} // namespace tessera

#endif // TESSERA_TRANSFORMS_PASSES_H
