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

/// Which step names each block of a plan, which program it is part of, and
/// which of its steps join programs.
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
  /// The index of the program that `block` is part of.
  int32_t programOf(int32_t block) const { return programs[block]; }
  /// Whether a step is a joint collective, or has one inside.
  bool isJoint(int32_t block, size_t step) const {
    return !joint.empty() && joint[block][step];
  }

private:
  void findJointSteps(const abi::Plan &plan);

  struct Parent {
    int32_t block = -1, step = -1;
  };
  std::vector<Parent> parents;
  std::vector<int32_t> programs;
  std::vector<std::vector<bool>> joint; ///< Empty where there is one program.
};

/// "step 3 (launch of 'matmul_0')"; "step 2.0 (copy)": step 0 of the body of
/// the loop that is step 2; "step 2.1.0 (copy)": step 0 of its second block.
/// Where there are several programs: "step 3 of program 'first' (copy)".
std::string describeStep(const abi::Plan &plan, const PlanTree &tree,
                         int32_t block, size_t index);

} // namespace tessera::rt

#endif // TESSERA_RT_PROGRAM_H
