// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A device mesh as plain data: named axes with sizes and link classes.
#ifndef TESSERA_ANALYSIS_MESH_H
#define TESSERA_ANALYSIS_MESH_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tessera {

/// How the devices along one mesh axis are connected; the cost model maps it
/// to a latency and a bandwidth.
enum class LinkClass { Shm, NVLink, PCIe, IB };

struct MeshAxis {
  std::string name;
  int64_t size = 1;
  LinkClass link = LinkClass::Shm;

  bool operator==(const MeshAxis &o) const {
    return name == o.name && size == o.size && link == o.link;
  }
};

/// Devices are numbered row-major over the axes: the last axis varies fastest.
struct Mesh {
  std::string name;
  std::vector<MeshAxis> axes;

  /// Number of devices; 1 for a mesh without axes.
  int64_t numDevices() const;
  /// The axis called `axis`, or null.
  const MeshAxis *find(std::string_view axis) const;
  /// Position of `axis` in `axes`, or -1.
  int indexOf(std::string_view axis) const;
  /// Coordinate of `device` along each axis.
  std::vector<int64_t> coordinates(int64_t device) const;

  bool operator==(const Mesh &o) const {
    return name == o.name && axes == o.axes;
  }
};

} // namespace tessera

#endif // TESSERA_ANALYSIS_MESH_H
