// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "test/lib/TestPasses.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/Pass.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace {
/// Prints the ops of a dialect, so that a test can tell whether it has a case
/// for each.
struct TestListOpsPass : PassWrapper<TestListOpsPass, OperationPass<>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(TestListOpsPass)

  TestListOpsPass() = default;
  TestListOpsPass(const TestListOpsPass &other) : PassWrapper(other) {}

  StringRef getArgument() const final { return "test-list-ops"; }
  StringRef getDescription() const final {
    return "Prints the names of a dialect's ops, a line each.";
  }

  void runOnOperation() override {
    if (!getContext().getOrLoadDialect(dialect)) {
      getOperation()->emitError("there is no dialect '") << dialect << "'";
      return signalPassFailure();
    }
    for (RegisteredOperationName name :
         getContext().getRegisteredOperationsByDialect(dialect))
      llvm::outs() << name.getStringRef() << "\n";
  }

  Option<std::string> dialect{*this, "dialect",
                              llvm::cl::desc("Whose ops to print"),
                              llvm::cl::init("tessera")};
};
} // namespace

void tessera::test::registerTestListOpsPass() {
  PassRegistration<TestListOpsPass>();
}
