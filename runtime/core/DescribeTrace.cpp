// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/Describe.h"
#include "tessera-rt/Json.h"
#include "tessera-rt/Program.h"

using namespace tessera;
using namespace tessera::rt;

static std::string text(Span span) {
  return std::to_string(span.begin) + ", " + std::to_string(span.end);
}

/// Of the buffers that a step reads and writes, on one device; a region's are
/// its steps'.
static int64_t bytesOf(const abi::Plan &plan, const abi::Step &step) {
  int64_t bytes = 0;
  if (!step.isRegion())
    for (int32_t buffer : step.buffers)
      bytes += plan.buffers[buffer].bytes;
  return bytes;
}

static std::string describeOne(const Executable &executable, int32_t block,
                               size_t index) {
  const abi::Plan &plan = executable.plan();
  const abi::Step &step = plan.blocks[block].steps[index];
  std::string result =
      "{\"step\": " +
      quoteJson(describeStep(plan, executable.tree(), block, index)) +
      ", \"kind\": " + quoteJson(toString(step.kind)) +
      ", \"bytes\": " + std::to_string(bytesOf(plan, step));
  if (step.kind == abi::StepKind::Launch)
    result += ", \"kernel\": " + quoteJson(plan.kernels[step.kernel].name);
  if (!step.what.empty())
    result += ", \"what\": " + quoteJson(step.what);
  return result + "}";
}

std::string tessera::rt::describeTrace(const Executable &executable) {
  const abi::Plan &plan = executable.plan();
  const RunTrace &trace = executable.trace();
  std::vector<int64_t> firstStep;
  std::string steps, events, devices;
  int64_t count = 0;
  for (size_t b = 0; b < plan.blocks.size(); ++b) {
    firstStep.push_back(count);
    for (size_t i = 0; i < plan.blocks[b].steps.size(); ++i, ++count)
      steps += (count ? ", " : "") +
               describeOne(executable, static_cast<int32_t>(b), i);
  }
  int numDevices = executable.numDevices();
  for (int d = 0; d < numDevices; ++d)
    devices += (d ? ", " : "") + std::to_string(executable.numberOf(d));
  for (size_t e = 0; e < trace.events.size(); ++e) {
    const StepEvent &event = trace.events[e];
    events += (e ? ", [" : "[") +
              std::to_string(firstStep[event.block] + event.step) + ", " +
              text(event.whole);
    for (int d = 0; d < numDevices; ++d)
      events += ", " + text(trace.ofDevices[e * numDevices + d]);
    events += "]";
  }
  return "{\"run\": [" + text(trace.run) + "], \"program\": [" +
         text(trace.steps) + "], \"devices\": [" + devices + "], \"steps\": [" +
         steps + "], \"events\": [" + events +
         "], \"dropped\": " + std::to_string(trace.dropped) + "}";
}
