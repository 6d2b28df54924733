// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Runs an artefact in a process that has no compiler.
#include "Files.h"
#include "Npy.h"
#include "Options.h"
#include "Values.h"
#include "tessera-rt/Program.h"
#include "tessera/ABI/PlanCodec.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>

using namespace tessera;
using namespace tessera::run;
using rt::Executable;
using rt::Result;
using rt::Status;

static std::string shapeText(const std::vector<int64_t> &shape) {
  std::string text;
  for (int64_t size : shape)
    text += std::to_string(size) + "x";
  return text;
}

static void printTensor(const char *kind, size_t index,
                        const abi::Tensor &tensor) {
  std::string more = tensor.donated ? ", donated" : "";
  if (tensor.captured >= 0)
    more += ", captured";
  if (tensor.tied >= 0)
    more += ", in the memory of input " + std::to_string(tensor.tied);
  std::printf("%s %zu '%s': %s%s %s, local %s%s%s\n", kind, index,
              tensor.name.c_str(), shapeText(tensor.shape).c_str(),
              abi::toString(tensor.dtype), tensor.layout.c_str(),
              shapeText(tensor.localShape).c_str(), abi::toString(tensor.dtype),
              more.c_str());
}

static void printInfo(const abi::Artefact &artefact) {
  const abi::Plan &plan = artefact.plan;
  std::printf("target %s, compiler %s, mesh", plan.target.c_str(),
              plan.compiler.c_str());
  for (const abi::MeshAxis &axis : plan.mesh)
    std::printf(" %s=%lld", axis.name.c_str(),
                static_cast<long long>(axis.size));
  size_t steps = 0, launches = 0, collectives = 0;
  for (const abi::Block &block : plan.blocks)
    for (const abi::Step &step : block.steps) {
      ++steps;
      launches += step.kind == abi::StepKind::Launch;
      collectives += step.isCollective();
    }
  std::printf("\n%zu steps, %zu launches, %zu collectives, arena %lld bytes a "
              "device, constants %zu bytes\n",
              steps, launches, collectives,
              static_cast<long long>(plan.arenaBytes),
              artefact.constants.size());
  for (size_t i = 0; i < plan.inputs.size(); ++i)
    printTensor("input", i, plan.inputs[i]);
  for (size_t i = 0; i < plan.outputs.size(); ++i)
    printTensor("output", i, plan.outputs[i]);
  std::printf("%-40s %14s %8s %8s %6s %6s\n", "kernel", "grid", "threads",
              "shared", "regs", "spills");
  for (const abi::Kernel &kernel : plan.kernels) {
    std::string grid = shapeText(kernel.grid);
    grid.pop_back();
    std::printf("%-40s %14s %8d %8lld %6d %6lld\n", kernel.name.c_str(),
                grid.c_str(), kernel.threads,
                static_cast<long long>(kernel.sharedBytes), kernel.registers,
                static_cast<long long>(kernel.spillBytes));
  }
}

static Result<std::vector<std::string>> makeInputs(const abi::Plan &plan,
                                                   const Options &options) {
  size_t given = 0;
  for (const abi::Tensor &tensor : plan.inputs)
    given += tensor.captured < 0;
  if (!options.inputs.empty() && options.inputs.size() != given)
    return Status::error(
        "the program has " + std::to_string(given) + " inputs" +
        (given < plan.inputs.size() ? " whose values are not captured" : "") +
        ", got " + std::to_string(options.inputs.size()) + " files");
  std::vector<std::string> inputs;
  std::mt19937_64 random(options.seed);
  auto file = options.inputs.begin();
  for (size_t i = 0; i < plan.inputs.size(); ++i) {
    const abi::Tensor &tensor = plan.inputs[i];
    if (tensor.captured >= 0) {
      inputs.emplace_back();
      continue;
    }
    if (options.inputs.empty()) {
      inputs.push_back(randomTensor(tensor, random));
      continue;
    }
    Result<std::string> data = readNpy(*file++, tensor.dtype, tensor.shape);
    if (!data.ok())
      return data.status().in("input " + std::to_string(i) + " ('" +
                              tensor.name + "')");
    inputs.push_back(std::move(*data));
  }
  return inputs;
}

static std::string outputFile(const Options &options, size_t index) {
  return options.outputPrefix + std::to_string(index) + ".npy";
}

/// Fails where an output cannot be written, or would be over what is read,
/// before anything runs.
static Status checkOutput(const Options &options, size_t index) {
  if (options.outputPrefix.empty())
    return Status::success();
  std::string path = outputFile(options, index);
  std::vector<std::string> read = options.inputs;
  read.push_back(options.artefact);
  for (const std::string &file : read)
    if (isSameFile(file, path))
      return Status::error("output " + std::to_string(index) + ", '" + path +
                           "', would overwrite '" + file +
                           "', which is read; choose another --outputs");
  return checkWritable(path);
}

/// What each kernel's accesses cost, where the device has counted.
static void printTraffic(const abi::Plan &plan,
                         const std::vector<rt::KernelTraffic> &kernels) {
  if (kernels.empty())
    return;
  std::printf("%-40s %8s %6s %12s %12s %6s\n", "kernel", "argument", "access",
              "sectors", "least", "ratio");
  for (size_t k = 0; k < kernels.size(); ++k)
    for (size_t i = 0; i < kernels[k].size(); ++i) {
      auto print = [&](const char *kind, const rt::SectorCount &count) {
        if (count.least)
          std::printf("%-40s %8zu %6s %12lld %12lld %6.2f\n",
                      plan.kernels[k].name.c_str(), i, kind,
                      static_cast<long long>(count.touched),
                      static_cast<long long>(count.least),
                      static_cast<double>(count.touched) /
                          static_cast<double>(count.least));
      };
      print("load", kernels[k][i].loads);
      print("store", kernels[k][i].stores);
    }
}

static void printTimes(const Executable &executable,
                       std::vector<int64_t> times) {
  std::sort(times.begin(), times.end());
  const rt::RunReport &report = executable.report();
  std::printf("%lld launches, %lld collectives, %lld bytes moved; time least "
              "%.3f ms, median %.3f ms of %zu runs\n",
              static_cast<long long>(report.launches),
              static_cast<long long>(report.collectives),
              static_cast<long long>(report.bytesSent), times.front() * 1e-6,
              times[times.size() / 2] * 1e-6, times.size());
  for (const rt::StepTime &time : report.steps)
    std::printf("%10.3f us %8lld times  %s\n", time.nanoseconds * 1e-3,
                static_cast<long long>(time.runs),
                rt::describeStep(executable.plan(), executable.tree(),
                                 time.block, time.step)
                    .c_str());
  printTraffic(executable.plan(), report.traffic);
}

static Status runArtefact(const Options &options) {
  const std::string magic(abi::artefactMagic, sizeof abi::artefactMagic);
  Result<std::string> bytes = readFile(options.artefact, magic, SIZE_MAX);
  if (!bytes.ok())
    return bytes.status();
  Result<abi::Artefact> artefact =
      rt::loadArtefact(bytes->data(), bytes->size());
  if (!artefact.ok())
    return artefact.status().in("'" + options.artefact + "'");
  printInfo(*artefact);
  if (options.info)
    return Status::success();
  for (size_t i = 0; i < artefact->plan.outputs.size(); ++i)
    if (Status status = checkOutput(options, i); !status.ok())
      return status;

  auto created = Executable::create(std::move(*artefact), options.executable);
  if (!created.ok())
    return created.status();
  Executable &executable = **created;
  const abi::Plan &plan = executable.plan();
  Result<std::vector<std::string>> inputs = makeInputs(plan, options);
  if (!inputs.ok())
    return inputs.status();

  std::vector<Executable::Input> bound(plan.inputs.size());
  for (size_t i = 0; i < bound.size(); ++i)
    if (plan.inputs[i].captured < 0)
      bound[i].data = (*inputs)[i].data();
  std::vector<std::string> outputs;
  std::vector<void *> addresses;
  for (const abi::Tensor &tensor : plan.outputs)
    outputs.emplace_back(
        abi::numElements(tensor.shape) * abi::sizeOf(tensor.dtype), '\0');
  for (std::string &output : outputs)
    addresses.push_back(output.data());

  std::vector<int64_t> times;
  for (int64_t i = 0; i < options.repeat; ++i) {
    Status status = executable.run(bound.data(), addresses.data());
    if (!status.ok())
      return status;
    times.push_back(executable.report().nanoseconds);
  }
  std::printf("device %s\n", executable.getDevice().name());
  for (size_t i = 0; i < plan.inputs.size(); ++i)
    if (plan.inputs[i].captured < 0)
      std::printf(
          "input %zu: %s\n", i,
          summary(plan.inputs[i], (*inputs)[i], options.maxShown).c_str());
  for (size_t i = 0; i < plan.outputs.size(); ++i) {
    const abi::Tensor &tensor = plan.outputs[i];
    std::printf("output %zu: %s\n", i,
                summary(tensor, outputs[i], options.maxShown).c_str());
    if (options.outputPrefix.empty())
      continue;
    Status status = writeNpy(outputFile(options, i), tensor.dtype, tensor.shape,
                             outputs[i]);
    if (!status.ok())
      return status;
  }
  printTimes(executable, times);
  return Status::success();
}

/// What the C++ library calls when there is no memory left: a program may name
/// tensors larger than the machine.
static void reportNoMemory() {
  std::fputs("tessera-run: error: the machine has too little memory for this "
             "program's tensors\n",
             stderr);
  std::_Exit(1);
}

/// With control characters as \xNN: a file's name and what is in it may hold
/// any.
static std::string printable(const std::string &text) {
  std::string result;
  for (unsigned char c : text) {
    char escaped[8];
    std::snprintf(escaped, sizeof escaped, "\\x%02x", c);
    result += c < 0x20 || c == 0x7f ? escaped : std::string(1, c);
  }
  return result;
}

static Status runTool(int argc, char **argv) {
  if (Status status = checkStandardStreams(); !status.ok())
    return status;
  Result<Options> options = parseOptions(argc, argv);
  if (!options.ok())
    return options.status();
  if (options->help)
    std::fputs(usage, stdout);
  else if (Status status = runArtefact(*options); !status.ok())
    return status;
  return flushOutput();
}

int main(int argc, char **argv) {
  std::set_new_handler(reportNoMemory);
  Status status = runTool(argc, argv);
  if (status.ok())
    return 0;
  std::fflush(stdout); // What was found out comes before what went wrong.
  std::fprintf(stderr, "tessera-run: error: %s\n",
               printable(status.message()).c_str());
  return 1;
}
