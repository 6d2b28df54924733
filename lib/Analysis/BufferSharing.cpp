// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/BufferSharing.h"

#include <algorithm>
#include <iterator>

namespace tessera {

int BufferSharing::add(LiveRange range, bool isWritable) {
  int value = static_cast<int>(ranges.size());
  ranges.push_back(range);
  writable.push_back(isWritable);
  parents.push_back(value);
  members.push_back({value});
  return value;
}

void BufferSharing::allowInPlace(int read, int written) {
  inPlace.insert({read, written});
}

void BufferSharing::extend(int value, int64_t end) {
  ranges[value].end = std::max(ranges[value].end, end);
}

int BufferSharing::setOf(int value) const {
  while (parents[value] != value)
    value = parents[value];
  return value;
}

/// Whether both are live at a step that does not write one over the other.
bool BufferSharing::meet(int a, int b) const {
  const LiveRange &x = ranges[a], &y = ranges[b];
  if (x.end < y.begin || y.end < x.begin)
    return false;
  return !(x.end == y.begin && inPlace.count({a, b})) &&
         !(y.end == x.begin && inPlace.count({b, a}));
}

bool BufferSharing::canJoin(int a, int b) const {
  int x = setOf(a), y = setOf(b);
  if (x == y)
    return true;
  if (!writable[x] || !writable[y])
    return false;
  // In the order of their beginnings, values of one set do not meet, so that a
  // value that meets one of the other set meets a neighbour of that set. Those
  // that end where others begin may have several.
  const std::vector<int> &first = members[x], &second = members[y];
  size_t from = 0;
  for (int value : first) {
    while (from < second.size() &&
           ranges[second[from]].end < ranges[value].begin)
      ++from;
    for (size_t i = from;
         i < second.size() && ranges[second[i]].begin <= ranges[value].end; ++i)
      if (meet(value, second[i]))
        return false;
  }
  return true;
}

bool BufferSharing::join(int a, int b) {
  if (!canJoin(a, b))
    return false;
  int x = setOf(a), y = setOf(b);
  if (x == y)
    return true;
  if (members[x].size() < members[y].size())
    std::swap(x, y);
  std::vector<int> both;
  std::merge(members[x].begin(), members[x].end(), members[y].begin(),
             members[y].end(), std::back_inserter(both), [&](int i, int j) {
               return std::make_pair(ranges[i].begin, i) <
                      std::make_pair(ranges[j].begin, j);
             });
  members[x] = std::move(both);
  members[y].clear();
  parents[y] = x;
  return true;
}

} // namespace tessera
