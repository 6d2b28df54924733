// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "MeshGroups.h"

#include <algorithm>
#include <map>

using namespace tessera;

int64_t tessera::indexAlong(const std::vector<AxisRef> &axes, const Mesh &mesh,
                            int64_t device) {
  int64_t index = 0;
  for (const AxisRef &axis : axes)
    index = index * axis.sizeOn(mesh) + axis.coordinateOn(mesh, device);
  return index;
}

/// The device's coordinates with the digits along `axes` set to 0.
static std::vector<int64_t> coordinatesBeside(const std::vector<AxisRef> &axes,
                                              const Mesh &mesh,
                                              int64_t device) {
  std::vector<int64_t> coordinates = mesh.coordinates(device);
  for (const AxisRef &axis : axes) {
    int dim = mesh.indexOf(axis.name);
    int64_t stride =
        axis.isWhole() ? 1 : mesh.axes[dim].size / (axis.pre * axis.size);
    coordinates[dim] -= axis.coordinateOn(mesh, device) * stride;
  }
  return coordinates;
}

std::vector<std::vector<int32_t>>
tessera::groupsAlong(const std::vector<AxisRef> &axes, const Mesh &mesh) {
  using Member = std::pair<int64_t, int32_t>;
  std::map<std::vector<int64_t>, std::vector<Member>> members;
  for (int64_t device = 0; device < mesh.numDevices(); ++device)
    members[coordinatesBeside(axes, mesh, device)].emplace_back(
        indexAlong(axes, mesh, device), static_cast<int32_t>(device));
  std::vector<std::vector<int32_t>> groups;
  for (auto &[coordinates, group] : members) {
    std::sort(group.begin(), group.end());
    std::vector<int32_t> devices;
    for (auto [index, device] : group)
      devices.push_back(device);
    groups.push_back(std::move(devices));
  }
  std::sort(groups.begin(), groups.end());
  return groups;
}
