// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/Describe.h"
#include "tessera-rt/Json.h"
#include "tessera-rt/Program.h"

using namespace tessera;
using namespace tessera::rt;

/// Text between commas: one item per call of `item`.
template <typename Items, typename Item>
static std::string list(const Items &items, Item item) {
  std::string text = "[";
  for (const auto &value : items)
    text += (text.size() == 1 ? "" : ", ") + item(value);
  return text + "]";
}

static std::string numbers(const std::vector<int64_t> &values) {
  return list(values, [](int64_t value) { return std::to_string(value); });
}

static std::string describeTensors(const std::vector<abi::Tensor> &tensors) {
  return list(tensors, [](const abi::Tensor &tensor) {
    return "{\"name\": " + quoteJson(tensor.name) +
           ", \"shape\": " + numbers(tensor.shape) +
           ", \"dtype\": " + quoteJson(abi::toString(tensor.dtype)) +
           ", \"localShape\": " + numbers(tensor.localShape) +
           ", \"layout\": " + quoteJson(tensor.layout) +
           (tensor.donated ? ", \"donated\": true" : "") +
           (tensor.captured >= 0 ? ", \"captured\": true" : "") +
           (tensor.tied >= 0 ? ", \"tied\": " + std::to_string(tensor.tied)
                             : "") +
           "}";
  });
}

std::string tessera::rt::describeExecutable(const Executable &executable) {
  const abi::Plan &plan = executable.plan();
  auto axis = [](const abi::MeshAxis &axis) {
    return "[" + quoteJson(axis.name) + ", " + std::to_string(axis.size) + "]";
  };
  auto kernel = [](const abi::Kernel &kernel) {
    return "{\"name\": " + quoteJson(kernel.name) +
           ", \"grid\": " + numbers(kernel.grid) +
           ", \"threads\": " + std::to_string(kernel.threads) +
           ", \"sharedBytes\": " + std::to_string(kernel.sharedBytes) +
           ", \"registers\": " + std::to_string(kernel.registers) +
           ", \"spillBytes\": " + std::to_string(kernel.spillBytes) + "}";
  };
  size_t numSteps = 0;
  for (const abi::Block &block : plan.blocks)
    numSteps += block.steps.size();
  return "{\"mesh\": " + list(plan.mesh, axis) +
         ", \"target\": " + quoteJson(plan.target) +
         ", \"device\": " + quoteJson(executable.getDevice().name()) +
         ", \"compiler\": " + quoteJson(plan.compiler) +
         ", \"structure\": " + quoteJson(plan.structure) +
         ", \"arenaBytes\": " + std::to_string(plan.arenaBytes) +
         ", \"steps\": " + std::to_string(numSteps) +
         ", \"inputs\": " + describeTensors(plan.inputs) +
         ", \"outputs\": " + describeTensors(plan.outputs) +
         ", \"kernels\": " + list(plan.kernels, kernel) + "}";
}

/// One object for each kernel, argument and kind of access that there was.
static std::string describeTraffic(const abi::Plan &plan,
                                   const std::vector<KernelTraffic> &kernels) {
  std::vector<std::string> rows;
  for (size_t k = 0; k < kernels.size(); ++k)
    for (size_t i = 0; i < kernels[k].size(); ++i) {
      auto add = [&](const char *kind, const SectorCount &count) {
        if (count.least)
          rows.push_back(
              "{\"kernel\": " + quoteJson(plan.kernels[k].name) +
              ", \"argument\": " + std::to_string(i) + ", \"kind\": \"" + kind +
              "\", \"sectors\": " + std::to_string(count.touched) +
              ", \"leastSectors\": " + std::to_string(count.least) + "}");
      };
      add("load", kernels[k][i].loads);
      add("store", kernels[k][i].stores);
    }
  return list(rows, [](const std::string &row) { return row; });
}

std::string tessera::rt::describeRun(const Executable &executable) {
  const RunReport &report = executable.report();
  std::string text =
      "{\"ns\": " + std::to_string(report.nanoseconds) +
      ", \"launches\": " + std::to_string(report.launches) +
      ", \"collectives\": " + std::to_string(report.collectives) +
      ", \"bytesSent\": " + std::to_string(report.bytesSent) +
      ", \"bytesCut\": " + std::to_string(report.bytesCut) +
      ", \"bytesJoined\": " + std::to_string(report.bytesJoined);
  if (!report.steps.empty())
    text +=
        ", \"steps\": " + list(report.steps, [&](const StepTime &time) {
          return "{\"step\": " +
                 quoteJson(describeStep(executable.plan(), executable.tree(),
                                        time.block, time.step)) +
                 ", \"runs\": " + std::to_string(time.runs) +
                 ", \"ns\": " + std::to_string(time.nanoseconds) + "}";
        });
  if (!report.traffic.empty())
    text +=
        ", \"traffic\": " + describeTraffic(executable.plan(), report.traffic);
  return text + "}";
}
