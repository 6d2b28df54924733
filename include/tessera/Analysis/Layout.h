// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// How a logical tensor is laid out on a mesh, as plain data: axis references
// (whole axes and sub-axes), one list of them per dimension, and the axes along
// which the value is partial, reduced or varying.
#ifndef TESSERA_ANALYSIS_LAYOUT_H
#define TESSERA_ANALYSIS_LAYOUT_H

#include "tessera/ABI/Digits.h"
#include "tessera/Analysis/Mesh.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tessera {

/// A whole mesh axis, or the sub-axis `name:(pre)size`: an axis of n devices
/// seen as [pre, size, n / (pre * size)]; the sub-axis is the middle digit.
/// A whole axis has `size == 0`; normalise() turns a sub-axis that spans the
/// whole axis into that form.
struct AxisRef {
  std::string name;
  int64_t pre = 1;
  int64_t size = 0;

  bool isWhole() const { return size == 0; }
  /// Number of devices along it on `mesh`.
  int64_t sizeOn(const Mesh &mesh) const;
  /// This device's digit along it: (coordinate / (n / (pre*size))) % size.
  int64_t coordinateOn(const Mesh &mesh, int64_t device) const;
  /// True when the two share a digit or are digits of different numberings of
  /// the axis, so that they cannot both split one tensor.
  bool overlaps(const AxisRef &other, const Mesh &mesh) const;

  bool operator==(const AxisRef &o) const {
    return name == o.name && pre == o.pre && size == o.size;
  }
  bool operator!=(const AxisRef &o) const { return !(*this == o); }
  bool operator<(const AxisRef &o) const;
};

/// How one dimension is split: by `axes`, major to minor. An open dimension may
/// be split further by propagation, a closed one may not. `priority` is the
/// propagation round in which a user's annotation takes part (0 first).
struct DimLayout {
  std::vector<AxisRef> axes;
  bool open = false;
  std::optional<int> priority;

  bool operator==(const DimLayout &o) const {
    return axes == o.axes && open == o.open && priority == o.priority;
  }
};

enum class ReduceKind { Sum, Max, Min, Prod };

/// Layout of a tensor on a mesh. Along an axis that appears nowhere, the value
/// is replicated. `partial` axes: each device holds a term still to be combined
/// by `partialKind`. `reduced` axes: replicated, but the cotangent is partial.
/// `varying` axes: each device has a value of its own, unrelated to the others.
struct Layout {
  std::string mesh;
  std::vector<DimLayout> dims;
  ReduceKind partialKind = ReduceKind::Sum;
  std::vector<AxisRef> partial;
  std::vector<AxisRef> reduced;
  std::vector<AxisRef> varying;

  static Layout replicated(std::string mesh, size_t rank);
  static Layout open(std::string mesh, size_t rank);

  /// No dimension is split and nothing is partial or varying.
  bool isReplicated() const;
  bool isFullyOpen() const;
  /// All dimensions closed, nothing else changed.
  Layout closed() const;
  /// Sub-axes that span their axis are written as the whole axis: {x:(1)2} is
  /// {x} where x has 2 devices. Means the same and compares as equal.
  Layout withWholeAxes(const Mesh &mesh) const;
  /// Splits and value states equal, whether open or closed.
  bool sameSharding(const Layout &other) const;

  /// Number of parts dimension `dim` is cut into.
  int64_t partsOf(size_t dim, const Mesh &mesh) const;
  /// Local size: every dimension is cut in turn by each of its axes,
  /// n -> ceil(n / k), which equals ceil(n / (k1 * k2 * ...)).
  std::vector<int64_t> localShape(const std::vector<int64_t> &global,
                                  const Mesh &mesh) const;
  /// True when some cut does not divide, so some device holds padding.
  bool isUneven(const std::vector<int64_t> &global, const Mesh &mesh) const;

  /// `[{tp}, {?}], partial = sum{dp}`: the text form used in types and errors.
  std::string str() const;

  bool operator==(const Layout &o) const {
    return mesh == o.mesh && dims == o.dims && partial == o.partial &&
           reduced == o.reduced && varying == o.varying &&
           (partial.empty() || partialKind == o.partialKind);
  }
  bool operator!=(const Layout &o) const { return !(*this == o); }
};

/// The part of one dimension that a device holds. Cuts nest: axis by axis the
/// interval is divided into ceil-sized chunks, so that gathering the minor axis
/// always gives the chunk of the major ones, uneven sizes included.
using DimInterval = abi::Interval;
DimInterval localInterval(int64_t globalSize, const std::vector<AxisRef> &axes,
                          const Mesh &mesh, int64_t device);

/// Whether cutting a dimension of `size` into parts[0], each of these into
/// parts[1] and so on gives every device what one cut into their product does.
/// Of an uneven size it may not: docs/decisions/0005-uneven-sizes.md.
bool isOneCut(int64_t size, const std::vector<int64_t> &parts);

/// First problem of `layout` on `mesh` for a tensor of `rank`, in words that
/// name the axis and the rule ("axis 'tp' splits dimension 0 and dimension 1"),
/// or nullopt when it is well formed.
std::optional<std::string> findLayoutError(const Layout &layout,
                                           const Mesh &mesh, size_t rank);

/// The same for a bare list of axes, as a collective has.
std::optional<std::string> findAxesError(const std::vector<AxisRef> &axes,
                                         const Mesh &mesh);

/// Joins adjacent sub-axes that form a larger one and turns sub-axes that span
/// their axis into whole axes. Of a size that does not divide, the parts may
/// change: 2 cut in 4 gives 1, 1, 0, 0 elements, cut in 2 twice 1, 0, 1, 0.
std::vector<AxisRef> normalise(std::vector<AxisRef> axes, const Mesh &mesh);

/// The axes of several devices: one of a single device splits nothing.
std::vector<AxisRef> withoutUnits(std::vector<AxisRef> axes, const Mesh &mesh);

std::string toString(const AxisRef &axis);
std::string toString(const DimLayout &dim);
const char *toString(ReduceKind kind);
const char *toString(LinkClass link);

} // namespace tessera

#endif // TESSERA_ANALYSIS_LAYOUT_H
