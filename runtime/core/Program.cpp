// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/Program.h"
#include "tessera/ABI/PlanCodec.h"

using namespace tessera;
using namespace tessera::rt;

Result<abi::Artefact> tessera::rt::loadArtefact(const void *bytes,
                                                size_t size) {
  abi::Artefact artefact;
  std::string wrong =
      abi::decodeArtefact(static_cast<const char *>(bytes), size, artefact);
  if (!wrong.empty())
    return Status::error("the artefact " + wrong);
  Status status = validatePlan(artefact);
  if (!status.ok())
    return status.in("the artefact is inconsistent (written by compiler '" +
                     artefact.plan.compiler + "')");
  return artefact;
}

std::string tessera::rt::describeStep(const abi::Plan &plan, size_t index) {
  const abi::Step &step = plan.steps[index];
  std::string text = "step " + std::to_string(index) + " (";
  constexpr const char *names[] = {
      "launch",     "copy",      "fill",           "device_value", "all_reduce",
      "all_gather", "all_slice", "reduce_scatter", "all_to_all",   "permute"};
  if (step.kind == abi::StepKind::Launch &&
      static_cast<size_t>(step.kernel) < plan.kernels.size())
    text += "launch of '" + plan.kernels[step.kernel].name + "'";
  else if (step.kind <= abi::StepKind::Permute)
    text += names[static_cast<int>(step.kind)];
  else
    text += "unknown kind";
  if (!step.what.empty())
    text += ": " + step.what;
  return text + ")";
}
