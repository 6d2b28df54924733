// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Ops that do something besides computing values: barriers, prints and checks.
#ifndef TESSERA_DIALECTS_TESSERA_IR_EFFECTS_H
#define TESSERA_DIALECTS_TESSERA_IR_EFFECTS_H

#include "dialects/Tessera/IR/Tessera.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace tessera {

/// What debug_print and debug_check write to: they keep their order, and are
/// neither merged nor dropped nor moved out of a loop.
struct DebugResource : public mlir::SideEffects::Resource::Base<DebugResource> {
  llvm::StringRef getName() final { return "DebugResource"; }
};

/// Attribute of a barrier before what a checkpoint computes again: what is kept
/// for it and why; the op's description has the entries.
inline constexpr llvm::StringLiteral recomputationAttrName =
    "tessera.recomputation";

} // namespace tessera

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/EffectOps.h.inc"

#endif // TESSERA_DIALECTS_TESSERA_IR_EFFECTS_H
