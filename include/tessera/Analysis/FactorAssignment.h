// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// How an op's index space is split over a mesh: the axes of each factor, and
// the layouts of tensors they come from and lead to.
#ifndef TESSERA_ANALYSIS_FACTORASSIGNMENT_H
#define TESSERA_ANALYSIS_FACTORASSIGNMENT_H

#include "tessera/Analysis/FactorRule.h"

#include <map>
#include <optional>

namespace tessera {

/// Axes of every factor of an op, major to minor; each axis splits one factor.
using FactorAssignment = std::vector<std::vector<AxisRef>>;

/// A tensor of an op, as it is laid out before the op has decided.
struct FactorVote {
  const TensorFactors *dims = nullptr;
  const Layout *layout = nullptr;
  double bytes = 0; ///< Of the whole tensor: what resharding it would move.
};

/// The axes of each factor of one tensor, as its dimensions' axes are dealt to
/// the dimension's factors, major to minor; a factor that gets a part of what
/// it would need to be split fully ends the list. nullopt when an axis does not
/// divide the factor it falls on (the dimension cannot be seen in factors).
std::optional<std::map<int, std::vector<AxisRef>>>
factorAxes(const FactorRule &rule, const TensorFactors &dims,
           const Layout &layout, const Mesh &mesh);

/// What factorAxes finds, for passes that ask for each tensor of a program: a
/// view of the layout's own lists, where no dimension has several factors.
class FactorAxesView {
public:
  struct Entry {
    int factor;
    const std::vector<AxisRef> *axes;
  };

  FactorAxesView() = default;
  // Entries of a copy would be of lists of the original.
  FactorAxesView(const FactorAxesView &) = delete;
  FactorAxesView(FactorAxesView &&) = default;

  /// Sees the axes of a tensor, which must outlive what is read from here;
  /// returns false where factorAxes finds nothing.
  bool see(const FactorRule &rule, const TensorFactors &dims,
           const Layout &layout, const Mesh &mesh);

  /// In the order of the factors.
  const std::vector<Entry> &entries() const { return seen; }
  const std::vector<AxisRef> &axesOf(int factor) const;

private:
  bool seeSingleFactors(const TensorFactors &dims, const Layout &layout);

  std::vector<Entry> seen;
  std::map<int, std::vector<AxisRef>> owned;
};

/// Every factor takes the axes that most bytes already have, in order of those
/// bytes, and no axis that another factor took; ties go to the earlier factor.
/// What a dimension of several factors cannot hold is left out: a minor factor
/// is split only where the major ones are split completely. No factor takes an
/// axis that overlaps one of `excluded`.
FactorAssignment assignFactors(const FactorRule &rule,
                               const std::vector<FactorVote> &votes,
                               const Mesh &mesh,
                               const std::vector<AxisRef> &excluded = {});

/// The layout of a tensor under an assignment.
Layout layoutUnder(const FactorAssignment &axes, const TensorFactors &dims,
                   const Mesh &mesh);

} // namespace tessera

#endif // TESSERA_ANALYSIS_FACTORASSIGNMENT_H
