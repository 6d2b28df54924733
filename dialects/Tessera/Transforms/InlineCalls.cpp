// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/Calls.h"
#include "dialects/Tessera/Transforms/Passes.h"

namespace tessera {
#define GEN_PASS_DEF_INLINECALLS
#include "dialects/Tessera/Transforms/Passes.h.inc"
} // namespace tessera

using namespace mlir;
using namespace tessera;

/// A tangent that is left was asked for in forward mode.
static LogicalResult refuseTangents(Operation *root) {
  WalkResult result = root->walk([](CustomTangentOp op) {
    InFlightDiagnostic error =
        op.emitError() << "the derivative of this call is known in reverse "
                          "mode only, and is used in forward mode";
    error.attachNote() << "differentiate with grad or vjp, or give the "
                          "function a rule for jvp instead";
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

namespace {
struct InlineCallsPass : tessera::impl::InlineCallsBase<InlineCallsPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (failed(verifyRegionsAreKnown(module, getArgument())))
      return signalPassFailure();
    for (auto function : module.getOps<FunctionOpInterface>())
      if (!function.isPrivate() &&
          (failed(inlineCalls(function, [](CallOp) { return true; })) ||
           failed(refuseTangents(function))))
        return signalPassFailure();
    eraseUnusedFunctions(module);
    module.walk([](Operation *op) {
      if (!isa<StopGradientOp, CheckpointNameOp>(op))
        return;
      op->replaceAllUsesWith(ValueRange(op->getOperand(0)));
      op->erase();
    });
  }

private:
  /// Private functions that calls alone have used.
  static void eraseUnusedFunctions(ModuleOp module) {
    auto functions = module.getOps<FunctionOpInterface>();
    if (llvm::none_of(functions, [](auto f) { return f.isPrivate(); }))
      return;
    llvm::DenseSet<StringRef> used;
    // The uses of an op are with those of all that is nested in it.
    for (auto function : functions)
      if (!function.isPrivate())
        if (auto uses = SymbolTable::getSymbolUses(function))
          for (SymbolTable::SymbolUse use : *uses)
            used.insert(use.getSymbolRef().getRootReference().getValue());
    for (auto function :
         llvm::make_early_inc_range(module.getOps<FunctionOpInterface>()))
      if (function.isPrivate() && !used.contains(function.getName()))
        function->erase();
  }
};
} // namespace
