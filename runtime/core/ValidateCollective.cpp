// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Collectives and the digits of device numbers that they are stated in.
#include "PlanChecks.h"

using namespace tessera;
using namespace tessera::rt;
using namespace tessera::abi;

bool tessera::rt::areIndependent(std::vector<Digit> digits,
                                 int64_t numDevices) {
  std::sort(digits.begin(), digits.end(),
            [](const Digit &a, const Digit &b) { return a.stride < b.stride; });
  int64_t end = 1;
  for (const Digit &digit : digits) {
    if (digit.size < 1 || digit.stride < 1 || digit.stride > numDevices ||
        digit.size > numDevices / digit.stride || digit.stride % end != 0)
      return false;
    end = digit.stride * digit.size;
  }
  return numDevices % end == 0;
}

/// The places of a mixed-radix number that digits take up, as spans of strides
/// [begin, end); digits that follow one another make one span.
static std::vector<std::pair<int64_t, int64_t>>
spansOf(std::vector<Digit> digits) {
  std::sort(digits.begin(), digits.end(),
            [](const Digit &a, const Digit &b) { return a.stride < b.stride; });
  std::vector<std::pair<int64_t, int64_t>> spans;
  for (const Digit &digit : digits) {
    if (digit.size == 1)
      continue;
    if (!spans.empty() && spans.back().second == digit.stride)
      spans.back().second *= digit.size;
    else
      spans.emplace_back(digit.stride, digit.stride * digit.size);
  }
  return spans;
}

bool tessera::rt::isPermutation(const std::vector<DigitMove> &moves,
                                int64_t numDevices) {
  std::vector<Digit> from, to;
  for (const DigitMove &move : moves) {
    if (move.shift < 0 || move.shift > maxMeshDevices)
      return false;
    from.push_back(move.from);
    to.push_back({move.to, move.from.size});
  }
  return areIndependent(from, numDevices) && areIndependent(to, numDevices) &&
         spansOf(from) == spansOf(to);
}

static Status checkPermute(const Step &step, int64_t numDevices) {
  if (step.inputShape != step.outputShape)
    return Status::error("has different input and output shapes");
  if (step.targets.empty())
    return check(isPermutation(step.moves, numDevices),
                 "does not send to every device once");
  if (!step.moves.empty() || step.targets.size() != size_t(numDevices))
    return Status::error("is not a permutation of all devices");
  std::vector<bool> receives(numDevices, false);
  for (int64_t target : step.targets) {
    if (target < 0 || target >= numDevices || receives[target])
      return Status::error("does not send to every device once");
    receives[target] = true;
  }
  return Status::success();
}

static Status checkGeometry(const Step &step) {
  const std::vector<int64_t> &in = step.inputShape, &out = step.outputShape;
  int64_t groupSize = countOf(step.digits);
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

Status tessera::rt::checkCollective(const StepContext &context,
                                    const Step &step) {
  const Plan &plan = context.plan;
  int64_t numDevices = plan.numDevices();
  if (!isDType(step.dtype) || step.reduction > Reduction::Prod)
    return Status::error("has an unknown element type or reduction");
  int32_t in = step.buffers[0], out = step.buffers[1];
  if (bytesOf(step.inputShape, step.dtype) != plan.buffers[in].bytes ||
      bytesOf(step.outputShape, step.dtype) != plan.buffers[out].bytes)
    return Status::error("has shapes that do not fit its buffers");
  bool inPlace =
      step.kind == StepKind::AllReduce && context.memory.isSame(in, out);
  if (context.memory.overlap(in, out) && !inPlace)
    return Status::error("has buffers that overlap");
  if (step.kind == StepKind::Permute)
    return checkPermute(step, numDevices);
  if (!areIndependent(step.digits, numDevices))
    return Status::error("has groups along digits that device numbers do not "
                         "have");
  bool reduces =
      step.kind == StepKind::AllReduce || step.kind == StepKind::ReduceScatter;
  if (reduces && step.dtype == DType::I1 && step.reduction == Reduction::Sum)
    return Status::error("sums booleans; the reductions of i1 are max (or), "
                         "min and prod (and)");
  bool isStorage = step.dtype == DType::F8E4M3 || step.dtype == DType::F8E5M2;
  if (reduces && isStorage)
    return Status::error(std::string("reduces ") + toString(step.dtype) +
                         ", which is a type of storage only; reduce f32");
  return checkGeometry(step);
}
