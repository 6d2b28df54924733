// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/Executable.h"
#include "tessera-rt/Program.h"

#include <chrono>

using namespace tessera;
using namespace tessera::rt;
using abi::Step;
using abi::StepKind;

namespace {

int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

} // namespace

void Executable::prepareSteps() {
  const abi::Plan &plan = artefact.plan;
  size_t buffers = plan.buffers.size();
  addresses.assign(numLocal, std::vector<void *>(buffers, nullptr));
  steps.resize(plan.steps.size());
  firstUse.assign(buffers + 1, 0);
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const Step &step = plan.steps[i];
    BoundStep &bound = steps[i];
    size_t count = step.buffers.size();
    bound.isCollective = step.isCollective();
    bound.args.resize(count * numLocal);
    for (int d = 0; d < numLocal; ++d)
      bound.argsOfDevice.push_back(bound.args.data() + d * count);
    for (int32_t buffer : step.buffers) {
      bound.bytes.push_back(plan.buffers[buffer].bytes);
      ++firstUse[buffer + 1];
    }
  }
  for (size_t b = 0; b < buffers; ++b)
    firstUse[b + 1] += firstUse[b];
  uses.resize(firstUse[buffers]);
  std::vector<size_t> next(firstUse.begin(), firstUse.end() - 1);
  for (size_t i = 0; i < plan.steps.size(); ++i)
    for (size_t a = 0; a < plan.steps[i].buffers.size(); ++a)
      uses[next[plan.steps[i].buffers[a]]++] = {static_cast<int32_t>(i),
                                                static_cast<int32_t>(a)};
}

void *&Executable::argument(BoundStep &step, int device,
                            int32_t position) const {
  return step.isCollective ? step.args[position * numLocal + device]
                           : step.args[device * step.bytes.size() + position];
}

void Executable::bindBuffer(int device, int32_t buffer, void *address) {
  void *&bound = addresses[device][buffer];
  if (bound == address)
    return;
  bound = address;
  for (size_t i = firstUse[buffer]; i < firstUse[buffer + 1]; ++i)
    argument(steps[uses[i].step], device, uses[i].position) = address;
}

Status Executable::run(const Input *inputs, Output *outputs) {
  int64_t begin = now();
  int64_t cutBefore = transfers->cut, joinedBefore = transfers->joined;
  lastReport = RunReport();
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

  Status status = runSteps();
  for (size_t i = 0; i < plan.outputs.size() && status.ok(); ++i)
    if (outputs[i].data)
      status = joinOutput(i, outputs[i].data);
  for (size_t i = 0; i < plan.inputs.size(); ++i)
    if (inputs[i].donated && inputs[i].placed)
      inputs[i].placed->release();
  lastReport.nanoseconds = now() - begin;
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

Status Executable::runSteps() {
  device->takeTraffic(); // That of a run that failed.
  const std::vector<Step> &program = artefact.plan.steps;
  for (size_t i = 0; i < program.size(); ++i) {
    int64_t stepBegin = options.profile ? now() : 0;
    Status status = runStep(program[i], i);
    if (status.ok() && options.profile) {
      status = device->synchronize();
      lastReport.stepNanoseconds.push_back(now() - stepBegin);
    }
    if (!status.ok())
      return status.in(describeStep(artefact.plan, i));
  }
  if (Status status = device->synchronize(); !status.ok())
    return status;
  if (options.profile)
    lastReport.traffic = device->takeTraffic();
  return Status::success();
}

Status Executable::runStep(const Step &step, size_t index) {
  BoundStep &bound = steps[index];
  if (step.isCollective()) {
    ++lastReport.collectives;
    lastReport.bytesSent += bytesMoved(step);
    if (!communicator->reaches(*device))
      return runStaged(step, bound);
    CollectiveBuffers buffers;
    buffers.inputs = bound.args.data();
    buffers.outputs = bound.args.data() + numLocal;
    buffers.streams = streams.data();
    return communicator->run(step, buffers);
  }
  if (step.kind == StepKind::Launch) {
    lastReport.launches += numLocal;
    Launch launch;
    launch.kernel = step.kernel;
    launch.args = bound.argsOfDevice.data();
    launch.bytes = &bound.bytes;
    return device->launch(launch);
  }
  for (int d = 0; d < numLocal; ++d) {
    int32_t number = communicator->localDevices()[d];
    void *first = argument(bound, d, 0);
    Status status = Status::success();
    if (step.kind == StepKind::Copy) {
      status = device->copy(d, argument(bound, d, 1), first, bound.bytes[0]);
    } else if (step.kind == StepKind::Fill) {
      status = device->fill(d, first, step.pattern, bound.bytes[0]);
    } else {
      auto value = static_cast<int32_t>(step.values[number]);
      status = device->copyIn(d, first, &value, sizeof value);
    }
    if (!status.ok())
      return status.in("device " + std::to_string(number));
  }
  return Status::success();
}

/// A collective of devices whose memory the communicator does not reach: by way
/// of the host.
Status Executable::runStaged(const Step &step, BoundStep &bound) {
  hostIn.resize(numLocal);
  hostOut.resize(numLocal);
  std::vector<const void *> inputs(numLocal);
  std::vector<void *> outputs(numLocal);
  for (int d = 0; d < numLocal; ++d) {
    hostIn[d].resize(bound.bytes[0]);
    hostOut[d].resize(bound.bytes[1]);
    inputs[d] = hostIn[d].data();
    outputs[d] = hostOut[d].data();
    Status status = device->copyOut(d, hostIn[d].data(), argument(bound, d, 0),
                                    bound.bytes[0]);
    if (!status.ok())
      return status;
  }
  CollectiveBuffers buffers;
  buffers.inputs = inputs.data();
  buffers.outputs = outputs.data();
  if (Status status = communicator->run(step, buffers); !status.ok())
    return status;
  for (int d = 0; d < numLocal; ++d) {
    Status status = device->copyIn(d, argument(bound, d, 1), hostOut[d].data(),
                                   bound.bytes[1]);
    if (!status.ok())
      return status;
  }
  return Status::success();
}
