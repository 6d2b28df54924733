// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Whole tensors to devices and back: in place where a part is one piece of the
// whole tensor, else by way of memory of the executable's own.
#include "tessera-rt/BoxCopy.h"
#include "tessera-rt/Executable.h"

#include <algorithm>

using namespace tessera;
using namespace tessera::rt;

static int64_t localBytes(const abi::Tensor &tensor) {
  return abi::numElements(tensor.localShape) * abi::sizeOf(tensor.dtype);
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
