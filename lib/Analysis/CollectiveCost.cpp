// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/CollectiveCost.h"

#include "tessera/Analysis/MeshGroups.h"

#include <algorithm>

namespace tessera {

const char *toString(CollectiveKind kind) {
  constexpr const char *names[] = {
#define TESSERA_COLLECTIVE(NAME, TEXT, ...) #TEXT,
#include "tessera/ABI/CollectiveKinds.inc"
  };
  return names[static_cast<int>(kind)];
}

LinkCost linkCost(LinkClass link) {
  switch (link) {
  case LinkClass::Shm:
    return {2000, 8};
  case LinkClass::NVLink:
    return {5000, 350};
  case LinkClass::PCIe:
    return {10000, 25};
  case LinkClass::IB:
    return {12000, 45};
  }
  return {2000, 8};
}

/// A slice is a copy within a device's memory, which is faster than every link;
/// the constant keeps plans short.
static constexpr double sliceStartNs = 200, memoryBytesPerNs = 2000;

int64_t collectiveBytes(CollectiveKind kind, int64_t groupSize,
                        int64_t localBytes) {
  int64_t k = groupSize;
  switch (kind) {
  case CollectiveKind::AllSlice:
    return 0;
  case CollectiveKind::AllGather:
    return localBytes * (k - 1);
  case CollectiveKind::AllReduce:
    return 2 * localBytes * (k - 1) / k;
  case CollectiveKind::ReduceScatter:
  case CollectiveKind::AllToAll:
    return localBytes * (k - 1) / k;
  case CollectiveKind::Permute:
    return localBytes;
  }
  return 0;
}

int64_t collectiveBytes(CollectiveKind kind, const std::vector<AxisRef> &axes,
                        int64_t localBytes, const Mesh &mesh) {
  return collectiveBytes(kind, tessera::groupSize(axes, mesh), localBytes);
}

LinkCost linkCost(const std::vector<AxisRef> &axes, const Mesh &mesh) {
  LinkCost slowest = {0, 1e30};
  for (const AxisRef &axis : axes)
    if (const MeshAxis *meshAxis = mesh.find(axis.name)) {
      LinkCost cost = linkCost(meshAxis->link);
      slowest.latencyNs = std::max(slowest.latencyNs, cost.latencyNs);
      slowest.bytesPerNs = std::min(slowest.bytesPerNs, cost.bytesPerNs);
    }
  return slowest;
}

double collectiveCost(CollectiveKind kind, int64_t groupSize, LinkCost link,
                      double bytes) {
  if (kind == CollectiveKind::AllSlice)
    return sliceStartNs + bytes / memoryBytesPerNs;
  double sent = static_cast<double>(
      collectiveBytes(kind, groupSize, static_cast<int64_t>(bytes)));
  double rounds = kind == CollectiveKind::AllReduce ? 2 : 1;
  return rounds * link.latencyNs + sent / link.bytesPerNs;
}

double collectiveCost(CollectiveKind kind, const std::vector<AxisRef> &axes,
                      double bytes, const Mesh &mesh) {
  return collectiveCost(kind, tessera::groupSize(axes, mesh),
                        linkCost(axes, mesh), bytes);
}

} // namespace tessera
