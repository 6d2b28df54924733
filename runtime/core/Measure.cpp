// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// When the steps of a run begin and end: for profiles and traces.
#include "tessera-rt/Executable.h"

#include <chrono>

using namespace tessera;
using namespace tessera::rt;

int64_t tessera::rt::steadyTime() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void Executable::setTracing(bool isOn) {
  isTracing = isOn;
  isMeasuring = isOn || options.profile;
}

/// A span of its own is that of a device which the launch has told, else the
/// step's.
void Executable::traceStep(int32_t block, size_t index, Span whole,
                           const std::vector<int> &devices) {
  if (lastTrace.events.size() >= maxTraceEvents) {
    ++lastTrace.dropped;
    return;
  }
  lastTrace.events.push_back({block, static_cast<int32_t>(index), whole});
  size_t first = lastTrace.ofDevices.size();
  lastTrace.ofDevices.resize(first + numLocal);
  for (int d : devices)
    lastTrace.ofDevices[first + d] =
        launchSpans[d].begin < 0 ? whole : launchSpans[d];
}

Status Executable::runMeasured(int32_t block, size_t index) {
  const abi::Step &step = artefact.plan.blocks[block].steps[index];
  size_t number = firstStep[block] + index;
  launchSpans.assign(numLocal, Span());
  int64_t begin = steadyTime();
  Status status = runStep(step, steps[number]);
  if (!status.ok())
    return status;
  status = device->synchronize();
  int64_t end = steadyTime();
  if (options.profile) {
    StepTime &time = lastReport.steps[number];
    ++time.runs;
    time.nanoseconds += end - begin;
  }
  if (isTracing) {
    // The steps inside it have left theirs.
    if (step.isRegion())
      launchSpans.assign(numLocal, Span());
    traceStep(block, index, {begin, end}, devices());
  }
  return status;
}
