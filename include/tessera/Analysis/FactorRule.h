// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// An operation's factor rule as plain data: the dimensions of its index space
// and how each operand and result dimension maps to them. Propagation,
// resharding, partitioning and the cost model are generic over it.
#ifndef TESSERA_ANALYSIS_FACTORRULE_H
#define TESSERA_ANALYSIS_FACTORRULE_H

#include "tessera/Analysis/Layout.h"
#include "tessera/Analysis/ShortList.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tessera {

enum class FactorKind {
  /// Each index is computed on its own: splitting it needs nothing.
  Pass,
  /// Summed (or max, min) away: splitting it leaves a partial result.
  Reduce,
  /// The op needs the whole extent on every device (softmax over its own
  /// dimension, the sliced dimension of a slice): splitting it is not allowed.
  Replicate,
};

struct Factor {
  std::string name; ///< For messages: "b", "m", "k".
  int64_t size = 1;
  FactorKind kind = FactorKind::Pass;
  ReduceKind reduce = ReduceKind::Sum; ///< Read when kind is Reduce.
};

/// Factors of one tensor dimension, major to minor: one for most, several for
/// the joined side of a reshape, none for a size-1 dimension that broadcasts.
using DimFactors = ShortList<int, 2>;
/// One entry per dimension.
using TensorFactors = std::vector<DimFactors>;

/// Operands that may be partial together: the op is linear in them jointly
/// (add: {0,1}), the others being replicated along the partial axis (matmul:
/// {0} and {1} apart). The result is then partial with the same kind. Linear is
/// meant in real numbers: docs/decisions/0006-partial-sums.md says what floats
/// make of it.
struct LinearGroup {
  std::vector<int> operands;
  ReduceKind kind = ReduceKind::Sum;
};

struct FactorRule {
  std::vector<Factor> factors;
  std::vector<TensorFactors> operands;
  std::vector<TensorFactors> results;
  std::vector<LinearGroup> linear;

  /// Adds a factor and returns its index.
  int addFactor(std::string name, int64_t size,
                FactorKind kind = FactorKind::Pass,
                ReduceKind reduce = ReduceKind::Sum);
  /// `([b,m,k],[k,n])->([b,m,n]) {b=2,m=3,n=5,k=7} reduce={k}`.
  std::string str() const;
  /// First violation of the form in words (factor out of range, sizes that do
  /// not multiply up to the dimension's), or empty.
  std::string
  verify(const std::vector<std::vector<int64_t>> &operandShapes,
         const std::vector<std::vector<int64_t>> &resultShapes) const;
};

/// Shapes of an op's operands and results.
struct OpShapes {
  std::vector<std::vector<int64_t>> operands, results;
};

/// Rule of an op whose operands and results all have the same `shape` and whose
/// elements are computed one by one.
FactorRule elementwiseRule(const std::vector<int64_t> &shape,
                           size_t numOperands);
/// Rule of a reshape: splits both shapes into their coarsest common factors;
/// where they have none, the run of dimensions is Replicate.
FactorRule reshapeRule(const std::vector<int64_t> &from,
                       const std::vector<int64_t> &to);
/// Rule of `lhs,rhs->out` over index letters, e.g. "bmk", "kn", "bmn".
FactorRule contractionRule(const std::string &lhs, const std::string &rhs,
                           const std::string &out,
                           const std::vector<int64_t> &lhsShape,
                           const std::vector<int64_t> &rhsShape);

} // namespace tessera

#endif // TESSERA_ANALYSIS_FACTORRULE_H
