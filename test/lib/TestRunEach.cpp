// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "test/lib/TestPasses.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;

namespace {
/// Runs each of many pipelines on a copy of the module, as so many calls of
/// tessera-opt would, of which each reads the module anew. What a pipeline
/// makes is dropped, and so is what it says: passes may refuse a module. One
/// that fails and says nothing is an error.
struct TestRunEachPass : PassWrapper<TestRunEachPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(TestRunEachPass)

  TestRunEachPass() = default;
  TestRunEachPass(const TestRunEachPass &other) : PassWrapper(other) {}

  StringRef getArgument() const final { return "test-run-each"; }
  StringRef getDescription() const final {
    return "Runs each pipeline of a file, a line each, on a copy.";
  }

  /// A new context may load no dialect once passes run.
  void getDependentDialects(DialectRegistry &registry) const override {
    (void)forEachPipeline([&](StringRef text) {
      OpPassManager manager = nestingImplicitly();
      if (succeeded(parsePassPipeline(text, manager, llvm::nulls())))
        manager.getDependentDialects(registry);
      return success();
    });
  }

  void runOnOperation() override {
    if (!llvm::MemoryBuffer::getFile(file)) {
      getOperation().emitError()
          << "cannot read the file of rows, '" << file << "'";
      return signalPassFailure();
    }
    if (failed(forEachPipeline([&](StringRef text) { return run(text); })))
      signalPassFailure();
  }

private:
  static OpPassManager nestingImplicitly() {
    return OpPassManager(ModuleOp::getOperationName(),
                         OpPassManager::Nesting::Implicit);
  }

  template <typename Fn> LogicalResult forEachPipeline(Fn fn) const {
    auto buffer = llvm::MemoryBuffer::getFile(file, /*IsText=*/true);
    if (!buffer)
      return failure();
    SmallVector<StringRef> lines;
    (*buffer)->getBuffer().split(lines, '\n', -1, /*KeepEmpty=*/false);
    LogicalResult result = success();
    for (StringRef line : lines)
      if (failed(fn(line)))
        result = failure();
    return result;
  }

  LogicalResult run(StringRef text) {
    PassManager manager(&getContext(), ModuleOp::getOperationName(),
                        OpPassManager::Nesting::Implicit);
    std::string problem;
    llvm::raw_string_ostream os(problem);
    if (failed(parsePassPipeline(text, manager, os)))
      return getOperation().emitError()
             << "row '" << text << "' of the file does not parse: " << problem;
    OwningOpRef<ModuleOp> copy(getOperation().clone());
    bool hasSaid = false;
    bool failed = false;
    {
      ScopedDiagnosticHandler handler(&getContext(), [&](Diagnostic &said) {
        hasSaid |= said.getSeverity() == DiagnosticSeverity::Error;
        return success();
      });
      failed = mlir::failed(manager.run(*copy));
    }
    if (failed && !hasSaid)
      return getOperation().emitError()
             << "'" << text << "' fails without a diagnostic";
    return success();
  }

  Option<std::string> file{*this, "file",
                           llvm::cl::desc("File of the pipelines")};
};
} // namespace

void tessera::test::registerTestRunEachPass() {
  PassRegistration<TestRunEachPass>();
}
