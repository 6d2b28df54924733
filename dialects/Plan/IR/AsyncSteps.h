// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Steps that are complete at a plan.await.
#ifndef TESSERA_DIALECTS_PLAN_IR_ASYNCSTEPS_H
#define TESSERA_DIALECTS_PLAN_IR_ASYNCSTEPS_H

#include "mlir/IR/OpDefinition.h"

namespace tessera::plan {

/// Verifies a step that may have a token: it is waited for in its block, and
/// until then no other step conflicts with it.
mlir::LogicalResult verifyAsyncStep(mlir::Operation *op);

/// Where the step's reads and writes are complete: its plan.await, or the step
/// itself where it has no token. Null where it is not waited for.
mlir::Operation *getCompletion(mlir::Operation *step);

} // namespace tessera::plan

#endif // TESSERA_DIALECTS_PLAN_IR_ASYNCSTEPS_H
