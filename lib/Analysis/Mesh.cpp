// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/Mesh.h"

namespace tessera {

int64_t Mesh::numDevices() const {
  int64_t count = 1;
  for (const MeshAxis &axis : axes)
    count *= axis.size;
  return count;
}

int Mesh::indexOf(std::string_view axis) const {
  for (size_t i = 0; i < axes.size(); ++i)
    if (axes[i].name == axis)
      return static_cast<int>(i);
  return -1;
}

const MeshAxis *Mesh::find(std::string_view axis) const {
  int index = indexOf(axis);
  return index < 0 ? nullptr : &axes[index];
}

std::vector<int64_t> Mesh::coordinates(int64_t device) const {
  std::vector<int64_t> result(axes.size());
  for (size_t i = axes.size(); i-- > 0;) {
    result[i] = device % axes[i].size;
    device /= axes[i].size;
  }
  return result;
}

} // namespace tessera
