// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Which stage a module is of, so that the text of any stage can be fed back in.
#ifndef TESSERA_LIB_PIPELINES_FINDSTAGE_H
#define TESSERA_LIB_PIPELINES_FINDSTAGE_H

#include "tessera/Pipelines/Stages.h"

#include "mlir/IR/BuiltinOps.h"

namespace tessera {

/// The stage that `module` says it has reached (tessera.stage) or else, of a
/// program written by hand, the latest one that its ops and types allow; one on
/// mesh tensors then goes through all stages, which keep what is decided. An
/// error where the attribute names no stage.
llvm::FailureOr<Stage> findStage(mlir::ModuleOp module);

/// Succeeds where `to` is made from `from`, the stage of `module`. A plan has
/// its kernels with it, so code is made from it, too.
llvm::LogicalResult checkLeadsTo(mlir::ModuleOp module, Stage from, Stage to,
                                 bool isGPU);

/// Succeeds where `module`, of stage `start`, has a program called `entry`;
/// code alone has none.
llvm::LogicalResult checkEntry(mlir::ModuleOp module, Stage start,
                               llvm::StringRef entry);

} // namespace tessera

#endif // TESSERA_LIB_PIPELINES_FINDSTAGE_H
