// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Inputs and outputs of a run: placed tensors by their addresses, whole ones in
// place where a shard is one piece of them, else by way of memory of the
// executable's own.
#include "tessera-rt/Executable.h"

#include <set>

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
  // What a run writes must be memory of the devices' own.
  if (device->usesHostMemory() && tensor.localShape == tensor.shape &&
      isAligned(data, tensor.dtype) && !tensor.donated)
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

Status Executable::bind(size_t input, const void *data) {
  const abi::Tensor &tensor = artefact.plan.inputs[input];
  if (tensor.donated)
    return Status::error(inputName(input, tensor) +
                         " is donated, and would not have its value any more "
                         "after a run; compile without the donation to bind "
                         "it");
  auto placed = place(input, data);
  if (!placed.ok())
    return placed.status();
  boundInputs[input] = std::move(*placed);
  return Status::success();
}

Status Executable::checkInput(size_t index, const Input &input) const {
  const abi::Tensor &tensor = artefact.plan.inputs[index];
  if (boundInputs[index] && (input.placed || input.data))
    return Status::error(inputName(index, tensor) +
                         " has a value already, captured or bound; a run gives "
                         "none");
  if (boundInputs[index])
    return Status::success();
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

/// What the plan writes must be the caller's to give up, and no other device's;
/// otherwise it is a copy.
Result<PlacedTensor *> Executable::writableInput(size_t index,
                                                 const Input &input) {
  inputStaging[index].reset();
  if (isWritable(input))
    return input.placed;
  auto copy = allocateResult(inputPlacements[index]);
  if (!copy.ok())
    return copy.status();
  inputStaging[index] = std::move(*copy);
  PlacedTensor *staging = inputStaging[index].get();
  if (!input.placed) {
    if (Status status = staging->cut(input.data); !status.ok())
      return status;
    return staging;
  }
  for (int d = 0; d < numLocal; ++d)
    if (Status status =
            device->copy(d, staging->addresses[d], input.placed->addresses[d],
                         inputPlacements[index]->localBytes);
        !status.ok())
      return status;
  return staging;
}

Status Executable::bindInput(size_t index, const Input &input) {
  const abi::Tensor &tensor = artefact.plan.inputs[index];
  PlacedTensor *placed =
      boundInputs[index] ? boundInputs[index].get() : input.placed;
  if (tensor.donated) {
    Result<PlacedTensor *> writable = writableInput(index, input);
    if (!writable.ok())
      return writable.status().in("input '" + tensor.name + "'");
    placed = *writable;
  }
  if (placed) {
    for (int d = 0; d < numLocal; ++d)
      bindBuffer(d, tensor.buffer, placed->addresses[d]);
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

static Status partsElsewhere(const abi::Tensor &output) {
  return Status::error("output '" + output.name +
                       "' has parts in other processes; let it stay on the "
                       "devices and read the shards of this one");
}

/// The first holder of a part writes it in place where that is possible.
Status Executable::bindOutput(size_t index, Output &output) {
  const abi::Tensor &tensor = artefact.plan.outputs[index];
  const std::shared_ptr<const Placement> &placement = outputPlacements[index];
  if (tensor.tied >= 0)
    return output.data && !placement->isComplete
               ? partsElsewhere(tensor)
               : Status::success(); // It is where the input is.
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
    return partsElsewhere(tensor);
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

Status Executable::readWhole(const abi::Tensor &tensor, void *whole) {
  auto placement = Placement::get(
      tensor, "", device->usesHostMemory() ? "host" : device->name(),
      communicator->localDevices());
  if (!placement->isComplete)
    return Status::error("'" + tensor.name +
                         "' has parts in other processes, and this one "
                         "cannot read the value");
  if (Status status = device->synchronize(); !status.ok())
    return status;
  // The first holders may run other programs, where the buffer holds something
  // else.
  std::set<std::vector<int64_t>> seen;
  for (int d : devices()) {
    if (!seen.insert(placement->shards[d].box.begin).second)
      continue;
    if (Status status = joinShard(*placement, d, *device,
                                  addresses[d][tensor.buffer], whole);
        !status.ok())
      return status;
  }
  return Status::success();
}
