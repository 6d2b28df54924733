// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "test/lib/TestPasses.h"

#include "dialects/Tessera/IR/Tessera.h"

#include "mlir/Pass/Pass.h"

using namespace mlir;
using namespace tessera;

static std::vector<std::vector<int64_t>> shapesOf(TypeRange types) {
  std::vector<std::vector<int64_t>> shapes;
  for (Type type : types)
    shapes.push_back(shapeVector(type));
  return shapes;
}

/// ` linear={0,1:sum}{2:max}`, or nothing.
static std::string linearGroupsToString(const FactorRule &rule) {
  std::string text;
  for (const LinearGroup &group : rule.linear) {
    text += "{";
    for (auto [i, operand] : llvm::enumerate(group.operands))
      text += (i ? "," : "") + std::to_string(operand);
    text += std::string(":") + toString(group.kind) + "}";
  }
  return text.empty() ? text : " linear=" + text;
}

namespace {
/// Emits `<rule> <linear groups> flops=<n>` at each op and an error where the
/// rule does not fit the op's shapes.
struct TestFactorRulesPass : PassWrapper<TestFactorRulesPass, OperationPass<>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(TestFactorRulesPass)

  StringRef getArgument() const final { return "test-factor-rules"; }
  StringRef getDescription() const final {
    return "Emits the factor rule of every op as a remark.";
  }

  void runOnOperation() override {
    getOperation()->walk([&](FactorRuleInterface op) {
      FactorRule rule = op.getFactorRule();
      std::string problem = rule.verify(shapesOf(op->getOperandTypes()),
                                        shapesOf(op->getResultTypes()));
      if (!problem.empty()) {
        op->emitError() << "factor rule does not fit: " << problem;
        return signalPassFailure();
      }
      op->emitRemark() << rule.str() << linearGroupsToString(rule)
                       << " flops=" << static_cast<int64_t>(op.getFlops());
    });
  }
};
} // namespace

void tessera::test::registerTestFactorRulesPass() {
  PassRegistration<TestFactorRulesPass>();
}
