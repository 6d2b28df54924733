// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "test/lib/TestPasses.h"

#include "dialects/Tessera/IR/Tessera.h"

#include "mlir/Pass/Pass.h"

using namespace mlir;
using namespace tessera;

namespace {
/// Replaces each `tessera.select` by its first value: a program whose masks of
/// padding are forgotten, which the interpreter must notice.
struct TestDropSelectsPass : PassWrapper<TestDropSelectsPass, OperationPass<>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(TestDropSelectsPass)

  StringRef getArgument() const final { return "test-drop-selects"; }
  StringRef getDescription() const final {
    return "Replaces each tessera.select by its value where true.";
  }

  void runOnOperation() override {
    getOperation()->walk([](SelectOp op) {
      op.getResult().replaceAllUsesWith(op.getOnTrue());
      op.erase();
    });
  }
};
} // namespace

void tessera::test::registerTestDropSelectsPass() {
  PassRegistration<TestDropSelectsPass>();
}
