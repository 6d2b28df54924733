// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Passes of lib/Pipelines.
#ifndef TESSERA_PIPELINES_PASSES_H
#define TESSERA_PIPELINES_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace tessera {
#define GEN_PASS_DECL
#include "lib/Pipelines/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "lib/Pipelines/Passes.h.inc"
} // namespace tessera

#endif // TESSERA_PIPELINES_PASSES_H
