// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Artefacts as the runtime accepts them.
#ifndef TESSERA_RT_PROGRAM_H
#define TESSERA_RT_PROGRAM_H

#include "tessera-rt/Status.h"
#include "tessera/ABI/PlanFormat.h"

namespace tessera::rt {

/// Reads an artefact and checks it as a whole: executing what this returns
/// touches no memory outside its buffers (kernels aside, which are trusted).
Result<abi::Artefact> loadArtefact(const void *bytes, size_t size);

/// Checks every index, size, enumerator and shape of a plan. Part of
/// loadArtefact; for plans that were not read from bytes.
Status validatePlan(const abi::Artefact &artefact);

/// Which step names each block of a plan.
class PlanTree {
public:
  /// Fails where a block is named twice, not at all, or by itself or a later
  /// one.
  static Result<PlanTree> create(const abi::Plan &plan);

  /// The step of a block that names `block`; -1 for the entry of a program.
  int32_t parentOf(int32_t block) const { return parents[block].block; }
  int32_t stepOf(int32_t block) const { return parents[block].step; }
  /// Whether `block` is `ancestor` or inside one of its steps.
  bool isInside(int32_t block, int32_t ancestor) const;

private:
  struct Parent {
    int32_t block = -1, step = -1;
  };
  std::vector<Parent> parents;
};

/// "step 3 (launch of 'matmul_0')"; "step 2.0 (copy)": step 0 of the body of
/// the loop that is step 2; "step 2.1.0 (copy)": step 0 of its second block.
std::string describeStep(const abi::Plan &plan, const PlanTree &tree,
                         int32_t block, size_t index);

} // namespace tessera::rt

#endif // TESSERA_RT_PROGRAM_H
