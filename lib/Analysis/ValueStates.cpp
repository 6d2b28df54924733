// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/ValueStates.h"

#include <algorithm>

namespace tessera {

/// Whether the digits of `inner` are among those of `outer`. An axis whose
/// size is not at hand is whole, and contains every sub-axis.
static bool contains(const AxisRef &outer, const AxisRef &inner) {
  if (outer.name != inner.name)
    return false;
  if (outer.isWhole() || inner.isWhole())
    return outer.isWhole();
  return inner.pre % outer.pre == 0 &&
         (outer.pre * outer.size) % (inner.pre * inner.size) == 0;
}

static void insert(std::vector<AxisRef> &axes, AxisRef axis, const Mesh &mesh) {
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 0; i < axes.size(); ++i) {
      if (!axes[i].overlaps(axis, mesh))
        continue;
      if (contains(axes[i], axis))
        return;
      if (!contains(axis, axes[i]))
        axis = AxisRef{axis.name};
      axes.erase(axes.begin() + i);
      changed = true;
      break;
    }
  }
  axes.push_back(std::move(axis));
}

std::vector<AxisRef> joinVarying(const std::vector<AxisRef> &a,
                                 const std::vector<AxisRef> &b,
                                 const Mesh &mesh) {
  std::vector<AxisRef> result;
  for (const std::vector<AxisRef> *list : {&a, &b})
    for (const AxisRef &axis : normalise(*list, mesh))
      insert(result, axis, mesh);
  std::sort(result.begin(), result.end());
  return result;
}

bool isSameVarying(const std::vector<AxisRef> &a, const std::vector<AxisRef> &b,
                   const Mesh &mesh) {
  return joinVarying(a, {}, mesh) == joinVarying(b, {}, mesh);
}

std::optional<AxisRef> findLostVarying(const Layout &from, const Layout &to) {
  for (const AxisRef &axis : from.varying)
    if (std::none_of(to.varying.begin(), to.varying.end(),
                     [&](const AxisRef &kept) { return contains(kept, axis); }))
      return axis;
  return std::nullopt;
}

} // namespace tessera
