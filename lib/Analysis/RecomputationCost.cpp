// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RecomputationCost.h"

#include <algorithm>

namespace tessera {

/// How many ops of a cone are looked at.
constexpr size_t maxConeNodes = 128;

bool isLight(const KernelNode &node) {
  return node.kind == KernelOpClass::Elementwise ||
         node.kind == KernelOpClass::Moving;
}

/// For each node, how often each element of it is computed if nothing is in
/// memory between it and the next ops that read it at their own indices.
static std::vector<double>
countEvaluations(const std::vector<KernelNode> &nodes) {
  std::vector<double> moved(nodes.size(), 0), counts(nodes.size(), 0);
  std::vector<bool> isReadInPlace(nodes.size(), false);
  for (size_t i = nodes.size(); i-- > 0;) {
    const KernelNode &user = nodes[i];
    counts[i] = moved[i] + (isReadInPlace[i] ? 1 : 0);
    for (const KernelOperand &operand : user.operands) {
      if (user.kind != KernelOpClass::Moving ||
          operand.access != KernelAccess::Element) {
        isReadInPlace[operand.node] = true;
        continue;
      }
      moved[operand.node] +=
          counts[i] * operand.share * static_cast<double>(user.elements) /
          static_cast<double>(
              std::max<int64_t>(1, nodes[operand.node].elements));
    }
  }
  return counts;
}

RecomputationCost::RecomputationCost(const std::vector<KernelNode> &nodes,
                                     const KernelLimits &limits)
    : nodes(nodes), limits(limits), isInMemory(nodes.size(), false),
      visited(nodes.size(), 0) {
  for (const KernelNode &node : nodes)
    if (node.kind == KernelOpClass::Host)
      for (const KernelOperand &operand : node.operands)
        isInMemory[operand.node] = true;
  std::vector<double> counts = countEvaluations(nodes);
  for (size_t i = 0; i < nodes.size(); ++i) {
    double evaluations = counts[i] * static_cast<double>(nodes[i].elements);
    if (isLight(nodes[i]) &&
        !isWorthRepeating(static_cast<int>(i), evaluations))
      isInMemory[i] = true;
  }
}

bool RecomputationCost::isWorthRepeating(int node, double evaluations) {
  // What only renames or selects elements is as good as a load of them.
  if (nodes[node].cost == 0)
    return true;
  double again = evaluations - static_cast<double>(nodes[node].elements);
  if (again <= 0)
    return true;
  double saved = costOfMemory(node);
  return again * coneCost(node, saved / again) <= saved;
}

double RecomputationCost::costOfMemory(int node) const {
  return static_cast<double>(nodes[node].elements) * limits.memoryCost +
         limits.launchCost;
}

/// Instructions per element of `node` and its cone, less those of loading it;
/// no more than just above `bound`.
double RecomputationCost::coneCost(int node, double bound) {
  double total = -1;
  std::vector<int> worklist = {node};
  size_t count = 0;
  visited[node] = ++visit;
  while (!worklist.empty() && total <= bound && count < maxConeNodes) {
    const KernelNode &op = nodes[worklist.back()];
    worklist.pop_back();
    ++count;
    total += op.cost;
    for (const KernelOperand &operand : op.operands) {
      if (visited[operand.node] == visit)
        continue;
      visited[operand.node] = visit;
      const KernelNode &producer = nodes[operand.node];
      bool isInside = (isLight(producer) && !isInMemory[operand.node]) ||
                      producer.kind == KernelOpClass::Free;
      if (isInside && operand.access != KernelAccess::Memory)
        worklist.push_back(operand.node);
      else
        total += 1; // A load.
    }
  }
  return total;
}

} // namespace tessera
