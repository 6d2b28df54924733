// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Passes of lib/Target.
#ifndef TESSERA_TARGET_PASSES_H
#define TESSERA_TARGET_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace tessera {
#define GEN_PASS_DECL
#include "lib/Target/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "lib/Target/Passes.h.inc"
} // namespace tessera

#endif // TESSERA_TARGET_PASSES_H
