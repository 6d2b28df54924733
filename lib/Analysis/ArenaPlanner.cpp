// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/ArenaPlanner.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace tessera {

namespace {
/// The requests that have an offset, found by when they live: a tree over all
/// requests by their first steps, whose nodes hold the last step of any placed
/// one below them.
class PlacedRequests {
public:
  explicit PlacedRequests(const std::vector<ArenaRequest> &requests)
      : requests(requests), order(requests.size()), rank(requests.size()) {
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return requests[a].begin < requests[b].begin;
    });
    for (size_t i = 0; i < order.size(); ++i)
      rank[order[i]] = i;
    while (width < order.size())
      width *= 2;
    lastSteps.assign(2 * width, std::numeric_limits<int64_t>::min());
  }

  void add(size_t request) {
    for (size_t node = width + rank[request]; node > 0; node /= 2)
      lastSteps[node] = std::max(lastSteps[node], requests[request].end);
  }

  /// Those that live at a time when `request` does.
  void findMeeting(const ArenaRequest &request,
                   std::vector<size_t> &found) const {
    auto begins = [&](int64_t end, size_t other) {
      return end < requests[other].begin;
    };
    auto limit =
        std::upper_bound(order.begin(), order.end(), request.end, begins);
    find(1, 0, width, limit - order.begin(), request.begin, found);
  }

private:
  /// Of the `count` requests that `node` has from number `first` on, those
  /// before number `limit` that live at step `begin` or later.
  void find(size_t node, size_t first, size_t count, size_t limit,
            int64_t begin, std::vector<size_t> &found) const {
    if (first >= limit || lastSteps[node] < begin)
      return;
    if (count == 1) {
      found.push_back(order[first]);
      return;
    }
    find(2 * node, first, count / 2, limit, begin, found);
    find(2 * node + 1, first + count / 2, count / 2, limit, begin, found);
  }

  const std::vector<ArenaRequest> &requests;
  std::vector<size_t> order; ///< Requests by their first steps.
  std::vector<size_t> rank;  ///< Of each request in that order.
  size_t width = 1;          ///< Leaves of the tree: a power of two.
  std::vector<int64_t> lastSteps;
};
} // namespace

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

  PlacedRequests placed(requests);
  std::vector<size_t> meeting;
  for (size_t index : order) {
    const ArenaRequest &request = requests[index];
    meeting.clear();
    placed.findMeeting(request, meeting);
    std::sort(meeting.begin(), meeting.end(), [&](size_t a, size_t b) {
      return plan.offsets[a] < plan.offsets[b];
    });
    int64_t offset = 0;
    for (size_t other : meeting) {
      if (offset + request.bytes <= plan.offsets[other])
        break;
      int64_t end = plan.offsets[other] + requests[other].bytes;
      end = (end + alignment - 1) / alignment * alignment;
      offset = std::max(offset, end);
    }
    plan.offsets[index] = offset;
    plan.bytes = std::max(plan.bytes, offset + request.bytes);
    placed.add(index);
  }
  plan.bytes = (plan.bytes + alignment - 1) / alignment * alignment;
  return plan;
}

} // namespace tessera
