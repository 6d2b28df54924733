// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "MinimumCut.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tessera {

void MinimumCut::addEdge(int from, int to, double cost) {
  edgesOf[from].push_back(static_cast<int>(edges.size()));
  edges.push_back({to, cost});
  edgesOf[to].push_back(static_cast<int>(edges.size()));
  edges.push_back({from, 0});
  if (std::isfinite(cost))
    tiny = std::max(tiny, cost * 1e-13);
}

/// Numbers nodes by their distance from the source along open edges.
bool MinimumCut::findLevels(int source, int sink) {
  levels.assign(edgesOf.size(), -1);
  levels[source] = 0;
  std::vector<int> queue = {source};
  for (size_t i = 0; i < queue.size(); ++i)
    for (int edge : edgesOf[queue[i]])
      if (int to = edges[edge].to; isOpen(edge) && levels[to] < 0) {
        levels[to] = levels[queue[i]] + 1;
        queue.push_back(to);
      }
  return levels[sink] >= 0;
}

/// The edges of a path that goes one level up with each of them. Edges that
/// lead nowhere are not tried again.
bool MinimumCut::findPath(int source, int sink, std::vector<int> &path) {
  path.clear();
  for (int node = source; node != sink;) {
    std::vector<int> &leading = edgesOf[node];
    size_t &at = next[node];
    while (at < leading.size() &&
           !(isOpen(leading[at]) &&
             levels[edges[leading[at]].to] == levels[node] + 1))
      ++at;
    if (at < leading.size()) {
      path.push_back(leading[at]);
      node = edges[leading[at]].to;
      continue;
    }
    if (path.empty())
      return false;
    node = edges[path.back() ^ 1].to;
    path.pop_back();
    ++next[node];
  }
  return true;
}

std::vector<bool> MinimumCut::separate(int source, int sink) {
  std::vector<int> path;
  while (findLevels(source, sink)) {
    next.assign(edgesOf.size(), 0);
    while (findPath(source, sink, path)) {
      double flow = std::numeric_limits<double>::infinity();
      for (int edge : path)
        flow = std::min(flow, edges[edge].left);
      for (int edge : path) {
        edges[edge].left -= flow;
        edges[edge ^ 1].left += flow;
      }
    }
  }
  std::vector<bool> isWithSource(edgesOf.size());
  for (size_t node = 0; node < edgesOf.size(); ++node)
    isWithSource[node] = levels[node] >= 0;
  return isWithSource;
}

} // namespace tessera
