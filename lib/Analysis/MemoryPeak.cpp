// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/MemoryPeak.h"

#include <map>

namespace tessera {

MemoryPeak findMemoryPeak(const std::vector<ArenaRequest> &requests,
                          int64_t alignment) {
  // How much more lives from a step on than before it.
  std::map<int64_t, int64_t> changes;
  for (const ArenaRequest &request : requests) {
    int64_t bytes = (request.bytes + alignment - 1) / alignment * alignment;
    changes[request.begin] += bytes;
    changes[request.end + 1] -= bytes;
  }
  MemoryPeak peak;
  int64_t bytes = 0;
  for (auto [step, change] : changes) {
    bytes += change;
    if (bytes <= peak.bytes)
      continue;
    peak.bytes = bytes;
    peak.step = step;
  }
  for (size_t i = 0; i < requests.size(); ++i)
    if (peak.bytes && requests[i].begin <= peak.step &&
        peak.step <= requests[i].end)
      peak.alive.push_back(i);
  return peak;
}

} // namespace tessera
