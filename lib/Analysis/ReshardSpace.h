// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The graph that the reshard planner searches: layouts whose axes are numbered
// digits, and the collectives that lead from one to another.
#ifndef TESSERA_LIB_ANALYSIS_RESHARDSPACE_H
#define TESSERA_LIB_ANALYSIS_RESHARDSPACE_H

#include "AxisDigits.h"
#include "tessera/Analysis/ReshardPlanner.h"

#include <functional>

namespace tessera {

/// Fills in what `step` from layout `before` sends and costs.
void priceStep(ReshardStep &step, const Layout &before,
               const std::vector<int64_t> &shape, int64_t bytesPerElement,
               const Mesh &mesh);

/// A layout in few bytes, which are also its key: the number of digits of each
/// dimension, the digits of dimension 0, 1, ..., and the set of partial digits.
using ReshardState = std::string;
/// Digits by their number, major to minor.
using DigitList = std::string;

/// One collective, from a state that the reader knows. A permute is given by
/// the states before and after it.
struct ReshardMove {
  CollectiveKind kind = CollectiveKind::AllSlice;
  int dim = -1;      ///< As in ReshardStep.
  int splitDim = -1; ///< As in ReshardStep.
  DigitList digits;  ///< Of the group.
  double nanoseconds = 0;
  ReshardState after;
};

class ReshardSpace {
public:
  /// `from` and `to` are lists of whole digits. Digits that neither uses take
  /// no part: a value is not cut along an idle axis to be joined again.
  ReshardSpace(const Layout &from, const Layout &to, const AxisDigits &digits,
               const std::vector<int64_t> &shape, int64_t bytesPerElement,
               const Mesh &mesh);

  const ReshardState &start() const { return startState; }
  const ReshardState &goal() const { return goalState; }

  /// A partial value is never made of a whole one, nor of one that is partial
  /// along other axes or of another kind.
  bool hasPlan() const;

  /// Calls `visit` for each move from `state`: reductions, gathers and
  /// exchanges of one digit or several at once, cuts by one, and permutes that
  /// bring digits to their places in the goal.
  void forEachMove(const ReshardState &state,
                   const std::function<void(ReshardMove)> &visit) const;

  /// At most the time that the goal is away from `state`: every device must
  /// receive what it lacks, over the fastest link.
  double lowerBound(const ReshardState &state) const;

  /// More than lowerBound, to tell promising states from others: a message for
  /// each dimension that is not in place.
  double estimate(const ReshardState &state) const;

  /// Whether the goal cuts `dim` into the same number of parts or a multiple.
  bool fitsGoal(const ReshardState &state, int dim) const;

  /// The plain plan: reduce everything, gather what is not in place, cut.
  std::vector<ReshardMove> gatherThenSlice() const;

  /// The steps of `moves`, neighbours that do the same to one dimension as one
  /// collective over several axes.
  ReshardPlan toPlan(const std::vector<ReshardMove> &moves) const;

private:
  size_t rank() const { return shape.size(); }
  static int count(const ReshardState &state, size_t dim) {
    return static_cast<unsigned char>(state[dim]);
  }
  DigitList digitsOf(const ReshardState &state, size_t dim) const;
  uint64_t partialOf(const ReshardState &state) const;
  /// All digits that cut or are partial.
  uint64_t usedBy(const ReshardState &state) const;
  ReshardState encode(const Layout &layout) const;
  Layout decode(const ReshardState &state) const;
  ReshardState make(const std::vector<DigitList> &dims, uint64_t partial) const;
  void push(ReshardState &state, size_t dim, const DigitList &list) const;
  void pop(ReshardState &state, size_t dim, size_t n) const;
  void setPartial(ReshardState &state, uint64_t partial) const;

  int64_t partsOf(const DigitList &list) const;
  int64_t localSize(const ReshardState &state, size_t dim) const;
  int64_t localBytes(const ReshardState &state) const;
  bool isEven(const ReshardState &state) const;
  /// Number of leading digits of `dim` that `state` and the goal share.
  size_t commonPrefix(const ReshardState &state, size_t dim) const;
  /// Whether cutting `size` elements by these digits in turn is one cut.
  bool isOneCut(int64_t size, const DigitList &list) const;
  double cost(CollectiveKind kind, const DigitList &list, int64_t bytes) const;
  std::vector<AxisRef> axesOf(const DigitList &list) const;

  struct MoveBuilder;
  void addReductions(MoveBuilder &builder) const;
  bool addCutInPlace(MoveBuilder &builder) const;
  void addCuts(MoveBuilder &builder) const;
  void addCut(MoveBuilder &builder, size_t d, const DigitList &digit) const;
  void addGathers(MoveBuilder &builder) const;
  void addPermutes(MoveBuilder &builder) const;
  std::optional<std::vector<DigitList>>
  alignWithGoal(const ReshardState &state) const;
  void describePermute(ReshardStep &step, const ReshardState &before,
                       const ReshardState &after) const;
  bool joins(const ReshardMove &last, const ReshardMove &next,
             const ReshardState &before) const;

  const std::vector<int64_t> &shape;
  int64_t bytesPerElement;
  const Mesh &mesh;
  Layout goalLayout;
  ReduceKind kind;            ///< Of what is partial.
  std::vector<AxisRef> all;   ///< The digits, by number.
  std::vector<int64_t> sizes; ///< Of the digits.
  std::vector<LinkCost> links;
  uint64_t goalUsed = 0; ///< Digits that cut a dimension of the goal.
  LinkCost fastest = {0, 1};
  int64_t goalBytes = 0;
  ReshardState startState, goalState;
};

} // namespace tessera

#endif // TESSERA_LIB_ANALYSIS_RESHARDSPACE_H
