// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The cheapest set of edges whose removal separates two nodes of a graph.
#ifndef TESSERA_LIB_ANALYSIS_MINIMUMCUT_H
#define TESSERA_LIB_ANALYSIS_MINIMUMCUT_H

#include <cstddef>
#include <vector>

namespace tessera {

/// A directed graph whose edges cost something to cut. Algorithm: Dinic,
/// maximum flow by blocking flows in levelled graphs, 1970.
class MinimumCut {
public:
  explicit MinimumCut(int numNodes) : edgesOf(numNodes) {}

  /// `cost` may be infinite, but not on all edges of a path from source to
  /// sink.
  void addEdge(int from, int to, double cost);

  /// For each node whether it stays with `source`: of all cheapest cuts the one
  /// with fewest such nodes. Uses the graph up.
  std::vector<bool> separate(int source, int sink);

private:
  struct Edge {
    int to;
    double left; ///< What may still flow.
  };
  bool findLevels(int source, int sink);
  bool findPath(int source, int sink, std::vector<int> &path);
  bool isOpen(int edge) const { return edges[edge].left > tiny; }

  std::vector<Edge> edges; ///< Edge 2k + 1 is the reverse of edge 2k.
  std::vector<std::vector<int>> edgesOf;
  std::vector<int> levels;
  std::vector<std::size_t>
      next;        ///< Of a node, the first edge that may lead on.
  double tiny = 0; ///< What rounding leaves of a full edge.
};

} // namespace tessera

#endif // TESSERA_LIB_ANALYSIS_MINIMUMCUT_H
