// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What a plan has: its mesh, buffers, tensors and kernels.
#include "PlanChecks.h"
#include "tessera-rt/Program.h"
#include "tessera/ABI/KernelABI.h"

#include <algorithm>
#include <set>

using namespace tessera;
using namespace tessera::rt;
using namespace tessera::abi;

namespace {

class Validator {
public:
  explicit Validator(const Artefact &artefact)
      : artefact(artefact), plan(artefact.plan) {}

  Status run();

private:
  Status checkMesh();
  Status checkPrograms() const;
  Status checkArenaIsFilled() const;
  Status checkBuffer(const Buffer &buffer) const;
  Status checkTensor(const Tensor &tensor, BufferKind kind, size_t index) const;
  Status checkInput(const Tensor &tensor, size_t index) const;
  Status checkOutput(const Tensor &tensor, size_t index) const;
  Status checkKernel(const Kernel &kernel) const;
  Status checkBlocks() const;

  const Artefact &artefact;
  const Plan &plan;
  int64_t numDevices = 1;
};

Status Validator::checkMesh() {
  for (const MeshAxis &axis : plan.mesh) {
    if (axis.size < 1 || axis.size > maxMeshDevices / numDevices)
      return Status::error("mesh axis '" + axis.name + "' of size " +
                           str(axis.size) + " makes more than " +
                           str(maxMeshDevices) + " devices, or none");
    numDevices *= axis.size;
  }
  return Status::success();
}

/// Every device runs exactly one program.
Status Validator::checkPrograms() const {
  if (plan.programs.empty() || plan.programs[0].block != 0)
    return Status::error("no program has block 0 as its entry");
  const std::vector<Digit> &digits = plan.programs[0].digits;
  std::set<std::vector<int64_t>> seen;
  for (const Program &program : plan.programs) {
    if (program.digits.size() != digits.size() ||
        !std::equal(digits.begin(), digits.end(), program.digits.begin()) ||
        program.values.size() != digits.size())
      return Status::error("program '" + program.name +
                           "' is told apart by other digits than the first");
    for (size_t i = 0; i < digits.size(); ++i)
      if (program.values[i] < 0 || program.values[i] >= digits[i].size)
        return Status::error("program '" + program.name +
                             "' has a value that its digit does not have");
    if (!seen.insert(program.values).second)
      return Status::error("program '" + program.name +
                           "' is for the devices of another one");
  }
  if (!areIndependent(digits, numDevices))
    return Status::error("programs are told apart by digits that device "
                         "numbers do not have");
  return check(static_cast<int64_t>(seen.size()) == countOf(digits),
               "there are " + str(seen.size()) + " programs for " +
                   str(countOf(digits)) + " sets of devices");
}

Status Validator::checkBuffer(const Buffer &buffer) const {
  if (buffer.offset < 0 || buffer.bytes < 0 || buffer.bytes > maxBytes)
    return Status::error("has a negative or absurd place");
  uint64_t offset = buffer.offset, bytes = buffer.bytes;
  switch (buffer.kind) {
  case BufferKind::Arena:
    if (offset % bufferAlignment != 0)
      return Status::error("is not aligned");
    return check(offset <= uint64_t(plan.arenaBytes) &&
                     bytes <= plan.arenaBytes - offset,
                 "ends past the arena of " + str(plan.arenaBytes) + " bytes");
  case BufferKind::Input:
    return check(offset < plan.inputs.size(), "is of an unknown input");
  case BufferKind::Output:
    return check(offset < plan.outputs.size(), "is of an unknown output");
  case BufferKind::Constant:
    return check(offset <= artefact.constants.size() &&
                     bytes <= artefact.constants.size() - offset,
                 "ends past the constants");
  case BufferKind::Window:
    return check(offset == 0, "is a window with an offset");
  }
  return Status::error("has an unknown kind");
}

/// So that a wrong size does not take memory that nobody uses.
Status Validator::checkArenaIsFilled() const {
  int64_t end = 0;
  for (const Buffer &buffer : plan.buffers)
    if (buffer.kind == BufferKind::Arena)
      end = std::max(end, buffer.offset + buffer.bytes);
  end = (end + bufferAlignment - 1) / bufferAlignment * bufferAlignment;
  return check(plan.arenaBytes <= end, "the arena has " + str(plan.arenaBytes) +
                                           " bytes, its buffers need " +
                                           str(end));
}

Status Validator::checkTensor(const Tensor &tensor, BufferKind kind,
                              size_t index) const {
  if (Status form = checkTensorForm(tensor, numDevices); !form.ok())
    return form;
  return check(isIndexOf(plan.buffers, tensor.buffer) &&
                   plan.buffers[tensor.buffer].kind == kind &&
                   plan.buffers[tensor.buffer].offset ==
                       static_cast<int64_t>(index) &&
                   plan.buffers[tensor.buffer].bytes ==
                       bytesOf(tensor.localShape, tensor.dtype),
               "does not match its buffer");
}

Status Validator::checkInput(const Tensor &tensor, size_t index) const {
  Status status = checkTensor(tensor, BufferKind::Input, index);
  if (!status.ok() || tensor.captured < 0)
    return status;
  if (!isIndexOf(artefact.captured, tensor.captured))
    return Status::error("has captured value " + str(tensor.captured) + " of " +
                         str(artefact.captured.size()));
  if (tensor.donated)
    return Status::error("is captured and donated; it would not be the same "
                         "in the next run");
  int64_t bytes = artefact.captured[tensor.captured].size();
  return check(bytes == bytesOf(tensor.shape, tensor.dtype),
               "has a captured value of " + str(bytes) + " bytes, expected " +
                   str(bytesOf(tensor.shape, tensor.dtype)));
}

Status Validator::checkOutput(const Tensor &tensor, size_t index) const {
  if (tensor.tied < 0)
    return checkTensor(tensor, BufferKind::Output, index);
  if (!isIndexOf(plan.inputs, tensor.tied))
    return Status::error("is tied to input " + str(tensor.tied) + " of " +
                         str(plan.inputs.size()));
  const Tensor &input = plan.inputs[tensor.tied];
  if (!input.donated)
    return Status::error("is tied to input " + str(tensor.tied) +
                         ", which is not donated");
  for (size_t other = 0; other < index; ++other)
    if (plan.outputs[other].tied == tensor.tied)
      return Status::error("is tied to the same input as output " + str(other));
  return check(tensor.buffer == input.buffer && tensor.dtype == input.dtype &&
                   tensor.shape == input.shape &&
                   tensor.localShape == input.localShape &&
                   tensor.splits == input.splits,
               "is not what the input that it is tied to is");
}

Status Validator::checkKernel(const Kernel &kernel) const {
  if (!isIndexOf(artefact.objects, kernel.object))
    return Status::error("is in object " + str(kernel.object) + " of " +
                         str(artefact.objects.size()));
  if (kernel.grid.empty() || kernel.grid.size() > 3)
    return Status::error("has a grid of rank " + str(kernel.grid.size()));
  int64_t blocks = 1;
  for (int64_t size : kernel.grid) {
    if (size < 1 || size > INT32_MAX || blocks > (int64_t(1) << 40) / size)
      return Status::error("has an empty or absurd grid");
    blocks *= size;
  }
  if (kernel.threads < 1 || kernel.threads > 1024)
    return Status::error("has " + str(kernel.threads) +
                         " threads per block; 1 to 1024 are possible");
  return check(kernel.numInputs >= 0 && kernel.sharedBytes >= 0 &&
                   kernel.sharedBytes <= (1 << 20) && kernel.stackBytes >= 0 &&
                   kernel.stackBytes <= maxKernelScratch,
               "has a negative or absurd number");
}

Status Validator::checkBlocks() const {
  Result<PlanTree> tree = PlanTree::create(plan);
  if (!tree.ok())
    return tree.status();
  PlanMemory memory(plan, *tree);
  if (Status windows = memory.addWindows(); !windows.ok())
    return windows;
  for (size_t b = 0; b < plan.blocks.size(); ++b) {
    StepContext context = {plan, *tree, memory, static_cast<int32_t>(b)};
    const std::vector<Step> &steps = plan.blocks[b].steps;
    for (size_t i = 0; i < steps.size(); ++i)
      if (Status status = checkStep(context, steps[i]); !status.ok())
        return Status::error(describeStep(plan, *tree, context.block, i) + " " +
                             status.message());
    if (Status tokens = checkTokens(context, plan.blocks[b]); !tokens.ok())
      return tokens;
  }
  return checkJointSteps(plan, *tree);
}

Status Validator::run() {
  if (Status mesh = checkMesh(); !mesh.ok())
    return mesh;
  if (plan.arenaBytes < 0 || plan.arenaBytes > maxBytes)
    return Status::error("the arena has " + str(plan.arenaBytes) + " bytes");
  auto checkAll = [](const auto &items, const std::string &what,
                     auto checkItem) {
    for (size_t i = 0; i < items.size(); ++i) {
      Status status = checkItem(items[i], i);
      if (!status.ok())
        return Status::error(what + " " + str(i) + " " + status.message());
    }
    return Status::success();
  };
  Status status =
      checkAll(plan.buffers, "buffer", [&](const Buffer &buffer, size_t) {
        return checkBuffer(buffer);
      });
  if (status.ok())
    status = checkAll(plan.inputs, "input", [&](const Tensor &t, size_t i) {
      return checkInput(t, i);
    });
  if (status.ok())
    status = checkAll(plan.outputs, "output", [&](const Tensor &t, size_t i) {
      return checkOutput(t, i);
    });
  if (status.ok())
    status = checkAll(plan.kernels, "kernel",
                      [&](const Kernel &k, size_t) { return checkKernel(k); });
  if (status.ok())
    status = checkPrograms();
  if (status.ok())
    status = checkBlocks();
  if (status.ok())
    status = checkArenaIsFilled();
  // Buffers of inputs and outputs are those of their tensor, which are bound.
  for (size_t i = 0; status.ok() && i < plan.buffers.size(); ++i) {
    const Buffer &buffer = plan.buffers[i];
    const std::vector<Tensor> *tensors =
        buffer.kind == BufferKind::Input    ? &plan.inputs
        : buffer.kind == BufferKind::Output ? &plan.outputs
                                            : nullptr;
    if (!tensors)
      continue;
    const Tensor &tensor = (*tensors)[buffer.offset];
    status = check(tensor.buffer == static_cast<int64_t>(i) &&
                       (buffer.kind == BufferKind::Input || tensor.tied < 0),
                   "buffer " + str(i) +
                       " is not that of its tensor, or is of an output that is "
                       "in an input's memory");
  }
  return status;
}

} // namespace

Status tessera::rt::checkTensorForm(const Tensor &tensor, int64_t numDevices) {
  if (!isDType(tensor.dtype))
    return Status::error("has an unknown element type");
  size_t rank = tensor.shape.size();
  if (bytesOf(tensor.localShape, tensor.dtype) < 0 ||
      bytesOf(tensor.shape, tensor.dtype) < 0 ||
      tensor.localShape.size() != rank)
    return Status::error("has shapes that make no sense");
  if (tensor.splits.size() != rank)
    return Status::error("has splits of " + str(tensor.splits.size()) +
                         " dimensions, expected " + str(rank));
  std::vector<Digit> all;
  for (const std::vector<Digit> &digits : tensor.splits)
    all.insert(all.end(), digits.begin(), digits.end());
  if (!areIndependent(all, numDevices))
    return Status::error("is split by digits that device numbers do not have, "
                         "or by one twice");
  for (size_t dim = 0; dim < rank; ++dim) {
    int64_t local = intervalOf(tensor.shape[dim], tensor.splits[dim], 0).local;
    if (local != tensor.localShape[dim])
      return Status::error("has " + str(tensor.localShape[dim]) +
                           " elements of dimension " + str(dim) +
                           " on a device, but its splits make " + str(local));
  }
  return Status::success();
}

Status tessera::rt::validatePlan(const Artefact &artefact) {
  return Validator(artefact).run();
}
