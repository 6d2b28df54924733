// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Loading, placing and binding; RunSteps.cpp executes.
#include "tessera-rt/Executable.h"
#include "tessera-rt/BoxCopy.h"
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

static int64_t localBytes(const abi::Tensor &tensor) {
  return abi::numElements(tensor.localShape) * abi::sizeOf(tensor.dtype);
}

static Status outOfMemory(int index, int64_t bytes, const std::string &what) {
  return Status::error("device " + std::to_string(index) + " has no " +
                       std::to_string(bytes) + " bytes of memory left for " +
                       what);
}

Result<std::unique_ptr<Executable>>
Executable::create(abi::Artefact artefact, const ExecutableOptions &options) {
  std::unique_ptr<Executable> self(new Executable());
  self->artefact = std::move(artefact);
  self->options = options;
  const abi::Plan &plan = self->artefact.plan;
  self->numDevices = static_cast<int>(plan.numDevices());
  self->pool = ThreadPool::shared(options.threads);

  std::string name = options.device;
  if (name.empty())
    name = plan.target.substr(0, plan.target.find(':'));
  DeviceOptions deviceOptions;
  deviceOptions.count = self->numDevices;
  deviceOptions.pool = self->pool;
  deviceOptions.timeoutMs = options.timeoutMs;
  Result<std::unique_ptr<Device>> device = createDevice(name, deviceOptions);
  if (!device.ok())
    return device.status();
  if (!(*device)->accepts(plan.target))
    return Status::error("device '" + name +
                         "' cannot run this artefact: it was compiled for "
                         "target '" +
                         plan.target +
                         "'; compile it for the device, or run it on '" +
                         plan.target.substr(0, plan.target.find(':')) + "'");
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

Result<void *> Executable::stagingFor(std::vector<DeviceMemory> &memory,
                                      const abi::Tensor &tensor, int index) {
  memory.resize(numDevices);
  if (!memory[index])
    memory[index] = DeviceMemory(device, index, localBytes(tensor));
  if (!memory[index])
    return outOfMemory(index, localBytes(tensor), "'" + tensor.name + "'");
  return memory[index].get();
}

/// Writes device `index`'s part of the whole tensor `data` to `to`, with zeros
/// for padding.
Status Executable::cut(const abi::Tensor &tensor, int index, const void *data,
                       void *to) {
  size_t bytes = localBytes(tensor);
  const abi::Box &box = tensor.boxes[index];
  std::vector<char> host;
  void *local = to;
  if (!device->usesHostMemory()) {
    host.resize(bytes);
    local = host.data();
  }
  if (box.valid != tensor.localShape)
    std::fill_n(static_cast<char *>(local), bytes, 0);
  std::vector<int64_t> origin(tensor.shape.size(), 0);
  copyBox({local, tensor.localShape, origin}, {data, tensor.shape, box.begin},
          box.valid, abi::sizeOf(tensor.dtype));
  return local == to ? Status::success()
                     : device->copyIn(index, to, local, bytes);
}

static bool isAligned(const void *data, abi::DType dtype) {
  return reinterpret_cast<uintptr_t>(data) % abi::sizeOf(dtype) == 0;
}

Result<std::unique_ptr<PlacedTensor>> Executable::place(size_t input,
                                                        const void *data) {
  const abi::Tensor &tensor = artefact.plan.inputs[input];
  auto placed = std::make_unique<PlacedTensor>();
  placed->signature = signatures[input];
  if (device->usesHostMemory() && tensor.localShape == tensor.shape &&
      isAligned(data, tensor.dtype)) {
    placed->addresses.assign(numDevices, const_cast<void *>(data));
    return placed;
  }
  for (int d = 0; d < numDevices; ++d) {
    placed->owned.emplace_back(device, d, localBytes(tensor));
    if (!placed->owned.back())
      return outOfMemory(d, localBytes(tensor), "'" + tensor.name + "'");
    placed->addresses.push_back(placed->owned.back().get());
    if (Status status = cut(tensor, d, data, placed->addresses.back());
        !status.ok())
      return status.in("placing '" + tensor.name + "'");
  }
  return placed;
}

Status Executable::bindInputs(const Input *inputs) {
  for (size_t i = 0; i < artefact.plan.inputs.size(); ++i) {
    const abi::Tensor &tensor = artefact.plan.inputs[i];
    const PlacedTensor *placed = inputs[i].placed;
    if (placed && placed->signature != signatures[i])
      return Status::error("input " + std::to_string(i) + " ('" + tensor.name +
                           "') needs a tensor placed as " + signatures[i] +
                           ", got " + placed->signature);
    if (!placed && !inputs[i].data && inputBytes(i) > 0)
      return Status::error("input " + std::to_string(i) + " ('" + tensor.name +
                           "') has no data");
    bool inPlace =
        device->usesHostMemory() && isAligned(inputs[i].data, tensor.dtype);
    for (int d = 0; d < numDevices; ++d) {
      void *address = nullptr;
      int64_t offset = inputParts[i][d].wholeOffset;
      if (placed) {
        address = placed->addresses[d];
      } else if (inPlace && offset >= 0) {
        address =
            static_cast<char *>(const_cast<void *>(inputs[i].data)) + offset;
      } else {
        Result<void *> memory = stagingFor(inputStaging[i], tensor, d);
        if (!memory.ok())
          return memory.status();
        address = *memory;
        if (Status status = cut(tensor, d, inputs[i].data, address);
            !status.ok())
          return status.in("input '" + tensor.name + "'");
      }
      void *&bound = addresses[d][tensor.buffer];
      addressesChanged |= bound != address;
      bound = address;
    }
  }
  return Status::success();
}

/// The first holder of a part writes it in place where that is possible.
Status Executable::bindOutputs(void *const *outputs) {
  for (size_t i = 0; i < artefact.plan.outputs.size(); ++i) {
    const abi::Tensor &tensor = artefact.plan.outputs[i];
    bool inPlace =
        device->usesHostMemory() && isAligned(outputs[i], tensor.dtype);
    for (int d = 0; d < numDevices; ++d) {
      const Part &part = outputParts[i][d];
      void *address = nullptr;
      if (inPlace && part.isFirst && part.wholeOffset >= 0) {
        address = static_cast<char *>(outputs[i]) + part.wholeOffset;
      } else {
        Result<void *> memory = stagingFor(outputStaging[i], tensor, d);
        if (!memory.ok())
          return memory.status();
        address = *memory;
      }
      void *&bound = addresses[d][tensor.buffer];
      addressesChanged |= bound != address;
      bound = address;
    }
  }
  return Status::success();
}

Status Executable::joinOutputs(void *const *outputs) {
  for (size_t i = 0; i < artefact.plan.outputs.size(); ++i) {
    const abi::Tensor &tensor = artefact.plan.outputs[i];
    std::vector<int64_t> origin(tensor.shape.size(), 0);
    for (int d = 0; d < numDevices; ++d) {
      const Part &part = outputParts[i][d];
      void *local = addresses[d][tensor.buffer];
      bool isInPlace =
          part.wholeOffset >= 0 &&
          local == static_cast<char *>(outputs[i]) + part.wholeOffset;
      if (!part.isFirst || isInPlace)
        continue;
      std::vector<char> host;
      if (!device->usesHostMemory()) {
        host.resize(localBytes(tensor));
        if (Status status = device->copyOut(d, host.data(), local, host.size());
            !status.ok())
          return status.in("output '" + tensor.name + "'");
        local = host.data();
      }
      const abi::Box &box = tensor.boxes[d];
      copyBox({outputs[i], tensor.shape, box.begin},
              {local, tensor.localShape, origin}, box.valid,
              abi::sizeOf(tensor.dtype));
    }
  }
  return Status::success();
}
