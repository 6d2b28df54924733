// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/Communicator.h"

#include <algorithm>

using namespace tessera;
using abi::StepKind;

rt::Collective::Collective(const abi::Step &step, int64_t numDevices)
    : step(&step) {
  if (step.kind != StepKind::Permute) {
    groups = abi::groupsAlong(step.digits, numDevices);
    return;
  }
  for (int64_t device = 0; device < numDevices; ++device)
    targets.push_back(static_cast<int32_t>(
        step.targets.empty() ? abi::targetOf(step.moves, device)
                             : step.targets[device]));
}

void rt::Collective::keepOnly(const abi::Program &program) {
  auto isElsewhere = [&](const std::vector<int32_t> &group) {
    return !program.runsOn(group.front());
  };
  groups.erase(std::remove_if(groups.begin(), groups.end(), isElsewhere),
               groups.end());
  for (size_t device = 0; device < targets.size(); ++device)
    if (!program.runsOn(static_cast<int64_t>(device)))
      targets[device] = -1;
}

int64_t rt::bytesMoved(const Collective &collective) {
  const abi::Step &step = *collective.step;
  int64_t bytes = abi::sizeOf(step.dtype);
  int64_t in = abi::numElements(step.inputShape) * bytes;
  int64_t out = abi::numElements(step.outputShape) * bytes;
  int64_t total = 0;
  for (const std::vector<int32_t> &group : collective.groups) {
    int64_t others = static_cast<int64_t>(group.size()) - 1;
    switch (step.kind) {
    case StepKind::AllReduce: // A reduce-scatter and an all-gather.
      total += 2 * others * in;
      break;
    case StepKind::AllGather:
      total += (others + 1) * others * in;
      break;
    case StepKind::ReduceScatter:
      total += (others + 1) * others * out;
      break;
    case StepKind::AllToAll:
      total += others * in;
      break;
    default:
      break;
    }
  }
  for (size_t d = 0; d < collective.targets.size(); ++d)
    if (collective.targets[d] >= 0 &&
        collective.targets[d] != static_cast<int32_t>(d))
      total += in;
  return total;
}
