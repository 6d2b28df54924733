// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Loading; BindTensors.cpp places and binds, RunSteps.cpp executes.
#include "tessera-rt/Executable.h"
#include "tessera-rt/HostCores.h"
#include "tessera-rt/Registry.h"

#include <algorithm>

using namespace tessera;
using namespace tessera::rt;

Status Executable::outOfMemory(int index, int64_t bytes,
                               const std::string &what) {
  return Status::error("device " + std::to_string(index) + " has no " +
                       std::to_string(bytes) + " bytes of memory left for " +
                       what);
}

static bool isDevice(const std::string &name) {
  std::vector<std::string> names = deviceNames();
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// What the programs of a device are compiled for.
static std::string targetsOf(const std::string &device) {
  if (device == "cuda")
    return "'cuda:sm_80', 'cuda:sm_90a' or 'cuda:sm_100a', as the GPU is";
  return "'" + device + "'";
}

Result<std::unique_ptr<Executable>>
Executable::create(abi::Artefact artefact, const ExecutableOptions &options) {
  std::unique_ptr<Executable> self(new Executable());
  self->artefact = std::move(artefact);
  self->options = options;
  self->setTracing(false);
  if (Status status = self->open(); !status.ok())
    return status;
  if (Status status = self->device->load(self->artefact); !status.ok())
    return status;
  if (Status status = self->allocate(); !status.ok())
    return status;
  self->prepareSteps();
  self->bindOwnBuffers();
  return self;
}

/// Kept blocks go with the program, those of living tensors when they do.
Executable::~Executable() {
  inputStaging.clear();
  outputStaging.clear();
  if (results)
    results->setLimit(0);
}

/// The communicator, which knows the local devices, and those devices.
Status Executable::open() {
  const abi::Plan &plan = artefact.plan;
  Result<PlanTree> tree = PlanTree::create(plan);
  if (!tree.ok())
    return tree.status();
  blockTree = std::move(*tree);
  Result<int> threads =
      options.threads > 0 ? options.threads : defaultThreads();
  if (!threads.ok())
    return threads.status();
  pool = ThreadPool::shared(*threads);

  std::string kind = plan.target.substr(0, plan.target.find(':'));
  std::string name = options.device.empty() ? kind : options.device;
  if (Status status = checkDeviceCount(name, plan.mesh); !status.ok())
    return status;

  CommunicatorOptions communicatorOptions;
  communicatorOptions.numDevices = static_cast<int>(plan.numDevices());
  communicatorOptions.pool = pool;
  communicatorOptions.timeoutMs = options.timeoutMs;
  Result<std::unique_ptr<Communicator>> made =
      options.makeCommunicator
          ? options.makeCommunicator(communicatorOptions)
          : createCommunicator(options.communicator, communicatorOptions);
  if (!made.ok())
    return made.status();
  communicator = std::move(*made);
  const std::vector<int32_t> &local = communicator->localDevices();
  numLocal = static_cast<int>(local.size());
  devicesOf.resize(plan.programs.size());
  for (int d = 0; d < numLocal; ++d) {
    allDevices.push_back(d);
    for (size_t p = 0; p < plan.programs.size(); ++p)
      if (plan.programs[p].runsOn(local[d]))
        devicesOf[p].push_back(d);
  }

  DeviceOptions deviceOptions;
  deviceOptions.count = numLocal;
  deviceOptions.pool = pool;
  deviceOptions.timeoutMs = options.timeoutMs;
  deviceOptions.profile = options.profile;
  Result<std::unique_ptr<Device>> created = createDevice(name, deviceOptions);
  // A device that is not here would not have run the artefact either.
  bool isForAnother = name != kind && isDevice(name);
  if (created.ok() ? !(*created)->accepts(plan.target) : isForAnother)
    return Status::error("device '" + name +
                         "' cannot run this artefact, which was compiled for "
                         "target '" +
                         plan.target + "' and runs on device '" + kind +
                         "'; to run it on '" + name +
                         "', compile it for target " + targetsOf(name));
  if (!created.ok())
    return created.status();
  device = std::move(*created);
  return Status::success();
}

int64_t Executable::inputBytes(size_t input) const {
  const abi::Tensor &tensor = artefact.plan.inputs[input];
  return abi::numElements(tensor.shape) * abi::sizeOf(tensor.dtype);
}

static std::string meshText(const abi::Plan &plan) {
  std::string text;
  for (const abi::MeshAxis &axis : plan.mesh)
    text +=
        (text.empty() ? "" : " ") + axis.name + "=" + std::to_string(axis.size);
  return text;
}

Status Executable::allocate() {
  const abi::Plan &plan = artefact.plan;
  const std::vector<int32_t> &local = communicator->localDevices();
  auto own = std::make_shared<MemoryPool>(device);
  for (int d = 0; d < numLocal; ++d) {
    streams.push_back(device->stream(d));
    arenas.push_back(own->allocate(d, plan.arenaBytes));
    if (!arenas.back())
      return outOfMemory(local[d], plan.arenaBytes, "the arena");
    // Devices in host memory share one copy of the constants.
    if (d > 0 && device->usesHostMemory())
      continue;
    constants.push_back(own->allocate(d, artefact.constants.size()));
    if (!constants.back())
      return outOfMemory(local[d], artefact.constants.size(), "the constants");
    Status status =
        device->copyIn(d, constants.back().get(), artefact.constants.data(),
                       artefact.constants.size());
    if (!status.ok())
      return status;
  }
  // Both live on in device memory or are not needed again.
  artefact.constants = std::string();
  artefact.objects.clear();

  std::string mesh = meshText(plan);
  std::string space = device->usesHostMemory() ? "host" : device->name();
  for (const abi::Tensor &tensor : plan.inputs)
    inputPlacements.push_back(Placement::get(tensor, mesh, space, local));
  int64_t resultBytes = 0;
  for (const abi::Tensor &tensor : plan.outputs) {
    outputPlacements.push_back(Placement::get(tensor, mesh, space, local));
    resultBytes += std::max(outputPlacements.back()->blockBytes,
                            numLocal * outputPlacements.back()->localBytes);
  }
  results = std::make_shared<MemoryPool>(device);
  results->setLimit(resultBytes);
  inputStaging.resize(plan.inputs.size());
  outputStaging.resize(plan.outputs.size());
  boundInputs.resize(plan.inputs.size());
  for (size_t i = 0; i < plan.inputs.size(); ++i)
    if (int32_t value = plan.inputs[i].captured; value >= 0)
      if (Status status = bind(i, artefact.captured[value].data());
          !status.ok())
        return status;
  return Status::success();
}

void Executable::bindOwnBuffers() {
  const std::vector<abi::Buffer> &buffers = artefact.plan.buffers;
  for (int d = 0; d < numLocal; ++d) {
    auto *arena = static_cast<char *>(arenas[d].get());
    size_t copy = d < static_cast<int>(constants.size()) ? d : 0;
    auto *constant = static_cast<char *>(constants[copy].get());
    for (size_t b = 0; b < buffers.size(); ++b) {
      if (buffers[b].kind == abi::BufferKind::Arena)
        bindBuffer(d, static_cast<int32_t>(b), arena + buffers[b].offset);
      else if (buffers[b].kind == abi::BufferKind::Constant)
        bindBuffer(d, static_cast<int32_t>(b), constant + buffers[b].offset);
    }
  }
}
