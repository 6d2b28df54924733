// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Pipelines/Registration.h"

#include "dialects/Dist/IR/Dist.h"
#include "dialects/Plan/IR/Plan.h"
#include "dialects/Plan/Transforms/Passes.h"
#include "dialects/Tessera/Batching/Passes.h"
#include "dialects/Tessera/Derivatives/Passes.h"
#include "dialects/Tessera/IR/Tessera.h"
#include "dialects/Tessera/Transforms/Passes.h"
#include "dialects/Tile/IR/Tile.h"
#include "tessera/Conversion/Passes.h"
#include "tessera/Interpreter/Passes.h"
#include "tessera/Pipelines/Passes.h"
#include "tessera/Pipelines/Stages.h"
#include "tessera/Target/Passes.h"
#include "tessera/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/Extensions/InlinerExtension.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

#include <mutex>

using namespace mlir;
using namespace tessera;

void tessera::registerTesseraDialects(DialectRegistry &registry) {
  registry.insert<arith::ArithDialect, func::FuncDialect, TesseraDialect,
                  dist::DistDialect, tile::TileDialect, plan::PlanDialect,
                  gpu::GPUDialect, LLVM::LLVMDialect, NVVM::NVVMDialect>();
  func::registerInlinerExtension(registry);
}

/// `tessera-<from>-to-<stage>` for each stage that passes make. Its options are
/// those of its first pass.
static void registerStagePipelines() {
  for (const StageInfo &info : getStages()) {
    if (info.pipeline.empty())
      continue;
    std::string name =
        ("tessera-" + getStageInfo(info.from).name + "-to-" + info.name).str();
    registerPassPipeline(
        name, info.summary,
        [stage = info.stage](OpPassManager &manager, StringRef options,
                             function_ref<LogicalResult(const Twine &)> error) {
          return addStagePasses(manager, stage, options, error);
        },
        [](function_ref<void(const mlir::detail::PassOptions &)>) {});
  }
}

void tessera::registerTesseraPasses() {
  static std::once_flag once;
  std::call_once(once, [] {
    registerTransformsPasses();
    registerConversionPasses();
    registerTargetPasses();
    registerInterpreterPasses();
    registerTesseraTransformsPasses();
    registerTesseraBatchingPasses();
    registerTesseraDerivativesPasses();
    registerCrossDialectPasses();
    registerPlanTransformsPasses();
    registerPipelinesPasses();
    registerStagePipelines();
  });
}
