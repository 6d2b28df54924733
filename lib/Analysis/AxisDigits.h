// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Mesh axes seen as digits that two layouts share.
#ifndef TESSERA_LIB_ANALYSIS_AXISDIGITS_H
#define TESSERA_LIB_ANALYSIS_AXISDIGITS_H

#include "tessera/Analysis/Layout.h"

#include <map>
#include <set>

namespace tessera {

/// A mixed-radix numbering of each axis' devices: the axis is cut at every
/// boundary that the layouts given know, so that each axis or sub-axis of
/// theirs is a list of whole digits. Boundaries of one numbering divide each
/// other: an axis of six devices is [2, 3] or [3, 2], never both.
class AxisDigits {
public:
  explicit AxisDigits(const Mesh &mesh);

  /// Cuts at the boundaries of `axis`. False, changing nothing, when they do
  /// not fit into the numbering so far.
  bool add(const AxisRef &axis);

  /// Cuts the axis into digits of prime size; false where it is already.
  bool refineToPrimes(const std::string &axis);

  std::vector<AxisRef> split(const std::vector<AxisRef> &axes) const;
  /// The same layout in digits, partial axes sorted, other states left out.
  Layout split(const Layout &layout) const;

private:
  const Mesh *mesh;
  /// Per axis: the products of leading digits, 1 and the axis' size included.
  std::map<std::string, std::set<int64_t>> boundaries;
};

} // namespace tessera

#endif // TESSERA_LIB_ANALYSIS_AXISDIGITS_H
