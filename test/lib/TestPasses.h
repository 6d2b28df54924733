// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Passes that only tests run; tessera-opt registers them.
#ifndef TESSERA_TEST_LIB_TESTPASSES_H
#define TESSERA_TEST_LIB_TESTPASSES_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace tessera::test {

/// The dialect `testing`, of one op with a region that no pass knows.
void registerTestingDialect(mlir::DialectRegistry &registry);

/// `test-factor-rules`: a remark with the factor rule of every op that has one.
void registerTestFactorRulesPass();

/// `test-drop-selects`: every tessera.select becomes its value where true.
void registerTestDropSelectsPass();

/// `test-list-ops`: prints the names of a dialect's ops.
void registerTestListOpsPass();

/// `test-run-each`: each pipeline of a file on a copy of the module.
void registerTestRunEachPass();

inline void registerTestPasses() {
  registerTestFactorRulesPass();
  registerTestDropSelectsPass();
  registerTestListOpsPass();
  registerTestRunEachPass();
}

} // namespace tessera::test

#endif // TESSERA_TEST_LIB_TESTPASSES_H
