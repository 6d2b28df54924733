// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Steps, resolved to addresses.
#include "tessera-rt/Executable.h"

using namespace tessera;
using namespace tessera::rt;
using abi::Step;
using abi::StepKind;

void Executable::prepareSteps() {
  const abi::Plan &plan = artefact.plan;
  size_t buffers = plan.buffers.size();
  addresses.assign(numLocal, std::vector<void *>(buffers, nullptr));
  std::vector<const Step *> all;
  std::vector<const abi::Program *> programs; // Of those that run on some.
  for (size_t b = 0; b < plan.blocks.size(); ++b) {
    firstStep.push_back(all.size());
    const std::vector<Step> &own = plan.blocks[b].steps;
    for (size_t i = 0; i < own.size(); ++i) {
      all.push_back(&own[i]);
      bool isOfAll = plan.programs.size() == 1 ||
                     tree().isJoint(static_cast<int32_t>(b), i);
      programs.push_back(
          isOfAll ? nullptr
                  : &plan.programs[tree().programOf(static_cast<int32_t>(b))]);
    }
  }
  steps.resize(all.size());
  firstUse.assign(buffers + 1, 0);
  for (size_t i = 0; i < all.size(); ++i) {
    const Step &step = *all[i];
    BoundStep &bound = steps[i];
    size_t count = step.buffers.size();
    if (step.isCollective()) {
      bound.collective.emplace(step, plan.numDevices());
      if (programs[i])
        bound.collective->keepOnly(*programs[i]);
    }
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
  for (size_t i = 0; i < all.size(); ++i)
    for (size_t a = 0; a < all[i]->buffers.size(); ++a)
      uses[next[all[i]->buffers[a]]++] = {static_cast<int32_t>(i),
                                          static_cast<int32_t>(a)};
}

void *&Executable::argument(BoundStep &step, int device,
                            int32_t position) const {
  return step.collective ? step.args[position * numLocal + device]
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

Status Executable::runSteps() {
  device->takeTraffic(); // That of a run that failed.
  if (options.profile)
    for (size_t b = 0; b < firstStep.size(); ++b)
      for (size_t i = 0; i < artefact.plan.blocks[b].steps.size(); ++i)
        lastReport.steps.push_back(
            {static_cast<int32_t>(b), static_cast<int32_t>(i), 0, 0});
  std::vector<int32_t> entries;
  for (const abi::Program &each : artefact.plan.programs)
    entries.push_back(each.block);
  program = 0;
  Status status = entries.size() == 1 ? runBlock(0) : runPrograms(entries);
  if (!status.ok()) {
    // Loops may have ended with their buffers moved.
    bindOwnBuffers();
    return status;
  }
  if (Status status = device->synchronize(); !status.ok())
    return status;
  if (options.profile)
    lastReport.traffic = device->takeTraffic();
  return Status::success();
}

Status Executable::runCollective(const Collective &collective,
                                 void *const *args,
                                 const std::vector<int64_t> &bytes,
                                 const std::vector<int> &devices) {
  ++lastReport.collectives;
  lastReport.bytesSent += bytesMoved(collective);
  if (!communicator->reaches(*device))
    return runStaged(collective, args, bytes, devices);
  CollectiveBuffers buffers;
  buffers.inputs = args;
  buffers.outputs = args + numLocal;
  buffers.streams = streams.data();
  return communicator->run(collective, buffers);
}

/// Steps with tokens are complete at once, which makes Await do nothing.
Status Executable::runStep(const Step &step, BoundStep &bound) {
  switch (step.kind) {
  case StepKind::Launch: {
    lastReport.launches += static_cast<int64_t>(devices().size());
    Launch launch;
    launch.devices = &devices();
    launch.kernel = step.kernel;
    launch.args = bound.argsOfDevice.data();
    launch.bytes = &bound.bytes;
    launch.spans = isTracing ? launchSpans.data() : nullptr;
    return device->launch(launch);
  }
  case StepKind::AllReduce:
  case StepKind::AllGather:
  case StepKind::AllSlice:
  case StepKind::ReduceScatter:
  case StepKind::AllToAll:
  case StepKind::Permute:
    return runCollective(*bound.collective, bound.args.data(), bound.bytes,
                         devices());
  case StepKind::Loop:
    return runLoop(step);
  case StepKind::While:
    return runWhile(step);
  case StepKind::If:
    return runIf(step);
  case StepKind::Await:
    return Status::success();
  case StepKind::Print:
  case StepKind::Check:
    return runEffect(step);
  case StepKind::Copy:
  case StepKind::Fill:
  case StepKind::DeviceValue:
    break;
  }
  for (int d : devices()) {
    int32_t number = communicator->localDevices()[d];
    void *first = argument(bound, d, 0);
    Status status = Status::success();
    if (step.kind == StepKind::Copy) {
      status = device->copy(d, argument(bound, d, 1), first, bound.bytes[0]);
    } else if (step.kind == StepKind::Fill) {
      status = device->fill(d, first, step.pattern, bound.bytes[0]);
    } else {
      auto value = static_cast<int32_t>(
          abi::valueOf(step.query, step.size, step.digits, number));
      status = device->copyIn(d, first, &value, sizeof value);
    }
    if (!status.ok())
      return status.in("device " + std::to_string(number));
  }
  return Status::success();
}

/// A collective of devices whose memory the communicator does not reach: by way
/// of the host.
Status Executable::runStaged(const Collective &collective, void *const *args,
                             const std::vector<int64_t> &bytes,
                             const std::vector<int> &devices) {
  hostIn.resize(numLocal);
  hostOut.resize(numLocal);
  std::vector<const void *> inputs(numLocal);
  std::vector<void *> outputs(numLocal);
  for (int d : devices) {
    hostIn[d].resize(bytes[0]);
    hostOut[d].resize(bytes[1]);
    inputs[d] = hostIn[d].data();
    outputs[d] = hostOut[d].data();
    Status status = device->copyOut(d, hostIn[d].data(), args[d], bytes[0]);
    if (!status.ok())
      return status;
  }
  CollectiveBuffers buffers;
  buffers.inputs = inputs.data();
  buffers.outputs = outputs.data();
  if (Status status = communicator->run(collective, buffers); !status.ok())
    return status;
  for (int d : devices) {
    Status status =
        device->copyIn(d, args[numLocal + d], hostOut[d].data(), bytes[1]);
    if (!status.ok())
      return status;
  }
  return Status::success();
}
