// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/ArenaPlanner.h"

#include <algorithm>
#include <numeric>

namespace tessera {

ArenaPlan planArena(const std::vector<ArenaRequest> &requests,
                    int64_t alignment) {
  ArenaPlan plan;
  plan.offsets.resize(requests.size());
  std::vector<size_t> order(requests.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (requests[a].bytes != requests[b].bytes)
      return requests[a].bytes > requests[b].bytes;
    return a < b;
  });

  // Placed requests by ascending offset.
  std::vector<size_t> placed;
  for (size_t index : order) {
    const ArenaRequest &request = requests[index];
    int64_t offset = 0;
    for (size_t other : placed) {
      bool meets = requests[other].begin <= request.end &&
                   request.begin <= requests[other].end;
      if (!meets)
        continue;
      if (offset + request.bytes <= plan.offsets[other])
        break;
      int64_t end = plan.offsets[other] + requests[other].bytes;
      end = (end + alignment - 1) / alignment * alignment;
      offset = std::max(offset, end);
    }
    plan.offsets[index] = offset;
    plan.bytes = std::max(plan.bytes, offset + request.bytes);
    auto position = std::upper_bound(
        placed.begin(), placed.end(), offset,
        [&](int64_t o, size_t other) { return o < plan.offsets[other]; });
    placed.insert(position, index);
  }
  plan.bytes = (plan.bytes + alignment - 1) / alignment * alignment;
  return plan;
}

} // namespace tessera
