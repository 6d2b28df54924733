// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the IR of a stage may hold, as docs/architecture.md states it.
#ifndef TESSERA_LIB_PIPELINES_STAGECONTRACT_H
#define TESSERA_LIB_PIPELINES_STAGECONTRACT_H

#include "tessera/Pipelines/Stages.h"

#include "mlir/IR/BuiltinOps.h"

namespace tessera {

/// Whose fault a broken contract is.
enum class ContractParty {
  /// The program was given as one of that stage.
  Input,
  /// Passes made it: an internal error.
  Passes,
};

/// Whether `stage` has a contract that can be checked: it is a module that
/// passes make. Programs of stage `tessera` are checked by
/// tessera-verify-program instead, as users write them.
bool hasContract(Stage stage);

/// Checks that `module` is of `stage`. The first violation is an error at the
/// op. Linear in the ops; quadratic in the pieces of a plan's arena.
llvm::LogicalResult verifyStage(mlir::ModuleOp module, Stage stage,
                                ContractParty party);

} // namespace tessera

#endif // TESSERA_LIB_PIPELINES_STAGECONTRACT_H
