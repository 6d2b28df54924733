// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Every op of the dialect is differentiated, or says why not.
#include "dialects/Tessera/Derivatives/Rules.h"
#include "dialects/Tessera/IR/Tessera.h"

#include "mlir/IR/MLIRContext.h"

#include "gtest/gtest.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::derivatives;

namespace {

TEST(DerivativeRulesTest, EveryOpHasARuleOrARefusal) {
  MLIRContext context;
  context.loadDialect<TesseraDialect>();
  unsigned count = 0;
  for (RegisteredOperationName name :
       context.getRegisteredOperationsByDialect("tessera")) {
    ++count;
    EXPECT_NE(getDerivativeRules().find(name.getStringRef()), nullptr)
        << name.getStringRef().str()
        << " has no derivative rule: add one to a file of "
           "dialects/Tessera/Derivatives, none() where its results do not "
           "change with its operands, or refuse() with the reason";
  }
  EXPECT_GT(count, 60u);
}

/// Forward mode makes a linear program of these, which reverse mode reads.
TEST(DerivativeRulesTest, OpsThatMoveElementsAreTransposed) {
  for (StringRef name : {"add",
                         "sub",
                         "neg",
                         "mul",
                         "div",
                         "select",
                         "convert",
                         "reshape",
                         "transpose",
                         "broadcast",
                         "slice",
                         "pad",
                         "concatenate",
                         "contract",
                         "reduce",
                         "cumulative",
                         "gather",
                         "scatter",
                         "dynamic_slice",
                         "dynamic_update_slice",
                         "scan",
                         "cond",
                         "constrain",
                         "reshard",
                         "barrier",
                         "custom_tangent",
                         "attention_tangent"}) {
    const DerivativeRule *rule =
        getDerivativeRules().find(("tessera." + name).str());
    ASSERT_NE(rule, nullptr) << name.str();
    EXPECT_TRUE(static_cast<bool>(rule->transpose)) << name.str();
  }
}

TEST(DerivativeRulesTest, RefusalsSayWhy) {
  const DerivativeRule *rule =
      getDerivativeRules().find("tessera.custom_tangent");
  ASSERT_NE(rule, nullptr);
  EXPECT_NE(rule->refusal.find("reverse mode"), std::string::npos);
}

} // namespace
