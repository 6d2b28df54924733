// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The varying state of values: which axes the result of an op varies along, and
// which changes of layout keep the state. docs/decisions/0015-value-states.md.
#ifndef TESSERA_ANALYSIS_VALUESTATES_H
#define TESSERA_ANALYSIS_VALUESTATES_H

#include "tessera/Analysis/Layout.h"

namespace tessera {

/// The axes along which something varies that varies along `a` and along `b`,
/// sorted. Where two overlap without being equal, the larger stands for both,
/// and the whole axis where neither contains the other.
std::vector<AxisRef> joinVarying(const std::vector<AxisRef> &a,
                                 const std::vector<AxisRef> &b,
                                 const Mesh &mesh);

/// Whether two lists hold the same axes, in any order and form.
bool isSameVarying(const std::vector<AxisRef> &a, const std::vector<AxisRef> &b,
                   const Mesh &mesh);

/// The first axis of `from.varying` that `to.varying` does not cover. Each
/// device's value is its own along it, so no collective leads from one to the
/// other. To start to vary is possible: every device keeps its copy.
std::optional<AxisRef> findLostVarying(const Layout &from, const Layout &to);

} // namespace tessera

#endif // TESSERA_ANALYSIS_VALUESTATES_H
