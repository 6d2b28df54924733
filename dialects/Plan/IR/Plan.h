// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The plan dialect: the host program.
#ifndef TESSERA_DIALECTS_PLAN_IR_PLAN_H
#define TESSERA_DIALECTS_PLAN_IR_PLAN_H

#include "dialects/Dist/IR/Dist.h"
#include "dialects/Plan/IR/AsyncSteps.h"

#include "dialects/Plan/IR/PlanDialect.h.inc"
#include "dialects/Plan/IR/PlanEnums.h.inc"
#include "dialects/Plan/IR/PlanInterfaces.h.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/Plan/IR/PlanTypes.h.inc"

#define GET_OP_CLASSES
#include "dialects/Plan/IR/ProgramOps.h.inc"
#define GET_OP_CLASSES
#include "dialects/Plan/IR/StageOps.h.inc"
#define GET_OP_CLASSES
#include "dialects/Plan/IR/StepOps.h.inc"
#define GET_OP_CLASSES
#include "dialects/Plan/IR/RegionOps.h.inc"

namespace tessera::plan {

/// Bytes of a tensor in memory; i1 elements take one byte.
int64_t byteSizeOf(mlir::Type tensor);

/// The buffer whose memory `buffer` is part of: the base of a window, else
/// itself.
mlir::Value getMemory(mlir::Value buffer);

/// The buffers that an op writes by itself, carried values included.
llvm::SmallVector<mlir::Value> getWrittenBuffers(mlir::Operation *op);

} // namespace tessera::plan

#endif // TESSERA_DIALECTS_PLAN_IR_PLAN_H
