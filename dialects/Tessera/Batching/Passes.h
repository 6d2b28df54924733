// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Batches of entries as a pass.
#ifndef TESSERA_DIALECTS_TESSERA_BATCHING_PASSES_H
#define TESSERA_DIALECTS_TESSERA_BATCHING_PASSES_H

#include "dialects/Tessera/IR/Tessera.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace tessera {
#define GEN_PASS_DECL
#include "dialects/Tessera/Batching/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "dialects/Tessera/Batching/Passes.h.inc"
} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_BATCHING_PASSES_H
