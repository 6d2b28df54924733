// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Runs, and the steps that have blocks: loops and conditionals.
#include "tessera-rt/Executable.h"

#include <algorithm>
#include <cstring>

using namespace tessera;
using namespace tessera::rt;
using abi::Step;

Status Executable::run(const Input *inputs, Output *outputs) {
  int64_t begin = steadyTime();
  int64_t cutBefore = transfers->cut, joinedBefore = transfers->joined;
  lastReport = RunReport();
  if (isTracing)
    lastTrace = RunTrace();
  const abi::Plan &plan = artefact.plan;
  for (size_t i = 0; i < plan.inputs.size(); ++i)
    if (Status status = checkInput(i, inputs[i]); !status.ok())
      return status;
  for (size_t i = 0; i < plan.inputs.size(); ++i)
    if (Status status = bindInput(i, inputs[i]); !status.ok())
      return status;
  for (size_t i = 0; i < plan.outputs.size(); ++i)
    if (Status status = bindOutput(i, outputs[i]); !status.ok())
      return status;

  int64_t beginSteps = isTracing ? steadyTime() : 0;
  Status status = runSteps();
  if (isTracing)
    lastTrace.steps = {beginSteps, steadyTime()};
  becomesResult.assign(plan.inputs.size(), false);
  for (size_t i = 0; i < plan.outputs.size() && status.ok(); ++i) {
    int32_t input = plan.outputs[i].tied;
    if (outputs[i].data)
      status = joinOutput(i, outputs[i].data);
    else if (input >= 0 && isWritable(inputs[input]))
      outputs[i].isInput = becomesResult[input] = true;
    else if (input >= 0)
      outputs[i].placed = std::move(inputStaging[input]);
  }
  for (size_t i = 0; i < plan.inputs.size(); ++i)
    if (inputs[i].donated && inputs[i].placed &&
        !(status.ok() && becomesResult[i]))
      inputs[i].placed->release();
  int64_t end = steadyTime();
  lastReport.nanoseconds = end - begin;
  if (isTracing)
    lastTrace.run = {begin, end};
  lastReport.bytesCut = transfers->cut - cutBefore;
  lastReport.bytesJoined = transfers->joined - joinedBefore;
  return status;
}

Status Executable::run(const Input *inputs, void *const *outputs) {
  std::vector<Output> wanted(artefact.plan.outputs.size());
  for (size_t i = 0; i < wanted.size(); ++i)
    wanted[i].data = outputs[i];
  return run(inputs, wanted.data());
}

Status Executable::runStepOf(int32_t block, size_t index) {
  const Step &step = artefact.plan.blocks[block].steps[index];
  Status status = isMeasuring ? runMeasured(block, index)
                              : runStep(step, steps[firstStep[block] + index]);
  if (status.ok() || step.isRegion())
    return status; // Names the step inside it.
  return status.in(describeStep(artefact.plan, tree(), block, index));
}

Status Executable::runBlock(int32_t block) {
  size_t count = artefact.plan.blocks[block].steps.size();
  for (size_t i = 0; i < count; ++i)
    if (Status status = runStepOf(block, i); !status.ok())
      return status;
  return Status::success();
}

void Executable::exchange(const std::vector<abi::Carry> &carries) {
  for (const abi::Carry &carry : carries)
    for (int d : devices()) {
      void *current = addresses[d][carry.current];
      bindBuffer(d, carry.current, addresses[d][carry.next]);
      bindBuffer(d, carry.next, current);
    }
}

Status Executable::beginIteration(const Step &loop, int64_t iteration) {
  int64_t at = loop.reverse ? loop.count - 1 - iteration : iteration;
  if (!loop.buffers.empty()) {
    auto index = static_cast<int32_t>(at);
    std::string pattern(reinterpret_cast<const char *>(&index), sizeof index);
    for (int d : devices())
      if (Status status =
              device->fill(d, addresses[d][loop.buffers[0]], pattern, 4);
          !status.ok())
        return status.in("device " + std::to_string(d));
  }
  for (const abi::Window &window : loop.windows)
    for (int d : devices())
      bindBuffer(d, window.buffer,
                 static_cast<char *>(addresses[d][window.base]) +
                     at * window.stride);
  return Status::success();
}

Status Executable::runLoop(const Step &step) {
  for (int64_t i = 0; i < step.count; ++i) {
    if (Status status = beginIteration(step, i); !status.ok())
      return status;
    if (Status status = runBlock(step.blocks[0]); !status.ok())
      return status;
    exchange(step.carries);
  }
  // Outside of the loop, buffers have the memory that they had before it.
  if (step.count % 2 != 0)
    exchange(step.carries);
  return Status::success();
}

Status Executable::runWhile(const Step &step) {
  bool isOdd = false;
  for (int64_t trips = 0;; ++trips) {
    if (Status status = runBlock(step.blocks[0]); !status.ok())
      return status;
    int32_t goesOn = trips == 0;
    if (device->computes()) {
      Result<int32_t> predicate = readScalar(step.buffers[0]);
      if (!predicate.ok())
        return predicate.status();
      goesOn = *predicate;
    }
    if (!goesOn)
      break;
    if (Status status = runBlock(step.blocks[1]); !status.ok())
      return status;
    exchange(step.carries);
    isOdd = !isOdd;
  }
  if (!isOdd)
    return Status::success();
  exchange(step.carries);
  for (const abi::Carry &carry : step.carries)
    for (int d : devices())
      if (Status status = device->copy(d, addresses[d][carry.current],
                                       addresses[d][carry.next],
                                       artefact.plan.buffers[carry.next].bytes);
          !status.ok())
        return status.in("device " + std::to_string(d));
  return Status::success();
}

Status Executable::runIf(const Step &step) {
  int64_t last = static_cast<int64_t>(step.blocks.size()) - 1;
  int64_t selected = 0;
  if (device->computes()) {
    Result<int32_t> selector = readScalar(step.buffers[0]);
    if (!selector.ok())
      return selector.status();
    selected = std::clamp<int64_t>(*selector, 0, last);
  }
  return runBlock(step.blocks[selected]);
}

Result<int32_t> Executable::readScalar(int32_t buffer) {
  if (Status status = device->synchronize(); !status.ok())
    return status;
  int64_t bytes = artefact.plan.buffers[buffer].bytes;
  auto read = [&](int d, int32_t &value) {
    // A byte of 0 or 1, or an i32.
    char data[4] = {};
    Status status = device->copyOut(d, data, addresses[d][buffer], bytes);
    std::memcpy(&value, data, sizeof value);
    return status;
  };
  int32_t first = 0;
  if (Status status = read(devices().front(), first); !status.ok())
    return status;
  // Reading another device's memory waits for it, which costs time on a GPU.
  if (!device->usesHostMemory())
    return first;
  for (int d : devices()) {
    int32_t other = 0;
    if (Status status = read(d, other); !status.ok())
      return status;
    if (other != first)
      return Status::error("devices would take different paths: the condition "
                           "is " +
                           std::to_string(first) + " on one and " +
                           std::to_string(other) + " on device " +
                           std::to_string(communicator->localDevices()[d]));
  }
  return first;
}
