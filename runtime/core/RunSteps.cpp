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

/// Resolves every step's buffers to addresses, so that running a step looks
/// nothing up.
void Executable::bindSteps() {
  const abi::Plan &plan = artefact.plan;
  steps.resize(plan.steps.size());
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const Step &step = plan.steps[i];
    BoundStep &bound = steps[i];
    bound.args.resize(numDevices);
    bound.argsOfDevice.resize(numDevices);
    bound.bytes.clear();
    for (int32_t buffer : step.buffers)
      bound.bytes.push_back(plan.buffers[buffer].bytes);
    for (int d = 0; d < numDevices; ++d) {
      bound.args[d].clear();
      for (int32_t buffer : step.buffers)
        bound.args[d].push_back(addresses[d][buffer]);
      bound.argsOfDevice[d] = bound.args[d].data();
    }
    if (!step.isCollective())
      continue;
    bound.collectiveInputs.resize(numDevices);
    bound.collectiveOutputs.resize(numDevices);
    for (int d = 0; d < numDevices; ++d) {
      bound.collectiveInputs[d] = bound.args[d][0];
      bound.collectiveOutputs[d] = bound.args[d][1];
    }
  }
  addressesChanged = false;
}

Status Executable::run(const Input *inputs, void *const *outputs) {
  int64_t begin = now();
  lastReport = RunReport();
  device->takeTraffic(); // That of a run that failed.
  if (Status status = bindInputs(inputs); !status.ok())
    return status;
  if (Status status = bindOutputs(outputs); !status.ok())
    return status;
  if (addressesChanged)
    bindSteps();

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
  if (Status status = joinOutputs(outputs); !status.ok())
    return status;
  lastReport.nanoseconds = now() - begin;
  if (options.profile)
    lastReport.traffic = device->takeTraffic();
  return Status::success();
}

Status Executable::runStep(const Step &step, size_t index) {
  BoundStep &bound = steps[index];
  if (step.isCollective()) {
    ++lastReport.collectives;
    lastReport.bytesSent += bytesMoved(step);
    if (device->usesHostMemory())
      return communicator->run(step, bound.collectiveInputs.data(),
                               bound.collectiveOutputs.data());
    return runStaged(step, bound);
  }
  if (step.kind == StepKind::Launch) {
    lastReport.launches += numDevices;
    Launch launch;
    launch.kernel = step.kernel;
    launch.args = bound.argsOfDevice.data();
    launch.bytes = &bound.bytes;
    return device->launch(launch);
  }
  for (int d = 0; d < numDevices; ++d) {
    void *first = bound.args[d][0];
    Status status = Status::success();
    if (step.kind == StepKind::Copy) {
      status = device->copy(d, bound.args[d][1], first, bound.bytes[0]);
    } else if (step.kind == StepKind::Fill) {
      status = device->fill(d, first, step.pattern, bound.bytes[0]);
    } else {
      auto value = static_cast<int32_t>(step.values[d]);
      status = device->copyIn(d, first, &value, sizeof value);
    }
    if (!status.ok())
      return status.in("device " + std::to_string(d));
  }
  return Status::success();
}

/// A collective of devices whose memory the communicator cannot reach: by way
/// of the host.
Status Executable::runStaged(const Step &step, BoundStep &bound) {
  hostIn.resize(numDevices);
  hostOut.resize(numDevices);
  std::vector<const void *> inputs(numDevices);
  std::vector<void *> outputs(numDevices);
  for (int d = 0; d < numDevices; ++d) {
    hostIn[d].resize(bound.bytes[0]);
    hostOut[d].resize(bound.bytes[1]);
    inputs[d] = hostIn[d].data();
    outputs[d] = hostOut[d].data();
    Status status =
        device->copyOut(d, hostIn[d].data(), bound.args[d][0], bound.bytes[0]);
    if (!status.ok())
      return status;
  }
  if (Status status = communicator->run(step, inputs.data(), outputs.data());
      !status.ok())
    return status;
  for (int d = 0; d < numDevices; ++d) {
    Status status =
        device->copyIn(d, bound.args[d][1], hostOut[d].data(), bound.bytes[1]);
    if (!status.ok())
      return status;
  }
  return Status::success();
}
