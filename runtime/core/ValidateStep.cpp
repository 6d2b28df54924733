// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What a plan does: each of its steps.
#include "PlanChecks.h"

#include <algorithm>

using namespace tessera;
using namespace tessera::rt;
using namespace tessera::abi;

namespace {

class StepValidator {
public:
  StepValidator(const Plan &plan, const Step &step)
      : plan(plan), step(step), numDevices(plan.numDevices()) {}

  Status run() const;

private:
  Status checkCollective() const;
  Status checkGroups() const;
  Status checkGeometry(int64_t groupSize) const;

  const Plan &plan;
  const Step &step;
  int64_t numDevices;
};

bool isWritable(const Buffer &buffer) {
  return buffer.kind == BufferKind::Arena || buffer.kind == BufferKind::Output;
}

bool overlap(const Buffer &a, const Buffer &b) {
  if (a.kind != b.kind)
    return false;
  if (a.kind == BufferKind::Arena)
    return a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
  return a.offset == b.offset;
}

Status StepValidator::run() const {
  for (int32_t buffer : step.buffers)
    if (!isIndexOf(plan.buffers, buffer))
      return Status::error("uses buffer " + str(buffer) + " of " +
                           str(plan.buffers.size()));
  if (step.kind > StepKind::Permute)
    return Status::error("has unknown kind " +
                         str(static_cast<int>(step.kind)));

  size_t firstWritten = 1;
  if (step.kind == StepKind::Launch) {
    if (!isIndexOf(plan.kernels, step.kernel))
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
    if (!isWritable(plan.buffers[step.buffers[i]]))
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
  return checkCollective();
}

Status StepValidator::checkCollective() const {
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
  if (Status groups = checkGroups(); !groups.ok())
    return groups;
  bool reduces =
      step.kind == StepKind::AllReduce || step.kind == StepKind::ReduceScatter;
  if (reduces && step.dtype == DType::I1 && step.reduction == Reduction::Sum)
    return Status::error("sums booleans; the reductions of i1 are max (or), "
                         "min and prod (and)");
  return checkGeometry(static_cast<int64_t>(step.groups[0].size()));
}

Status StepValidator::checkGroups() const {
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

Status StepValidator::checkGeometry(int64_t groupSize) const {
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

} // namespace

int64_t tessera::rt::bytesOf(const std::vector<int64_t> &shape, DType dtype) {
  // Empty dimensions do not excuse absurd ones: strides leave them out.
  int64_t bytes = sizeOf(dtype);
  bool isEmpty = false;
  for (int64_t size : shape) {
    if (size < 0 || (size > 0 && bytes > maxBytes / size))
      return -1;
    isEmpty |= size == 0;
    bytes *= std::max<int64_t>(size, 1);
  }
  return isEmpty ? 0 : bytes;
}

Status tessera::rt::checkStep(const Plan &plan, const Step &step) {
  return StepValidator(plan, step).run();
}
