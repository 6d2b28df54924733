// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Inputs and outputs of a run: placed tensors by their addresses, whole ones in
// place where a shard is one piece of them, else by way of memory of the
// executable's own.
#include "tessera-rt/Executable.h"

using namespace tessera;
using namespace tessera::rt;

static bool isAligned(const void *data, abi::DType dtype) {
  return reinterpret_cast<uintptr_t>(data) % abi::sizeOf(dtype) == 0;
}

Result<std::unique_ptr<PlacedTensor>>
Executable::allocateResult(const std::shared_ptr<const Placement> &placement) {
  return PlacedTensor::allocate(placement, *results, transfers);
}

Result<PlacedTensor *>
Executable::stagingFor(std::unique_ptr<PlacedTensor> &memory,
                       const std::shared_ptr<const Placement> &placement) {
  if (!memory) {
    auto allocated = allocateResult(placement);
    if (!allocated.ok())
      return allocated.status();
    memory = std::move(*allocated);
  }
  return memory.get();
}

Result<std::unique_ptr<PlacedTensor>> Executable::place(size_t input,
                                                        const void *data) {
  const abi::Tensor &tensor = artefact.plan.inputs[input];
  const std::shared_ptr<const Placement> &placement = inputPlacements[input];
  if (device->usesHostMemory() && tensor.localShape == tensor.shape &&
      isAligned(data, tensor.dtype))
    return PlacedTensor::borrow(placement, device, const_cast<void *>(data),
                                transfers);
  auto placed = allocateResult(placement);
  Status status = placed.ok() ? (*placed)->cut(data) : placed.status();
  if (!status.ok())
    return status.in("placing '" + tensor.name + "'");
  return placed;
}

Result<std::unique_ptr<PlacedTensor>>
Executable::reshard(size_t input, const PlacedTensor &from) {
  auto placed = allocateResult(inputPlacements[input]);
  Status status = placed.ok() ? (*placed)->reshard(from) : placed.status();
  if (!status.ok())
    return status.in("resharding '" + artefact.plan.inputs[input].name + "'");
  return placed;
}

static std::string inputName(size_t index, const abi::Tensor &tensor) {
  return "input " + std::to_string(index) + " ('" + tensor.name + "')";
}

Status Executable::checkInput(size_t index, const Input &input) const {
  const abi::Tensor &tensor = artefact.plan.inputs[index];
  if (!input.placed)
    return input.data || inputBytes(index) == 0
               ? Status::success()
               : Status::error(inputName(index, tensor) + " has no data");
  if (input.placed->isConsumed())
    return Status::error(inputName(index, tensor) +
                         " was donated to an earlier run, which has taken its "
                         "memory");
  if (input.placed->placement == inputPlacements[index])
    return Status::success();
  return Status::error(inputName(index, tensor) + " needs a tensor placed as " +
                       inputPlacements[index]->describe() + ", got " +
                       input.placed->placement->describe());
}

Status Executable::bindInput(size_t index, const Input &input) {
  const abi::Tensor &tensor = artefact.plan.inputs[index];
  if (input.placed) {
    for (int d = 0; d < numLocal; ++d)
      bindBuffer(d, tensor.buffer, input.placed->addresses[d]);
    return Status::success();
  }
  const Placement &placement = *inputPlacements[index];
  bool inPlace =
      device->usesHostMemory() && isAligned(input.data, tensor.dtype);
  for (int d = 0; d < numLocal; ++d) {
    int64_t offset = placement.shards[d].wholeOffset;
    if (inPlace && offset >= 0) {
      char *data = static_cast<char *>(const_cast<void *>(input.data));
      bindBuffer(d, tensor.buffer, data + offset);
      continue;
    }
    auto staging = stagingFor(inputStaging[index], inputPlacements[index]);
    Status status =
        staging.ok() ? (*staging)->cutShard(d, input.data) : staging.status();
    if (!status.ok())
      return status.in("input '" + tensor.name + "'");
    bindBuffer(d, tensor.buffer, (*staging)->addresses[d]);
  }
  return Status::success();
}

/// The first holder of a part writes it in place where that is possible.
Status Executable::bindOutput(size_t index, Output &output) {
  const abi::Tensor &tensor = artefact.plan.outputs[index];
  const std::shared_ptr<const Placement> &placement = outputPlacements[index];
  if (!output.data) {
    auto placed = allocateResult(placement);
    if (!placed.ok())
      return placed.status().in("output '" + tensor.name + "'");
    output.placed = std::move(*placed);
    for (int d = 0; d < numLocal; ++d)
      bindBuffer(d, tensor.buffer, output.placed->addresses[d]);
    return Status::success();
  }
  if (!placement->isComplete)
    return Status::error("output '" + tensor.name +
                         "' has parts in other processes; let it stay on the "
                         "devices and read the shards of this one");
  bool inPlace =
      device->usesHostMemory() && isAligned(output.data, tensor.dtype);
  for (int d = 0; d < numLocal; ++d) {
    const Shard &shard = placement->shards[d];
    if (inPlace && shard.isFirst && shard.wholeOffset >= 0) {
      bindBuffer(d, tensor.buffer,
                 static_cast<char *>(output.data) + shard.wholeOffset);
      continue;
    }
    auto staging = stagingFor(outputStaging[index], placement);
    if (!staging.ok())
      return staging.status().in("output '" + tensor.name + "'");
    bindBuffer(d, tensor.buffer, (*staging)->addresses[d]);
  }
  return Status::success();
}

Status Executable::joinOutput(size_t index, void *whole) {
  const abi::Tensor &tensor = artefact.plan.outputs[index];
  const Placement &placement = *outputPlacements[index];
  for (int d = 0; d < numLocal; ++d) {
    const Shard &shard = placement.shards[d];
    void *local = addresses[d][tensor.buffer];
    bool isInPlace = shard.wholeOffset >= 0 &&
                     local == static_cast<char *>(whole) + shard.wholeOffset;
    if (!shard.isFirst || isInPlace)
      continue;
    Status status = joinShard(placement, d, *device, local, whole);
    if (!status.ok())
      return status.in("output '" + tensor.name + "'");
    transfers->joined +=
        abi::numElements(shard.box.valid) * abi::sizeOf(tensor.dtype);
  }
  return Status::success();
}
