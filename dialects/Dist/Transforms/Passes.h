// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Passes within the dist dialect.
#ifndef TESSERA_DIALECTS_DIST_TRANSFORMS_PASSES_H
#define TESSERA_DIALECTS_DIST_TRANSFORMS_PASSES_H

#include "dialects/Dist/IR/Dist.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace tessera::dist {
#define GEN_PASS_DECL
#include "dialects/Dist/Transforms/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "dialects/Dist/Transforms/Passes.h.inc"
} // namespace tessera::dist

#endif // TESSERA_DIALECTS_DIST_TRANSFORMS_PASSES_H
