// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Steps that run blocks: loops and conditionals.
#include "PlanChecks.h"

#include <set>

using namespace tessera;
using namespace tessera::rt;
using namespace tessera::abi;

static Status checkWindow(const StepContext &context, const Step &loop,
                          const Window &window) {
  // PlanMemory has checked that both buffers exist and are visible.
  int64_t bytes = context.plan.buffers[window.buffer].bytes;
  int64_t room = context.plan.buffers[window.base].bytes - bytes;
  bool fits = window.stride >= 0 && room >= 0 &&
              (loop.count <= 1 || window.stride == 0 ||
               loop.count - 1 <= room / window.stride);
  return check(loop.count == 0 || fits,
               "moves window " + str(window.buffer) + " of " + str(bytes) +
                   " bytes by " + str(window.stride) +
                   " out of its buffer of " + str(room + bytes));
}

/// Carried values have memory of equal size that may be exchanged.
static Status checkCarries(const StepContext &context, const Step &step) {
  std::set<int32_t> seen;
  for (const Carry &carry : step.carries) {
    for (int32_t buffer : {carry.current, carry.next}) {
      if (Status use = context.memory.checkUse(buffer, context.block);
          !use.ok())
        return use;
      if (!context.memory.isWritable(buffer))
        return Status::error("carries a value in a constant, or in an input "
                             "that is not donated");
      if (!seen.insert(buffer).second)
        return Status::error("carries two values in buffer " + str(buffer));
    }
    if (context.plan.buffers[carry.current].bytes !=
        context.plan.buffers[carry.next].bytes)
      return Status::error("exchanges buffers of different size");
    if (context.memory.overlap(carry.current, carry.next))
      return Status::error("exchanges buffers that overlap");
  }
  return Status::success();
}

Status tessera::rt::checkRegions(const StepContext &context, const Step &step) {
  const std::vector<Buffer> &buffers = context.plan.buffers;
  if (step.kind == StepKind::If) {
    int64_t bytes = buffers[step.buffers[0]].bytes;
    if (bytes != 1 && bytes != 4)
      return Status::error("selects by " + str(bytes) +
                           " bytes; expected one i1 or one i32");
    return check(bytes == 4 ? !step.blocks.empty() : step.blocks.size() == 2,
                 "has " + str(step.blocks.size()) +
                     " branches; an i1 selects one of two");
  }
  if (Status carries = checkCarries(context, step); !carries.ok())
    return carries;
  if (step.kind == StepKind::While)
    return check(step.blocks.size() == 2 && buffers[step.buffers[0]].bytes == 1,
                 "needs a condition, a body and a predicate of one byte");
  if (step.blocks.size() != 1)
    return Status::error("has " + str(step.blocks.size()) +
                         " bodies, expected 1");
  if (step.count < 0 || step.count > INT32_MAX)
    return Status::error("runs " + str(step.count) + " times; expected 0 to " +
                         str(INT32_MAX));
  if (!step.buffers.empty() && buffers[step.buffers[0]].bytes != 4)
    return Status::error("counts in a buffer of " +
                         str(buffers[step.buffers[0]].bytes) +
                         " bytes, expected one i32");
  for (const Window &window : step.windows)
    if (Status status = checkWindow(context, step, window); !status.ok())
      return status;
  return Status::success();
}
