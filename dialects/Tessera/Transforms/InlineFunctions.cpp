// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/Tessera.h"
#include "dialects/Tessera/Transforms/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

namespace tessera {
#define GEN_PASS_DEF_INLINEFUNCTIONS
#include "dialects/Tessera/Transforms/Passes.h.inc"
} // namespace tessera

using namespace mlir;
using namespace tessera;

/// Whether something may be inlined or be without a use: else there is one
/// function, which does not become a part of itself, and all can be named from
/// outside.
static bool mayLoseSymbols(ModuleOp module) {
  if (!llvm::hasSingleElement(module.getOps<FunctionOpInterface>()))
    return true;
  return llvm::any_of(module.getOps(), [](Operation &op) {
    auto symbol = dyn_cast<SymbolOpInterface>(op);
    return op.hasTrait<OpTrait::SymbolTable>() ||
           (symbol && !symbol.isPublic());
  });
}

namespace {
struct InlineFunctionsPass
    : tessera::impl::InlineFunctionsBase<InlineFunctionsPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (failed(verifyRegionsAreKnown(module, getArgument())))
      return signalPassFailure();
    // These look for uses in all attributes of all ops.
    bool mayLose = mayLoseSymbols(module);
    OpPassManager pipeline(ModuleOp::getOperationName());
    if (mayLose)
      pipeline.addPass(createInlinerPass());
    pipeline.addPass(createCanonicalizerPass());
    pipeline.addPass(createCSEPass());
    if (mayLose)
      pipeline.addPass(createSymbolDCEPass());
    if (failed(runPipeline(pipeline, module)))
      signalPassFailure();
  }
};
} // namespace
