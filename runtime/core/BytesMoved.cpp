// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/Communicator.h"

using namespace tessera;
using abi::StepKind;

int64_t rt::bytesMoved(const abi::Step &step) {
  int64_t bytes = abi::sizeOf(step.dtype);
  int64_t in = abi::numElements(step.inputShape) * bytes;
  int64_t out = abi::numElements(step.outputShape) * bytes;
  int64_t total = 0;
  for (const std::vector<int32_t> &group : step.groups) {
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
  if (step.kind == StepKind::Permute)
    for (size_t d = 0; d < step.values.size(); ++d)
      total += step.values[d] == static_cast<int64_t>(d) ? 0 : in;
  return total;
}
