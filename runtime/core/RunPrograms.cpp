// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Several programs at once, each on its own devices. They run in turn up to the
// next joint step, which all have alike, so that no wait between devices exists
// and every rank runs its collectives in one order.
#include "tessera-rt/Executable.h"

using namespace tessera;
using namespace tessera::rt;
using abi::Step;

Status Executable::runPrograms(const std::vector<int32_t> &blocks) {
  const std::vector<abi::Block> &all = artefact.plan.blocks;
  std::vector<size_t> next(blocks.size(), 0);
  while (true) {
    for (size_t p = 0; p < blocks.size(); ++p) {
      size_t count = all[blocks[p]].steps.size();
      program = p;
      for (; next[p] < count && !tree().isJoint(blocks[p], next[p]); ++next[p])
        if (!devices().empty())
          if (Status status = runStepOf(blocks[p], next[p]); !status.ok())
            return status;
    }
    // All have as many joint steps.
    if (next[0] == all[blocks[0]].steps.size())
      return Status::success();
    if (Status status = runJointStep(blocks, next); !status.ok())
      return status;
    for (size_t &index : next)
      ++index;
  }
}

/// The time is that of the first program's step.
Status Executable::runJointStep(const std::vector<int32_t> &blocks,
                                const std::vector<size_t> &indices) {
  int64_t begin = isMeasuring ? steadyTime() : 0;
  std::vector<const Step *> own;
  std::vector<BoundStep *> bound;
  for (size_t p = 0; p < blocks.size(); ++p) {
    own.push_back(&artefact.plan.blocks[blocks[p]].steps[indices[p]]);
    bound.push_back(&steps[firstStep[blocks[p]] + indices[p]]);
  }
  bool isLoop = own[0]->kind == abi::StepKind::Loop;
  Status status = isLoop ? runJointLoop(own) : runJointCollective(bound);
  if (!status.ok())
    return isLoop ? status
                  : status.in(describeStep(artefact.plan, tree(), blocks[0],
                                           indices[0]));
  if (!isMeasuring)
    return status;
  status = device->synchronize();
  Span whole = {begin, steadyTime()};
  launchSpans.assign(numLocal, Span());
  for (size_t p = 0; p < blocks.size() && isTracing; ++p)
    traceStep(blocks[p], indices[p], whole, devicesOf[p]);
  if (!options.profile)
    return status;
  for (size_t p = 0; p < blocks.size(); ++p)
    ++lastReport.steps[firstStep[blocks[p]] + indices[p]].runs;
  lastReport.steps[firstStep[blocks[0]] + indices[0]].nanoseconds +=
      whole.end - whole.begin;
  return status;
}

/// Each device gives and takes what the step of its program names.
Status Executable::runJointCollective(const std::vector<BoundStep *> &bound) {
  jointArgs.resize(2 * numLocal);
  for (size_t p = 0; p < bound.size(); ++p)
    for (int d : devicesOf[p])
      for (int32_t position = 0; position < 2; ++position)
        jointArgs[position * numLocal + d] = argument(*bound[p], d, position);
  return runCollective(*bound[0]->collective, jointArgs.data(), bound[0]->bytes,
                       allDevices);
}

Status Executable::runJointLoop(const std::vector<const Step *> &loops) {
  std::vector<int32_t> bodies;
  for (const Step *loop : loops)
    bodies.push_back(loop->blocks[0]);
  auto exchangeAll = [&] {
    for (program = 0; program < loops.size(); ++program)
      exchange(loops[program]->carries);
  };
  for (int64_t i = 0; i < loops[0]->count; ++i) {
    for (program = 0; program < loops.size(); ++program)
      if (Status status = beginIteration(*loops[program], i); !status.ok())
        return status;
    if (Status status = runPrograms(bodies); !status.ok())
      return status;
    exchangeAll();
  }
  // As in runLoop.
  if (loops[0]->count % 2 != 0)
    exchangeAll();
  return Status::success();
}
