// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Collectives between devices that share this process's memory. The devices run
// in lock step, so all inputs are ready when one begins and nobody waits.
#include "Reduce.h"
#include "tessera-rt/BoxCopy.h"
#include "tessera-rt/Registry.h"

#include <algorithm>
#include <cstring>

using namespace tessera;
using namespace tessera::rt;
using abi::Step;
using abi::StepKind;

namespace {

using Shape = std::vector<int64_t>;

/// Elements before, along and after `dim`.
struct Split {
  int64_t outer = 1, extent = 1, inner = 1;

  Split(const Shape &shape, int64_t dim) : extent(shape[dim]) {
    for (int64_t i = 0; i < dim; ++i)
      outer *= shape[i];
    for (size_t i = dim + 1; i < shape.size(); ++i)
      inner *= shape[i];
  }
};

/// What the devices have, by their number in the mesh.
struct Buffers {
  const CollectiveBuffers &local;
  const std::vector<int32_t> &indexOf;

  const char *input(int32_t device) const {
    return static_cast<const char *>(local.inputs[indexOf[device]]);
  }
  char *output(int32_t device) const {
    return static_cast<char *>(local.outputs[indexOf[device]]);
  }
};

/// One member's place in the collective.
struct Member {
  const std::vector<int32_t> &group;
  int64_t index;
  int32_t device() const { return group[index]; }
};

class InProcessCommunicator final : public Communicator {
public:
  explicit InProcessCommunicator(const CommunicatorOptions &options)
      : pool(options.pool) {
    for (int32_t device = 0; device < options.numDevices; ++device) {
      local.push_back(device);
      indexOf.push_back(device);
    }
  }

  const char *name() const override { return "inprocess"; }
  int rank() const override { return 0; }
  int numRanks() const override { return 1; }
  const std::vector<int32_t> &localDevices() const override { return local; }
  bool reaches(const Device &device) const override {
    return device.usesHostMemory();
  }

  Status run(const Collective &collective,
             const CollectiveBuffers &given) override {
    Buffers buffers = {given, indexOf};
    switch (collective.step->kind) {
    case StepKind::AllReduce:
      allReduce(collective, buffers);
      break;
    case StepKind::ReduceScatter:
      reduceScatter(collective, buffers);
      break;
    case StepKind::AllGather:
    case StepKind::AllSlice:
    case StepKind::AllToAll:
    case StepKind::Permute:
      move(collective, buffers);
      break;
    default:
      return Status::error("is not a collective");
    }
    return Status::success();
  }

private:
  void allReduce(const Collective &collective, const Buffers &buffers);
  void reduceScatter(const Collective &collective, const Buffers &buffers);
  void move(const Collective &collective, const Buffers &buffers);
  void receive(const Step &step, Member me, const Buffers &buffers);

  std::shared_ptr<ThreadPool> pool;
  std::vector<int32_t> local;
  std::vector<int32_t> indexOf; ///< Among `local`, by number in the mesh.
};

std::vector<const char *> inputsOf(const std::vector<int32_t> &group,
                                   const Buffers &buffers) {
  std::vector<const char *> pointers;
  for (int32_t device : group)
    pointers.push_back(buffers.input(device));
  return pointers;
}

} // namespace

/// Each run of elements is read from all members before it is written to any,
/// so that input and output may be one buffer.
void InProcessCommunicator::allReduce(const Collective &collective,
                                      const Buffers &buffers) {
  const Step &step = *collective.step;
  int64_t count = abi::numElements(step.inputShape);
  int64_t bytes = abi::sizeOf(step.dtype);
  int64_t runs = (count + maxReduceRun - 1) / maxReduceRun;
  std::vector<std::vector<const char *>> members;
  for (const std::vector<int32_t> &group : collective.groups)
    members.push_back(inputsOf(group, buffers));

  int64_t numGroups = static_cast<int64_t>(members.size());
  pool->parallelFor(runs * numGroups, 4, [&](int64_t begin, int64_t end) {
    alignas(64) char sum[maxReduceRun * 8];
    for (int64_t i = begin; i < end; ++i) {
      const std::vector<const char *> &from = members[i / runs];
      int64_t offset = i % runs * maxReduceRun;
      int64_t length = std::min(maxReduceRun, count - offset);
      reduceRun(step.dtype, step.reduction, from.data(), from.size(), offset,
                length, sum);
      for (int32_t device : collective.groups[i / runs])
        std::memcpy(buffers.output(device) + offset * bytes, sum,
                    length * bytes);
    }
  });
}

void InProcessCommunicator::reduceScatter(const Collective &collective,
                                          const Buffers &buffers) {
  const Step &step = *collective.step;
  Split in(step.inputShape, step.dim), out(step.outputShape, step.dim);
  int64_t bytes = abi::sizeOf(step.dtype);
  for (const std::vector<int32_t> &group : collective.groups) {
    std::vector<const char *> from = inputsOf(group, buffers);
    int64_t size = static_cast<int64_t>(group.size());
    // One item per member and row of its part.
    pool->parallelFor(size * in.outer, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        int64_t member = i / in.outer, row = i % in.outer;
        int64_t first = std::min(member * out.extent, in.extent);
        int64_t valid = std::min(out.extent, in.extent - first) * in.inner;
        int64_t offset = (row * in.extent + first) * in.inner;
        char *to = buffers.output(group[member]) +
                   row * out.extent * out.inner * bytes;
        for (int64_t done = 0; done < valid; done += maxReduceRun) {
          int64_t length = std::min(maxReduceRun, valid - done);
          reduceRun(step.dtype, step.reduction, from.data(), from.size(),
                    offset + done, length, to + done * bytes);
        }
        std::memset(to + valid * bytes, 0,
                    (out.extent * out.inner - valid) * bytes);
      }
    });
  }
}

void InProcessCommunicator::move(const Collective &collective,
                                 const Buffers &buffers) {
  const Step &step = *collective.step;
  std::vector<Member> members;
  for (const std::vector<int32_t> &group : collective.groups)
    for (size_t i = 0; i < group.size(); ++i)
      members.push_back({group, static_cast<int64_t>(i)});
  if (step.kind == StepKind::Permute) {
    size_t bytes = abi::numElements(step.inputShape) * abi::sizeOf(step.dtype);
    int64_t count = static_cast<int64_t>(collective.targets.size());
    pool->parallelFor(count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t d = begin; d < end; ++d)
        if (collective.targets[d] >= 0)
          std::memcpy(buffers.output(collective.targets[d]), buffers.input(d),
                      bytes);
    });
    return;
  }
  int64_t count = static_cast<int64_t>(members.size());
  pool->parallelFor(count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      receive(step, members[i], buffers);
  });
}

/// Fills one member's output with the boxes that it gets of each member.
void InProcessCommunicator::receive(const Step &step, Member me,
                                    const Buffers &buffers) {
  char *output = buffers.output(me.device());
  const Shape &in = step.inputShape, &out = step.outputShape;
  int64_t bytes = abi::sizeOf(step.dtype);
  bool cuts = step.kind != StepKind::AllGather;
  bool joins = step.kind != StepKind::AllSlice;
  int64_t joinDim = step.kind == StepKind::AllGather ? step.dim : step.joinDim;
  // The last chunks of an uneven split have padding, which reads as zero.
  if (cuts && (me.index + 1) * out[step.dim] > in[step.dim])
    std::memset(output, 0, abi::numElements(out) * bytes);

  int64_t numSenders = joins ? static_cast<int64_t>(me.group.size()) : 1;
  for (int64_t sender = 0; sender < numSenders; ++sender) {
    Shape size = in, from(in.size(), 0), to(in.size(), 0);
    if (cuts) {
      from[step.dim] = std::min(me.index * out[step.dim], in[step.dim]);
      size[step.dim] = std::min(out[step.dim], in[step.dim] - from[step.dim]);
    }
    if (joins) {
      to[joinDim] = std::min(sender * in[joinDim], out[joinDim]);
      size[joinDim] = std::min(in[joinDim], out[joinDim] - to[joinDim]);
    }
    int32_t device = joins ? me.group[sender] : me.device();
    copyBox({output, out, to}, {buffers.input(device), in, from}, size, bytes);
  }
}

Result<std::unique_ptr<Communicator>>
tessera::rt::createInProcessCommunicator(const CommunicatorOptions &options) {
  return std::unique_ptr<Communicator>(
      std::make_unique<InProcessCommunicator>(options));
}
