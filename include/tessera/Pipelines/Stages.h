// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The one list of stages.
#ifndef TESSERA_PIPELINES_STAGES_H
#define TESSERA_PIPELINES_STAGES_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/LogicalResult.h"

#include <optional>

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace tessera {

enum class Stage {
  Tessera,
  Layouts,
  Reshards,
  Local,
  Kernels,
  Plan,
  LLVM,
  NVVM,
  PTX,
  Cubin,
  Object,
  Artefact,
};

struct StageInfo {
  Stage stage;
  /// As in `--emit=` and in the names of pipelines.
  llvm::StringRef name;
  /// What the stage holds, one sentence.
  llvm::StringRef summary;
  /// The stage that comes before it, itself for the first.
  Stage from;
  /// Textual pass pipeline from there; empty where it is not made by passes.
  llvm::StringRef pipeline;
  /// Targets that have it: "cpu", "cuda", or "" for all.
  llvm::StringRef target;
};

/// All stages in the order of the enum.
llvm::ArrayRef<StageInfo> getStages();
const StageInfo &getStageInfo(Stage stage);
/// The stage called `name`, if there is one.
std::optional<Stage> symbolizeStage(llvm::StringRef name);
/// "tessera, layouts, ...".
std::string listStages();
/// Adds the passes that lead to `stage`, one that passes make, and the check
/// that they do. The first of them has the options `firstOptions`, such as
/// "target=cuda". Problems with them are passed to `error`.
llvm::LogicalResult addStagePasses(
    mlir::OpPassManager &manager, Stage stage, llvm::StringRef firstOptions,
    llvm::function_ref<llvm::LogicalResult(const llvm::Twine &)> error);

} // namespace tessera

#endif // TESSERA_PIPELINES_STAGES_H
