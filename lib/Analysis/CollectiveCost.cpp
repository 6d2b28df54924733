// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/CollectiveCost.h"

#include <algorithm>

namespace tessera {

const char *toString(CollectiveKind kind) {
  switch (kind) {
  case CollectiveKind::AllSlice:
    return "all_slice";
  case CollectiveKind::AllGather:
    return "all_gather";
  case CollectiveKind::AllReduce:
    return "all_reduce";
  case CollectiveKind::ReduceScatter:
    return "reduce_scatter";
  case CollectiveKind::AllToAll:
    return "all_to_all";
  case CollectiveKind::Permute:
    return "permute";
  }
  return "all_slice";
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

static int64_t groupSize(const std::vector<AxisRef> &axes, const Mesh &mesh) {
  int64_t size = 1;
  for (const AxisRef &axis : axes)
    size *= axis.sizeOn(mesh);
  return size;
}

int64_t collectiveBytes(CollectiveKind kind, const std::vector<AxisRef> &axes,
                        int64_t localBytes, const Mesh &mesh) {
  int64_t k = groupSize(axes, mesh);
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

double collectiveCost(CollectiveKind kind, const std::vector<AxisRef> &axes,
                      double bytes, const Mesh &mesh) {
  // A local copy at memory speed; the constant keeps plans short.
  if (kind == CollectiveKind::AllSlice)
    return 200 + bytes / 20;
  LinkCost slowest = {0, 1e30};
  for (const AxisRef &axis : axes)
    if (const MeshAxis *meshAxis = mesh.find(axis.name)) {
      LinkCost cost = linkCost(meshAxis->link);
      slowest.latencyNs = std::max(slowest.latencyNs, cost.latencyNs);
      slowest.bytesPerNs = std::min(slowest.bytesPerNs, cost.bytesPerNs);
    }
  double sent = static_cast<double>(
      collectiveBytes(kind, axes, static_cast<int64_t>(bytes), mesh));
  double rounds = kind == CollectiveKind::AllReduce ? 2 : 1;
  return rounds * slowest.latencyNs + sent / slowest.bytesPerNs;
}

} // namespace tessera
