// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/Program.h"
#include "tessera/ABI/KernelABI.h"

#include <algorithm>

using namespace tessera;
using namespace tessera::rt;
using namespace tessera::abi;

namespace {

/// More than any machine has, and small enough that sums do not overflow.
constexpr int64_t maxBytes = int64_t(1) << 46;
constexpr int64_t maxDevices = 4096;

std::string str(int64_t value) { return std::to_string(value); }

class Validator {
public:
  explicit Validator(const Artefact &artefact)
      : artefact(artefact), plan(artefact.plan) {}

  Status run();

private:
  Status check(bool condition, const std::string &message) const {
    return condition ? Status::success() : Status::error(message);
  }
  bool isDType(DType type) const { return type <= DType::I1; }
  bool isBuffer(int32_t index) const {
    return index >= 0 && static_cast<size_t>(index) < plan.buffers.size();
  }
  bool isWritable(int32_t index) const {
    BufferKind kind = plan.buffers[index].kind;
    return kind == BufferKind::Arena || kind == BufferKind::Output;
  }
  /// Bytes of a tensor, or -1 when the shape makes no sense.
  int64_t bytesOf(const std::vector<int64_t> &shape, DType dtype) const;
  bool overlap(const Buffer &a, const Buffer &b) const;

  Status checkMesh();
  Status checkArenaIsFilled() const;
  Status checkBuffer(const Buffer &buffer) const;
  Status checkTensor(const Tensor &tensor, BufferKind kind, size_t index) const;
  Status checkKernel(const Kernel &kernel) const;
  Status checkStep(const Step &step) const;
  Status checkCollective(const Step &step) const;
  Status checkGroups(const Step &step) const;
  Status checkGeometry(const Step &step, int64_t groupSize) const;

  const Artefact &artefact;
  const Plan &plan;
  int64_t numDevices = 1;
};

int64_t Validator::bytesOf(const std::vector<int64_t> &shape,
                           DType dtype) const {
  int64_t bytes = sizeOf(dtype);
  for (int64_t size : shape) {
    if (size < 0 || (size > 0 && bytes > maxBytes / size))
      return -1;
    bytes *= size;
  }
  return bytes;
}

bool Validator::overlap(const Buffer &a, const Buffer &b) const {
  if (a.kind != b.kind)
    return false;
  if (a.kind == BufferKind::Arena)
    return a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
  return a.offset == b.offset;
}

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
  if (!isBuffer(tensor.buffer) || plan.buffers[tensor.buffer].kind != kind ||
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
  if (kernel.object < 0 ||
      static_cast<size_t>(kernel.object) >= artefact.objects.size())
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
                   kernel.sharedBytes <= (1 << 20),
               "has a negative or absurd number");
}

Status Validator::checkStep(const Step &step) const {
  for (int32_t buffer : step.buffers)
    if (!isBuffer(buffer))
      return Status::error("uses buffer " + str(buffer) + " of " +
                           str(plan.buffers.size()));
  if (step.kind > StepKind::Permute)
    return Status::error("has unknown kind " +
                         str(static_cast<int>(step.kind)));

  size_t firstWritten = 1;
  if (step.kind == StepKind::Launch) {
    if (step.kernel < 0 ||
        static_cast<size_t>(step.kernel) >= plan.kernels.size())
      return Status::error("launches an unknown kernel");
    firstWritten = plan.kernels[step.kernel].numInputs;
    if (firstWritten > step.buffers.size())
      return Status::error("has fewer buffers than its kernel has inputs");
  } else {
    bool onlyWrites =
        step.kind == StepKind::Fill || step.kind == StepKind::DeviceValue;
    firstWritten = onlyWrites ? 0 : 1;
    if (step.buffers.size() != firstWritten + 1)
      return Status::error("has " + str(step.buffers.size()) +
                           " buffers, expected " + str(firstWritten + 1));
  }
  for (size_t i = firstWritten; i < step.buffers.size(); ++i)
    if (!isWritable(step.buffers[i]))
      return Status::error("writes an input or a constant");
  if (step.kind == StepKind::Launch)
    return Status::success();

  const Buffer &first = plan.buffers[step.buffers[0]];
  if (step.kind == StepKind::Copy)
    return check(plan.buffers[step.buffers[1]].bytes == first.bytes,
                 "copies between buffers of different size");
  if (step.kind == StepKind::Fill)
    return check(!step.pattern.empty() &&
                     first.bytes % step.pattern.size() == 0,
                 "fills a buffer that is no multiple of the pattern");
  if (step.kind == StepKind::DeviceValue) {
    for (int64_t value : step.values)
      if (value < INT32_MIN || value > INT32_MAX)
        return Status::error("has a value that is not an i32");
    return check(first.bytes == 4 && step.values.size() == size_t(numDevices),
                 "does not give every device one i32");
  }
  return checkCollective(step);
}

Status Validator::checkCollective(const Step &step) const {
  if (!isDType(step.dtype) || step.reduction > Reduction::Prod)
    return Status::error("has an unknown element type or reduction");
  const Buffer &in = plan.buffers[step.buffers[0]];
  const Buffer &out = plan.buffers[step.buffers[1]];
  if (bytesOf(step.inputShape, step.dtype) != in.bytes ||
      bytesOf(step.outputShape, step.dtype) != out.bytes)
    return Status::error("has shapes that do not fit its buffers");
  bool inPlace = step.buffers[0] == step.buffers[1] ||
                 (in.kind == out.kind && in.offset == out.offset);
  if (overlap(in, out) && !(step.kind == StepKind::AllReduce && inPlace))
    return Status::error("has buffers that overlap");

  if (step.kind == StepKind::Permute) {
    std::vector<bool> receives(numDevices, false);
    for (int64_t target : step.values) {
      if (target < 0 || target >= numDevices || receives[target])
        return Status::error("does not send to every device once");
      receives[target] = true;
    }
    return check(step.values.size() == size_t(numDevices) &&
                     step.inputShape == step.outputShape,
                 "is not a permutation of all devices");
  }
  if (Status groups = checkGroups(step); !groups.ok())
    return groups;
  bool reduces =
      step.kind == StepKind::AllReduce || step.kind == StepKind::ReduceScatter;
  if (reduces && step.dtype == DType::I1 && step.reduction == Reduction::Sum)
    return Status::error("sums booleans; the reductions of i1 are max (or), "
                         "min and prod (and)");
  return checkGeometry(step, static_cast<int64_t>(step.groups[0].size()));
}

Status Validator::checkGroups(const Step &step) const {
  std::vector<bool> seen(numDevices, false);
  int64_t count = 0;
  for (const std::vector<int32_t> &group : step.groups) {
    if (group.empty() || group.size() != step.groups[0].size())
      return Status::error("has groups of different size");
    for (int32_t device : group) {
      if (device < 0 || device >= numDevices || seen[device])
        return Status::error("has device " + str(device) +
                             " in two groups, or in none of the mesh");
      seen[device] = true;
      ++count;
    }
  }
  return check(count == numDevices, "does not have every device in a group");
}

Status Validator::checkGeometry(const Step &step, int64_t groupSize) const {
  const std::vector<int64_t> &in = step.inputShape, &out = step.outputShape;
  if (step.kind == StepKind::AllReduce)
    return check(in == out, "has different input and output shapes");
  int64_t rank = static_cast<int64_t>(in.size());
  if (out.size() != in.size() || step.dim < 0 || step.dim >= rank)
    return Status::error("has a dimension that its shapes lack");
  bool cuts = step.kind != StepKind::AllGather;
  int64_t joinDim = -1;
  if (step.kind == StepKind::AllGather)
    joinDim = step.dim;
  if (step.kind == StepKind::AllToAll) {
    joinDim = step.joinDim;
    if (joinDim < 0 || joinDim >= rank || joinDim == step.dim)
      return Status::error("joins a dimension that it lacks, or cuts");
  }
  for (int64_t dim = 0; dim < rank; ++dim) {
    bool fits = in[dim] == out[dim];
    if (cuts && dim == step.dim)
      fits = out[dim] == (in[dim] + groupSize - 1) / groupSize;
    else if (dim == joinDim)
      fits = out[dim] <= in[dim] * groupSize;
    if (!fits)
      return Status::error("turns size " + str(in[dim]) + " of dimension " +
                           str(dim) + " into " + str(out[dim]) +
                           " in groups of " + str(groupSize));
  }
  return Status::success();
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
    status = checkStep(plan.steps[i]);
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
