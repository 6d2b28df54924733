// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What one collective sends and how long it takes: an alpha-beta model of ring
// algorithms, as in Thakur, Rabenseifner, Gropp, Optimization of Collective
// Communication Operations in MPICH, IJHPCA 2005.
#ifndef TESSERA_ANALYSIS_COLLECTIVECOST_H
#define TESSERA_ANALYSIS_COLLECTIVECOST_H

#include "tessera/Analysis/Layout.h"

namespace tessera {

enum class CollectiveKind {
#define TESSERA_COLLECTIVE(NAME, ...) NAME,
#include "tessera/ABI/CollectiveKinds.inc"
};
const char *toString(CollectiveKind kind);

/// Latency and bandwidth of one link class.
struct LinkCost {
  double latencyNs;
  double bytesPerNs;
};
LinkCost linkCost(LinkClass link);

/// The slowest latency and bandwidth along `axes`, which a group over them has.
LinkCost linkCost(const std::vector<AxisRef> &axes, const Mesh &mesh);

/// Modelled time, in nanoseconds, of one collective over `axes` on a local
/// input of `bytes`; for AllSlice, which copies within a device's memory
/// whatever the axes are, on a result of `bytes`.
double collectiveCost(CollectiveKind kind, const std::vector<AxisRef> &axes,
                      double bytes, const Mesh &mesh);
double collectiveCost(CollectiveKind kind, int64_t groupSize, LinkCost link,
                      double bytes);

/// Bytes that each device sends in it, by ring algorithms.
int64_t collectiveBytes(CollectiveKind kind, const std::vector<AxisRef> &axes,
                        int64_t localBytes, const Mesh &mesh);
int64_t collectiveBytes(CollectiveKind kind, int64_t groupSize,
                        int64_t localBytes);

} // namespace tessera

#endif // TESSERA_ANALYSIS_COLLECTIVECOST_H
