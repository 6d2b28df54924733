// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Passes within the tessera dialect.
#ifndef TESSERA_DIALECTS_TESSERA_TRANSFORMS_PASSES_H
#define TESSERA_DIALECTS_TESSERA_TRANSFORMS_PASSES_H

#include "dialects/Tessera/IR/Tessera.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace tessera {
/// Unit attribute of ops that tessera-decompose-ops is to write out when it has
/// the option only-marked.
inline constexpr llvm::StringLiteral expandAttrName = "tessera.expand";

#define GEN_PASS_DECL
#include "dialects/Tessera/Transforms/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "dialects/Tessera/Transforms/Passes.h.inc"
} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_TRANSFORMS_PASSES_H
