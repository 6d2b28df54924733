// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Spreads the layouts that users annotated over a whole program, by factor
// rules. Follows the hierarchy of Shardy (openxla/shardy/docs/propagation.md):
// user priority > op priority > conflict resolution > longest compatible
// prefix.
#ifndef TESSERA_ANALYSIS_LAYOUTPROPAGATION_H
#define TESSERA_ANALYSIS_LAYOUTPROPAGATION_H

#include "tessera/Analysis/FactorAssignment.h"

#include <map>
#include <tuple>

namespace tessera {

/// A tensor value of the program.
struct PropagationValue {
  std::vector<int64_t> shape;
  Layout layout;
};

/// When an op takes part: the cheap and certain ones decide first.
enum class PropagationRound {
  Elementwise = 0, ///< Elementwise, reshape, transpose: one-to-one.
  Compute = 1,     ///< Products, reductions, attention.
  Broadcast = 2,   ///< Ops that invent dimensions.
};

struct PropagationOp {
  FactorRule rule;
  std::vector<int> operands, results; ///< Indices of values.
  PropagationRound round = PropagationRound::Elementwise;
};

/// Why an axis splits a dimension: op `op` carried it over from `fromValue`.
struct AxisGrant {
  int op = -1;
  int fromValue = -1;
  int fromDim = -1;
};

struct PropagationGraph {
  Mesh mesh;
  std::vector<PropagationValue> values;
  std::vector<PropagationOp> ops;
};

/// Grants by (value, dimension, axis); axes that users annotated have none.
using AxisGrants = std::map<std::tuple<int, int, AxisRef>, AxisGrant>;

/// Extends the open dimensions of all values until nothing changes, then closes
/// them. Never removes an axis. The layouts do not depend on the order of ops
/// or values: of two annotations the nearer one is heard, counted in ops, then
/// that of the larger tensor, then that of an op's earlier tensor; between ops,
/// that of the earlier dimension and of the axis whose name comes first.
AxisGrants propagateLayouts(PropagationGraph &graph);

} // namespace tessera

#endif // TESSERA_ANALYSIS_LAYOUTPROPAGATION_H
