// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Vectorize.h"
#include "dialects/Tessera/Batching/Passes.h"

namespace tessera {
#define GEN_PASS_DEF_VECTORIZE
#include "dialects/Tessera/Batching/Passes.h.inc"
} // namespace tessera

using namespace mlir;
using namespace tessera;

namespace {
struct VectorizePass : tessera::impl::VectorizeBase<VectorizePass> {
  using VectorizeBase::VectorizeBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (failed(verifyRegionsAreKnown(module, getArgument())) ||
        failed(vectorize(module)))
      signalPassFailure();
  }

private:
  LogicalResult vectorize(ModuleOp module) {
    auto target = module.lookupSymbol<func::FuncOp>(function);
    if (!target)
      return module.emitError() << "there is no function @" << function
                                << " to compute a batch of";
    SmallVector<bool> arguments(target.getNumArguments(), batched.empty());
    for (unsigned number : batched) {
      if (number >= arguments.size())
        return target.emitError()
               << "there is no argument " << number << " to batch; function @"
               << function << " has " << arguments.size();
      arguments[number] = true;
    }
    BatchOptions options;
    options.size = size;
    options.axes.assign(axes.begin(), axes.end());
    FailureOr<BatchedFunction> made =
        makeBatched(target, arguments, BatchedResult::Batched, options,
                    function + ".batched");
    if (failed(made))
      return failure();
    made->function.setVisibility(target.getVisibility());
    for (unsigned i = 0; i < arguments.size(); ++i)
      if (Attribute name = target.getArgAttr(i, "tessera.name"))
        made->function.setArgAttr(i, "tessera.name", name);
    return success();
  }
};
} // namespace
