// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Pipelines/Stages.h"
#include "tessera/Pipelines/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace tessera;
using llvm::StringRef;

static constexpr StageInfo stages[] = {
    {Stage::Tessera, "tessera",
     "The program on whole tensors, layouts open where the user left them.",
     Stage::Tessera, "", ""},
    {Stage::Layouts, "layouts", "Every tensor has a layout; ops may disagree.",
     Stage::Tessera,
     "tessera-verify-program,tessera-inline-calls,tessera-inline-functions,"
     "tessera-choose-expansions,tessera-propagate-layouts",
     ""},
    {Stage::Reshards, "reshards",
     "Every op is consistent with its factor rule; reshards stand between.",
     Stage::Layouts, "tessera-insert-reshards,canonicalize,cse", ""},
    {Stage::Local, "local",
     "The program of one device: local tensors and collectives.",
     Stage::Reshards,
     // A kernel's block holds whole rows and heads, but not larger ones.
     "tessera-partition,canonicalize,cse,tessera-hoist-invariants,"
     "dist-simplify-collectives,"
     "tessera-decompose-ops{ops=softmax,layer_norm,rms_norm,norm_tangent,"
     "attention,attention_gradient,attention_logsumexp "
     "rows-above=262144 heads-above=1024}",
     ""},
    {Stage::Kernels, "kernels",
     "Computation in tile kernels, launched by the host function.",
     Stage::Local, "convert-tessera-to-tile,canonicalize,cse", ""},
    {Stage::Plan, "plan", "The host program: buffers, launches, collectives.",
     Stage::Kernels, "convert-host-to-plan,plan.program(plan-assign-memory)",
     ""},
    {Stage::LLVM, "llvm", "The kernels for the CPU in the LLVM dialect.",
     Stage::Kernels, "convert-tile-to-cpu", "cpu"},
    {Stage::NVVM, "nvvm", "The kernels for a GPU in the NVVM dialect.",
     Stage::Kernels, "convert-tile-to-nvvm", "cuda"},
    {Stage::PTX, "ptx", "The GPU kernels as PTX text.", Stage::NVVM, "",
     "cuda"},
    {Stage::Cubin, "cubin", "The GPU kernels assembled by ptxas.", Stage::PTX,
     "", "cuda"},
    {Stage::Object, "object", "The CPU kernels as a shared object.",
     Stage::LLVM, "", "cpu"},
    {Stage::Artefact, "artefact",
     "One file that a runtime executes: the plan with its objects.",
     Stage::Plan, "", ""},
};

llvm::ArrayRef<StageInfo> tessera::getStages() { return stages; }

const StageInfo &tessera::getStageInfo(Stage stage) {
  return stages[static_cast<int>(stage)];
}

std::optional<Stage> tessera::symbolizeStage(StringRef name) {
  for (const StageInfo &info : stages)
    if (info.name == name)
      return info.stage;
  return std::nullopt;
}

std::string tessera::listStages() {
  return llvm::join(
      llvm::map_range(stages, [](const StageInfo &info) { return info.name; }),
      ", ");
}

llvm::LogicalResult tessera::addStagePasses(
    mlir::OpPassManager &manager, Stage stage, StringRef firstOptions,
    llvm::function_ref<llvm::LogicalResult(const llvm::Twine &)> error) {
  const StageInfo &info = getStageInfo(stage);
  size_t before = manager.size();
  std::string problem;
  llvm::raw_string_ostream os(problem);
  if (failed(mlir::parsePassPipeline(info.pipeline, manager, os)))
    return error(problem);
  mlir::Pass &first = *std::next(manager.begin(), before);
  if (!firstOptions.empty() &&
      failed(first.initializeOptions(firstOptions, error)))
    return llvm::failure();
  VerifyStageOptions options;
  options.stage = info.name.str();
  manager.addPass(createVerifyStage(options));
  return llvm::success();
}
