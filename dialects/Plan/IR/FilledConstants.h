// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Which constants take part of the arena instead of the artefact.
#ifndef TESSERA_DIALECTS_PLAN_IR_FILLEDCONSTANTS_H
#define TESSERA_DIALECTS_PLAN_IR_FILLEDCONSTANTS_H

#include "dialects/Plan/IR/Plan.h"

namespace tessera::plan {

/// Splats above this size are filled at run time instead of stored.
inline constexpr int64_t maxStoredSplatBytes = 4096;

inline bool isFilled(mlir::ElementsAttr value) {
  return value.isSplat() &&
         byteSizeOf(value.getShapedType()) > maxStoredSplatBytes;
}

} // namespace tessera::plan

#endif // TESSERA_DIALECTS_PLAN_IR_FILLEDCONSTANTS_H
