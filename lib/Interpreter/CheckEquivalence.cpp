// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/DataFlow.h"
#include "tessera/Interpreter/Interpreter.h"
#include "tessera/Interpreter/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "llvm/Support/Format.h"

namespace tessera {
#define GEN_PASS_DEF_CHECKEQUIVALENCE
#include "lib/Interpreter/Passes.h.inc"
} // namespace tessera

using namespace mlir;
using namespace tessera;

/// Parses `builtin.module(...)` or a list of passes on a module.
static FailureOr<OpPassManager> parsePipeline(StringRef text,
                                              raw_ostream &errors) {
  text = text.trim();
  if (text.starts_with("builtin.module("))
    return parsePassPipeline(text, errors);
  OpPassManager manager(ModuleOp::getOperationName());
  if (failed(parsePassPipeline(text, manager, errors)))
    return failure();
  return manager;
}

/// Index of element `i` of a tensor of `shape`: `[1, 2]`.
static std::string indexToString(int64_t i, const Shape &shape) {
  std::string text;
  Shape strides = rowMajorStrides(shape);
  for (size_t d = 0; d < shape.size(); ++d)
    text += (d ? ", " : "") + std::to_string(i / strides[d] % shape[d]);
  return "[" + text + "]";
}

namespace {
struct CheckEquivalencePass
    : tessera::impl::CheckEquivalenceBase<CheckEquivalencePass> {
  using CheckEquivalenceBase::CheckEquivalenceBase;

  /// The pipeline's passes create ops of these dialects.
  void getDependentDialects(DialectRegistry &registry) const override {
    FailureOr<OpPassManager> passes = parsePipeline(pipeline, llvm::nulls());
    if (succeeded(passes))
      passes->getDependentDialects(registry);
  }

  LogicalResult runPipeline(ModuleOp module);
  LogicalResult compare(func::FuncOp before, func::FuncOp after,
                        uint64_t runSeed);
  LogicalResult check(ModuleOp before, ModuleOp after);
  void runOnOperation() override;
};
} // namespace

LogicalResult CheckEquivalencePass::runPipeline(ModuleOp module) {
  std::string message;
  llvm::raw_string_ostream errors(message);
  FailureOr<OpPassManager> passes = parsePipeline(pipeline, errors);
  if (failed(passes))
    return module.emitError() << "tessera-check-equivalence: cannot parse "
                                 "pipeline '"
                              << pipeline << "': " << message;
  PassManager manager(module.getContext(), ModuleOp::getOperationName());
  static_cast<OpPassManager &>(manager) = *passes;
  return manager.run(module);
}

LogicalResult CheckEquivalencePass::compare(func::FuncOp before,
                                            func::FuncOp after,
                                            uint64_t runSeed) {
  FailureOr<std::vector<Tensor>> inputs = randomInputs(before, runSeed);
  if (failed(inputs))
    return failure();
  FailureOr<std::vector<Tensor>> expected = interpret(before, *inputs);
  if (failed(expected))
    return failure();
  FailureOr<std::vector<Tensor>> actual = interpret(after, *inputs);
  if (failed(actual))
    return failure();
  if (expected->size() != actual->size())
    return before.emitOpError()
           << "gives " << expected->size() << " results, but after the "
           << "pipeline " << actual->size();
  for (auto [i, want, got] : llvm::enumerate(*expected, *actual)) {
    if (want.shape != got.shape || want.kind != got.kind)
      return before.emitOpError()
             << "result " << i << " has type "
             << toString(want.shape, want.kind) << ", but after the pipeline "
             << toString(got.shape, got.kind);
    double tolerance = rtol < 0 ? defaultTolerance(want.kind) : rtol;
    std::optional<Difference> worst = findDifference(want, got, tolerance);
    if (!worst)
      continue;
    std::string text;
    llvm::raw_string_ostream(text)
        << llvm::format("is %g, but after the pipeline %g (difference %g)",
                        worst->expected, worst->actual, worst->absolute);
    InFlightDiagnostic error = before.emitOpError()
                               << "result " << i << " at "
                               << indexToString(worst->index, want.shape) << " "
                               << text << ", with seed " << runSeed;
    error.attachNote(after.getLoc())
        << "run the pipeline '" << pipeline << "' to see what it became";
    return failure();
  }
  return success();
}

LogicalResult CheckEquivalencePass::check(ModuleOp before, ModuleOp after) {
  for (auto function : before.getOps<func::FuncOp>()) {
    if (!function.isPublic() || function.isExternal())
      continue;
    auto other = after.lookupSymbol<func::FuncOp>(function.getSymName());
    if (!other)
      return function.emitOpError() << "is gone after the pipeline";
    for (unsigned run = 0; run < runs; ++run)
      if (failed(compare(function, other, seed + run)))
        return failure();
  }
  return success();
}

void CheckEquivalencePass::runOnOperation() {
  if (failed(verifyRegionsAreKnown(getOperation(), getArgument())))
    return signalPassFailure();
  OwningOpRef<ModuleOp> after(getOperation().clone());
  if (failed(runPipeline(*after)) || failed(check(getOperation(), *after)))
    signalPassFailure();
  markAllAnalysesPreserved();
}
