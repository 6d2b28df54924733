// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Which devices of a mesh act together along a list of axes.
#ifndef TESSERA_LIB_TARGET_PLAN_MESHGROUPS_H
#define TESSERA_LIB_TARGET_PLAN_MESHGROUPS_H

#include "tessera/Analysis/Layout.h"

namespace tessera {

/// This device's linear index along `axes`, major to minor.
int64_t indexAlong(const std::vector<AxisRef> &axes, const Mesh &mesh,
                   int64_t device);

/// The groups of devices that differ in their digits along `axes` alone, each
/// ordered by those digits; groups by their first device.
std::vector<std::vector<int32_t>> groupsAlong(const std::vector<AxisRef> &axes,
                                              const Mesh &mesh);

} // namespace tessera

#endif // TESSERA_LIB_TARGET_PLAN_MESHGROUPS_H
