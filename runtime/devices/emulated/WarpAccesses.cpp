// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "WarpAccesses.h"

#include <algorithm>
#include <tuple>

namespace tessera::emulated {

namespace {

constexpr int64_t sectorBytes = 32;
constexpr int64_t maxAccessBytes = 16; ///< Of a thread.

/// An access of a lane and for the how many-th time it does it in this turn.
struct LaneAccess {
  ThreadAccess access;
  int32_t lane = 0;
  int32_t time = 0;

  /// Equal for the lanes that do it together. What some do to one argument and
  /// some to another, by a pointer that was chosen, is two accesses.
  auto key() const {
    return std::tuple(access.turn, time, access.site, access.argument);
  }
};

/// Accesses of the same lanes to side by side bytes: those of lane lanes[i]
/// are `parts` times `bytes` bytes from begins[i] on.
struct Run {
  ThreadAccess first;
  std::vector<int32_t> lanes;
  std::vector<int64_t> begins;
  int64_t parts = 1;

  bool isContinuedBy(const Run &next) const {
    if (first.argument != next.first.argument ||
        first.isWrite != next.first.isWrite ||
        first.bytes != next.first.bytes || lanes != next.lanes)
      return false;
    int64_t length = parts * first.bytes;
    return std::equal(
        begins.begin(), begins.end(), next.begins.begin(),
        [&](int64_t mine, int64_t its) { return mine + length == its; });
  }
};

/// The sectors of one access by lanes to `bytes` bytes from `begins` on.
rt::SectorCount countSectors(std::vector<int64_t> begins, int64_t bytes) {
  std::sort(begins.begin(), begins.end());
  int64_t sectors = 0, held = 0, end = 0, nextSector = 0;
  for (int64_t begin : begins) {
    int64_t last = (begin + bytes - 1) / sectorBytes;
    int64_t first = std::max(begin / sectorBytes, nextSector);
    sectors += std::max<int64_t>(0, last - first + 1);
    nextSector = std::max(nextSector, last + 1);
    held += std::max<int64_t>(0, begin + bytes - std::max(begin, end));
    end = std::max(end, begin + bytes);
  }
  return {sectors, (held + sectorBytes - 1) / sectorBytes};
}

/// Cuts a run into the widest accesses that are aligned in all lanes.
void countRun(const Run &run, rt::KernelTraffic &traffic) {
  rt::ArgumentTraffic &argument = traffic[run.first.argument];
  rt::SectorCount &count = run.first.isWrite ? argument.stores : argument.loads;
  int64_t bytes = run.first.bytes;
  for (int64_t part = 0; part < run.parts;) {
    std::vector<int64_t> begins = run.begins;
    for (int64_t &begin : begins)
      begin += part * bytes;
    auto isAligned = [&](int64_t width) {
      return std::all_of(begins.begin(), begins.end(), [&](int64_t begin) {
        return begin % (width * bytes) == 0;
      });
    };
    int64_t width = 1;
    while (2 * width * bytes <= maxAccessBytes &&
           part + 2 * width <= run.parts && isAligned(2 * width))
      width *= 2;
    count += countSectors(std::move(begins), width * bytes);
    part += width;
  }
}

} // namespace

/// All accesses of a warp, those that are done together side by side.
static std::vector<LaneAccess>
sortAccesses(const std::vector<std::vector<ThreadAccess>> &lanes) {
  std::vector<LaneAccess> all;
  for (size_t lane = 0; lane < lanes.size(); ++lane)
    for (const ThreadAccess &access : lanes[lane])
      all.push_back({access, static_cast<int32_t>(lane),
                     static_cast<int32_t>(all.size())});
  auto ofLane = [](const LaneAccess &a) {
    return std::tuple(a.lane, a.access.turn, a.access.site);
  };
  // Each lane's accesses of one kind in the order in which it made them, whose
  // place in it is then the time.
  std::sort(
      all.begin(), all.end(), [&](const LaneAccess &a, const LaneAccess &b) {
        return std::tuple(ofLane(a), a.time) < std::tuple(ofLane(b), b.time);
      });
  for (size_t i = 0; i < all.size(); ++i)
    all[i].time =
        i > 0 && ofLane(all[i]) == ofLane(all[i - 1]) ? all[i - 1].time + 1 : 0;
  std::sort(all.begin(), all.end(),
            [](const LaneAccess &a, const LaneAccess &b) {
              return std::tuple(a.key(), a.lane) < std::tuple(b.key(), b.lane);
            });
  return all;
}

void countWarp(const std::vector<std::vector<ThreadAccess>> &lanes,
               rt::KernelTraffic &traffic) {
  std::vector<LaneAccess> all = sortAccesses(lanes);
  std::vector<Run> runs; // Of one basic block.
  auto finishBlock = [&] {
    for (const Run &run : runs)
      countRun(run, traffic);
    runs.clear();
  };
  for (size_t i = 0; i < all.size();) {
    const LaneAccess &first = all[i];
    bool isSameBlock = i > 0 && first.access.turn == all[i - 1].access.turn &&
                       first.time == all[i - 1].time &&
                       first.access.site - all[i - 1].access.site <= 1;
    if (!isSameBlock)
      finishBlock();
    Run run;
    run.first = first.access;
    for (; i < all.size() && all[i].key() == first.key(); ++i) {
      run.lanes.push_back(all[i].lane);
      run.begins.push_back(all[i].access.begin);
    }
    auto before = std::find_if(runs.begin(), runs.end(), [&](const Run &open) {
      return open.isContinuedBy(run);
    });
    if (before == runs.end())
      runs.push_back(std::move(run));
    else
      ++before->parts;
  }
  finishBlock();
}

} // namespace tessera::emulated
