// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Passes of lib/Interpreter.
#ifndef TESSERA_INTERPRETER_PASSES_H
#define TESSERA_INTERPRETER_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace tessera {
#define GEN_PASS_DECL
#include "lib/Interpreter/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "lib/Interpreter/Passes.h.inc"
} // namespace tessera

#endif // TESSERA_INTERPRETER_PASSES_H
