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
  WalkResult result = root->walk(
      [](CustomTangentOp op) -> WalkResult { return refuseForwardMode(op); });
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
    llvm::StringMap<FunctionOpInterface> unused;
    SmallVector<Operation *> users;
    for (auto function : module.getOps<FunctionOpInterface>())
      if (function.isPrivate())
        unused[function.getName()] = function;
      else
        users.push_back(function);
    while (!unused.empty() && !users.empty()) {
      // Of the function and of all ops in it.
      auto uses = SymbolTable::getSymbolUses(users.pop_back_val());
      if (!uses)
        return;
      for (SymbolTable::SymbolUse use : *uses) {
        auto used = unused.find(use.getSymbolRef().getRootReference());
        if (used == unused.end())
          continue;
        users.push_back(used->second);
        unused.erase(used);
      }
    }
    for (auto &entry : unused)
      entry.second->erase();
  }
};
} // namespace
