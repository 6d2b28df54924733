// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What a plan has: its mesh, buffers, tensors and kernels.
#include "PlanChecks.h"
#include "tessera-rt/Program.h"
#include "tessera/ABI/KernelABI.h"

#include <algorithm>

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
  Status checkArenaIsFilled() const;
  Status checkBuffer(const Buffer &buffer) const;
  Status checkTensor(const Tensor &tensor, BufferKind kind, size_t index) const;
  Status checkKernel(const Kernel &kernel) const;

  const Artefact &artefact;
  const Plan &plan;
  int64_t numDevices = 1;
};

Status Validator::checkMesh() {
  for (const MeshAxis &axis : plan.mesh) {
    if (axis.size < 1 || axis.size > maxDevices / numDevices)
      return Status::error("mesh axis '" + axis.name + "' of size " +
                           str(axis.size) + " makes more than " +
                           str(maxDevices) + " devices, or none");
    numDevices *= axis.size;
  }
  return Status::success();
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
  if (!isDType(tensor.dtype))
    return Status::error("has an unknown element type");
  size_t rank = tensor.shape.size();
  int64_t bytes = bytesOf(tensor.localShape, tensor.dtype);
  if (bytes < 0 || bytesOf(tensor.shape, tensor.dtype) < 0 ||
      tensor.localShape.size() != rank)
    return Status::error("has shapes that make no sense");
  if (!isIndexOf(plan.buffers, tensor.buffer) ||
      plan.buffers[tensor.buffer].kind != kind ||
      plan.buffers[tensor.buffer].offset != static_cast<int64_t>(index) ||
      plan.buffers[tensor.buffer].bytes != bytes)
    return Status::error("does not match its buffer");
  if (tensor.boxes.size() != static_cast<size_t>(numDevices))
    return Status::error("has " + str(tensor.boxes.size()) + " boxes for " +
                         str(numDevices) + " devices");
  for (const Box &box : tensor.boxes) {
    if (box.begin.size() != rank || box.valid.size() != rank)
      return Status::error("has a box of another rank");
    for (size_t dim = 0; dim < rank; ++dim) {
      int64_t begin = box.begin[dim], valid = box.valid[dim];
      if (begin < 0 || valid < 0 || valid > tensor.localShape[dim] ||
          (valid > 0 &&
           (begin > tensor.shape[dim] || valid > tensor.shape[dim] - begin)))
        return Status::error("has a box that lies outside it");
    }
  }
  return Status::success();
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
      return checkTensor(t, BufferKind::Input, i);
    });
  if (status.ok())
    status = checkAll(plan.outputs, "output", [&](const Tensor &t, size_t i) {
      return checkTensor(t, BufferKind::Output, i);
    });
  if (status.ok())
    status = checkAll(plan.kernels, "kernel",
                      [&](const Kernel &k, size_t) { return checkKernel(k); });
  for (size_t i = 0; status.ok() && i < plan.steps.size(); ++i) {
    status = checkStep(plan, plan.steps[i]);
    if (!status.ok())
      status = Status::error(describeStep(plan, i) + " " + status.message());
  }
  if (status.ok())
    status = checkArenaIsFilled();
  // Buffers of inputs and outputs have the size of their tensor.
  for (size_t i = 0; status.ok() && i < plan.buffers.size(); ++i) {
    const Buffer &buffer = plan.buffers[i];
    const std::vector<Tensor> *tensors =
        buffer.kind == BufferKind::Input    ? &plan.inputs
        : buffer.kind == BufferKind::Output ? &plan.outputs
                                            : nullptr;
    if (!tensors)
      continue;
    const Tensor &tensor = (*tensors)[buffer.offset];
    status = check(buffer.bytes == bytesOf(tensor.localShape, tensor.dtype),
                   "buffer " + str(i) + " has another size than its tensor");
  }
  return status;
}

} // namespace

Status tessera::rt::validatePlan(const Artefact &artefact) {
  return Validator(artefact).run();
}
