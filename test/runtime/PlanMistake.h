// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Changes of a valid plan that its validation is to name.
#ifndef TESSERA_TEST_RUNTIME_PLANMISTAKE_H
#define TESSERA_TEST_RUNTIME_PLANMISTAKE_H

#include "tessera-rt/Program.h"

#include <functional>
#include <gtest/gtest.h>

namespace tessera::test {

struct PlanMistake {
  const char *name;
  std::function<void(abi::Plan &)> make;
  const char *message; ///< Part of the error.
};

/// `artefact` is valid, and with the mistake it is not.
inline void expectNamed(const PlanMistake &mistake, abi::Artefact artefact) {
  ASSERT_EQ(rt::validatePlan(artefact).message(), "");
  mistake.make(artefact.plan);
  std::string error = rt::validatePlan(artefact).message();
  EXPECT_NE(error.find(mistake.message), std::string::npos) << error;
}

} // namespace tessera::test

#endif // TESSERA_TEST_RUNTIME_PLANMISTAKE_H
