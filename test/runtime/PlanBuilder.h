// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Plans made by hand, for tests.
#ifndef TESSERA_TEST_RUNTIME_PLANBUILDER_H
#define TESSERA_TEST_RUNTIME_PLANBUILDER_H

#include "tessera-rt/Executable.h"
#include "tessera-rt/HostCpu.h"
#include "tessera/ABI/PlanFormat.h"

#include <fstream>
#include <functional>
#include <sstream>

namespace tessera::test {

using Shape = std::vector<int64_t>;

/// The kernels of TestKernels.c, compiled for "cpu" or "emulated".
inline std::string kernelObject(bool emulated) {
  std::ifstream file(emulated ? TESSERA_TEST_EMULATED_OBJECT
                              : TESSERA_TEST_CPU_OBJECT,
                     std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

/// A program over one mesh axis "tp".
struct PlanBuilder {
  abi::Artefact artefact;
  abi::Plan &plan = artefact.plan;
  int devices;
  int32_t block = 0; ///< That steps are added to.

  explicit PlanBuilder(int devices) : devices(devices) {
    plan.compiler = "test";
    plan.target = "cpu";
    plan.architecture = rt::hostCpu().architecture;
    plan.mesh = {{"tp", devices}};
  }

  int32_t addBuffer(abi::BufferKind kind, int64_t offset, int64_t bytes) {
    plan.buffers.push_back({kind, offset, bytes});
    return static_cast<int32_t>(plan.buffers.size() - 1);
  }
  int32_t addArena(int64_t bytes) {
    int64_t offset = plan.arenaBytes;
    plan.arenaBytes += (bytes + 63) / 64 * 64;
    return addBuffer(abi::BufferKind::Arena, offset, bytes);
  }

  abi::Digit allDevices() const { return {1, devices}; }

  /// Appends a step to the block that is being built.
  abi::Step &addStep(abi::StepKind kind, std::vector<int32_t> buffers) {
    std::vector<abi::Step> &steps = plan.blocks[block].steps;
    abi::Step &step = steps.emplace_back();
    step.kind = kind;
    step.buffers = std::move(buffers);
    return step;
  }
  /// Appends a step with blocks of its own, each filled by one of `fill`.
  abi::Step &addRegions(abi::StepKind kind, std::vector<int32_t> buffers,
                        const std::vector<std::function<void()>> &fill) {
    int32_t outer = block;
    size_t index = plan.blocks[block].steps.size();
    addStep(kind, std::move(buffers));
    for (const std::function<void()> &fillBlock : fill) {
      block = static_cast<int32_t>(plan.blocks.size());
      plan.blocks[outer].steps[index].blocks.push_back(block);
      plan.blocks.emplace_back();
      fillBlock();
    }
    block = outer;
    return plan.blocks[outer].steps[index];
  }
  void addCopy(int32_t from, int32_t to) {
    addStep(abi::StepKind::Copy, {from, to});
  }
  int32_t addWindow(int64_t bytes) {
    return addBuffer(abi::BufferKind::Window, 0, bytes);
  }

  /// A tensor cut along `dim`, or whole on every device when it is negative.
  abi::Tensor makeTensor(const std::string &name, abi::DType dtype,
                         const Shape &shape, int64_t dim) const {
    abi::Tensor tensor;
    tensor.name = name;
    tensor.dtype = dtype;
    tensor.shape = tensor.localShape = shape;
    if (dim >= 0)
      tensor.localShape[dim] = (shape[dim] + devices - 1) / devices;
    tensor.splits.resize(shape.size());
    if (dim >= 0)
      tensor.splits[dim] = {allDevices()};
    return tensor;
  }
  int32_t addInput(abi::DType dtype, const Shape &shape, int64_t dim = -1) {
    abi::Tensor tensor = makeTensor("x", dtype, shape, dim);
    tensor.buffer =
        addBuffer(abi::BufferKind::Input, plan.inputs.size(),
                  abi::numElements(tensor.localShape) * abi::sizeOf(dtype));
    plan.inputs.push_back(tensor);
    return tensor.buffer;
  }
  int32_t addOutput(abi::DType dtype, const Shape &shape, int64_t dim = -1) {
    abi::Tensor tensor = makeTensor("y", dtype, shape, dim);
    tensor.buffer =
        addBuffer(abi::BufferKind::Output, plan.outputs.size(),
                  abi::numElements(tensor.localShape) * abi::sizeOf(dtype));
    plan.outputs.push_back(tensor);
    return tensor.buffer;
  }

  /// A kernel of TestKernels.c with one input and one output.
  void launch(const std::string &symbol, int32_t from, int32_t to,
              int64_t blocks) {
    if (artefact.objects.empty())
      artefact.objects.push_back(kernelObject(plan.target != "cpu"));
    abi::Kernel kernel;
    kernel.name = symbol + "_" + std::to_string(plan.kernels.size());
    kernel.symbol = symbol;
    kernel.grid = {blocks};
    kernel.numInputs = 1;
    kernel.threads = 4;
    plan.kernels.push_back(kernel);
    addStep(abi::StepKind::Launch, {from, to}).kernel =
        static_cast<int32_t>(plan.kernels.size() - 1);
  }
  /// add_one over `elements` (a multiple of 4) floats.
  void launchAddOne(int32_t from, int32_t to, int64_t elements) {
    launch("add_one", from, to, elements / 4);
  }

  /// A collective of all devices.
  abi::Step &addCollective(abi::StepKind kind, int32_t from, int32_t to,
                           abi::DType dtype, const Shape &in,
                           const Shape &out) {
    abi::Step &step = addStep(kind, {from, to});
    step.dtype = dtype;
    step.inputShape = in;
    step.outputShape = out;
    step.digits = {allDevices()};
    return step;
  }
};

/// Runs a program with one input and one output.
template <typename T>
rt::Status runOnce(const abi::Artefact &artefact,
                   const rt::ExecutableOptions &options,
                   const std::vector<T> &input, std::vector<T> &output) {
  auto executable = rt::Executable::create(artefact, options);
  if (!executable.ok())
    return executable.status();
  output.assign(abi::numElements(artefact.plan.outputs[0].shape), T());
  rt::Executable::Input in;
  in.data = input.data();
  void *out = output.data();
  return (*executable)->run(&in, &out);
}

template <typename T> std::vector<T> countUp(int64_t count) {
  std::vector<T> values(count);
  for (int64_t i = 0; i < count; ++i)
    values[i] = static_cast<T>(i + 1);
  return values;
}

} // namespace tessera::test

#endif // TESSERA_TEST_RUNTIME_PLANBUILDER_H
