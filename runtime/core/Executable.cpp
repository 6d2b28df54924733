// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Loading; BindTensors.cpp places and binds, RunSteps.cpp executes.
#include "tessera-rt/Executable.h"
#include "tessera-rt/HostCores.h"
#include "tessera-rt/Registry.h"

#include <algorithm>

using namespace tessera;
using namespace tessera::rt;

DeviceMemory::DeviceMemory(std::shared_ptr<Device> device, int index,
                           size_t bytes)
    : device(std::move(device)), index(index),
      memory(this->device->allocate(index, bytes)) {}

DeviceMemory &DeviceMemory::operator=(DeviceMemory &&other) {
  std::swap(device, other.device);
  std::swap(index, other.index);
  std::swap(memory, other.memory);
  return *this;
}

DeviceMemory::~DeviceMemory() {
  if (memory)
    device->release(index, memory);
}

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
  const abi::Plan &plan = self->artefact.plan;
  self->numDevices = static_cast<int>(plan.numDevices());
  Result<int> threads =
      options.threads > 0 ? options.threads : defaultThreads();
  if (!threads.ok())
    return threads.status();
  self->pool = ThreadPool::shared(*threads);

  std::string kind = plan.target.substr(0, plan.target.find(':'));
  std::string name = options.device.empty() ? kind : options.device;
  if (Status status = checkDeviceCount(name, plan.mesh); !status.ok())
    return status;
  DeviceOptions deviceOptions;
  deviceOptions.count = self->numDevices;
  deviceOptions.pool = self->pool;
  deviceOptions.timeoutMs = options.timeoutMs;
  deviceOptions.profile = options.profile;
  Result<std::unique_ptr<Device>> device = createDevice(name, deviceOptions);
  // A device that is not here would not have run the artefact either.
  bool isForAnother = name != kind && isDevice(name);
  if (device.ok() ? !(*device)->accepts(plan.target) : isForAnother)
    return Status::error("device '" + name +
                         "' cannot run this artefact, which was compiled for "
                         "target '" +
                         plan.target + "' and runs on device '" + kind +
                         "'; to run it on '" + name +
                         "', compile it for target " + targetsOf(name));
  if (!device.ok())
    return device.status();
  self->device = std::move(*device);

  CommunicatorOptions communicatorOptions;
  communicatorOptions.pool = self->pool;
  communicatorOptions.timeoutMs = options.timeoutMs;
  Result<std::unique_ptr<Communicator>> communicator =
      createCommunicator(options.communicator, communicatorOptions);
  if (!communicator.ok())
    return communicator.status();
  self->communicator = std::move(*communicator);

  if (Status status = self->device->load(self->artefact); !status.ok())
    return status;
  if (Status status = self->allocate(); !status.ok())
    return status;
  self->addressOwnBuffers();
  return self;
}

int64_t Executable::inputBytes(size_t input) const {
  const abi::Tensor &tensor = artefact.plan.inputs[input];
  return abi::numElements(tensor.shape) * abi::sizeOf(tensor.dtype);
}

Status Executable::allocate() {
  const abi::Plan &plan = artefact.plan;
  for (int d = 0; d < numDevices; ++d) {
    arenas.emplace_back(device, d, plan.arenaBytes);
    if (!arenas.back())
      return outOfMemory(d, plan.arenaBytes, "the arena");
    // Devices in host memory share one copy of the constants.
    if (d > 0 && device->usesHostMemory())
      continue;
    constants.emplace_back(device, d, artefact.constants.size());
    if (!constants.back())
      return outOfMemory(d, artefact.constants.size(), "the constants");
    Status status =
        device->copyIn(d, constants.back().get(), artefact.constants.data(),
                       artefact.constants.size());
    if (!status.ok())
      return status;
  }
  // Both live on in device memory or are not needed again.
  artefact.constants = std::string();
  artefact.objects.clear();

  for (const abi::Tensor &tensor : plan.inputs) {
    inputParts.push_back(describeParts(tensor));
    signatures.push_back(signatureOf(tensor));
  }
  for (const abi::Tensor &tensor : plan.outputs)
    outputParts.push_back(describeParts(tensor));
  inputStaging.resize(plan.inputs.size());
  outputStaging.resize(plan.outputs.size());
  return Status::success();
}

void Executable::addressOwnBuffers() {
  const std::vector<abi::Buffer> &buffers = artefact.plan.buffers;
  addresses.assign(numDevices, std::vector<void *>(buffers.size(), nullptr));
  for (int d = 0; d < numDevices; ++d) {
    auto *arena = static_cast<char *>(arenas[d].get());
    size_t copy = d < static_cast<int>(constants.size()) ? d : 0;
    auto *constant = static_cast<char *>(constants[copy].get());
    for (size_t b = 0; b < buffers.size(); ++b) {
      if (buffers[b].kind == abi::BufferKind::Arena)
        addresses[d][b] = arena + buffers[b].offset;
      else if (buffers[b].kind == abi::BufferKind::Constant)
        addresses[d][b] = constant + buffers[b].offset;
    }
  }
}

Executable::Parts Executable::describeParts(const abi::Tensor &tensor) {
  Parts parts(tensor.boxes.size());
  int64_t rank = static_cast<int64_t>(tensor.shape.size());
  for (size_t d = 0; d < parts.size(); ++d) {
    const abi::Box &box = tensor.boxes[d];
    for (size_t before = 0; before < d; ++before)
      if (tensor.boxes[before].begin == box.begin &&
          tensor.boxes[before].valid == box.valid)
        parts[d].isFirst = false;
    if (box.valid != tensor.localShape)
      continue;
    // Nothing lies anywhere; `begin` may be past the end.
    if (abi::numElements(box.valid) == 0) {
      parts[d].wholeOffset = 0;
      continue;
    }
    // One piece: dimensions of size 1, then one that is cut, then whole ones.
    int64_t dim = rank - 1;
    while (dim >= 0 && box.valid[dim] == tensor.shape[dim])
      --dim;
    bool isOnePiece = true;
    for (--dim; dim >= 0; --dim)
      isOnePiece &= box.valid[dim] == 1;
    if (!isOnePiece)
      continue;
    int64_t offset = 0;
    for (int64_t i = 0; i < rank; ++i)
      offset = offset * tensor.shape[i] + box.begin[i];
    parts[d].wholeOffset = offset * abi::sizeOf(tensor.dtype);
  }
  return parts;
}

std::string Executable::signatureOf(const abi::Tensor &tensor) const {
  std::string text = std::string(device->name()) + " " +
                     abi::toString(tensor.dtype) + " " + tensor.layout;
  auto append = [&](const std::vector<int64_t> &values) {
    text += " [";
    for (int64_t value : values)
      text += std::to_string(value) + " ";
    text += "]";
  };
  append(tensor.shape);
  append(tensor.localShape);
  for (const abi::MeshAxis &axis : artefact.plan.mesh)
    text += " " + axis.name + "=" + std::to_string(axis.size);
  return text;
}
