// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/Layout.h"

#include "tessera/Analysis/MeshGroups.h"

#include <algorithm>
#include <tuple>

namespace tessera {

int64_t AxisRef::sizeOn(const Mesh &mesh) const {
  if (!isWhole())
    return size;
  const MeshAxis *axis = mesh.find(name);
  return axis ? axis->size : 1;
}

int64_t AxisRef::coordinateOn(const Mesh &mesh, int64_t device) const {
  int index = mesh.indexOf(name);
  if (index < 0)
    return 0;
  int64_t coordinate = mesh.coordinates(device)[index];
  if (isWhole())
    return coordinate;
  int64_t post = mesh.axes[index].size / (pre * size);
  return (coordinate / post) % size;
}

bool AxisRef::overlaps(const AxisRef &other, const Mesh &mesh) const {
  if (name != other.name)
    return false;
  // An axis of one device has no digits, and is used once all the same.
  if (*this == other)
    return true;
  // Disjoint are digits of one numbering, the one wholly major to the other:
  // x:(1)2 and x:(2)3 of six devices. x:(1)2 and x:(3)2 are not, as no
  // numbering [2, k, 2] has six devices.
  int64_t end = pre * sizeOn(mesh);
  int64_t otherEnd = other.pre * other.sizeOn(mesh);
  return other.pre % end != 0 && pre % otherEnd != 0;
}

bool AxisRef::operator<(const AxisRef &o) const {
  return std::tie(name, pre, size) < std::tie(o.name, o.pre, o.size);
}

Layout Layout::replicated(std::string mesh, size_t rank) {
  Layout layout;
  layout.mesh = std::move(mesh);
  layout.dims.resize(rank);
  return layout;
}

Layout Layout::open(std::string mesh, size_t rank) {
  Layout layout = replicated(std::move(mesh), rank);
  for (DimLayout &dim : layout.dims)
    dim.open = true;
  return layout;
}

bool Layout::isReplicated() const {
  return partial.empty() && varying.empty() &&
         std::all_of(dims.begin(), dims.end(),
                     [](const DimLayout &dim) { return dim.axes.empty(); });
}

bool Layout::isFullyOpen() const {
  return partial.empty() && reduced.empty() && varying.empty() &&
         std::all_of(dims.begin(), dims.end(), [](const DimLayout &dim) {
           return dim.open && dim.axes.empty() && !dim.priority;
         });
}

Layout Layout::closed() const {
  Layout layout = *this;
  for (DimLayout &dim : layout.dims) {
    dim.open = false;
    dim.priority.reset();
  }
  return layout;
}

static void makeWhole(std::vector<AxisRef> &axes, const Mesh &mesh) {
  for (AxisRef &axis : axes) {
    const MeshAxis *whole = mesh.find(axis.name);
    if (whole && axis.pre == 1 && axis.size == whole->size)
      axis.size = 0;
  }
}

Layout Layout::withWholeAxes(const Mesh &mesh) const {
  Layout layout = *this;
  for (DimLayout &dim : layout.dims)
    makeWhole(dim.axes, mesh);
  makeWhole(layout.partial, mesh);
  makeWhole(layout.reduced, mesh);
  makeWhole(layout.varying, mesh);
  return layout;
}

bool Layout::sameSharding(const Layout &other) const {
  auto isSplitAlike = [](const DimLayout &a, const DimLayout &b) {
    return a.axes == b.axes;
  };
  return mesh == other.mesh && partial == other.partial &&
         varying == other.varying &&
         (partial.empty() || partialKind == other.partialKind) &&
         std::equal(dims.begin(), dims.end(), other.dims.begin(),
                    other.dims.end(), isSplitAlike);
}

int64_t Layout::partsOf(size_t dim, const Mesh &mesh) const {
  int64_t parts = 1;
  for (const AxisRef &axis : dims[dim].axes)
    parts *= axis.sizeOn(mesh);
  return parts;
}

std::vector<int64_t> Layout::localShape(const std::vector<int64_t> &global,
                                        const Mesh &mesh) const {
  std::vector<int64_t> local = global;
  for (size_t d = 0; d < dims.size() && d < local.size(); ++d) {
    int64_t parts = partsOf(d, mesh);
    local[d] = (local[d] + parts - 1) / parts;
  }
  return local;
}

bool Layout::isUneven(const std::vector<int64_t> &global,
                      const Mesh &mesh) const {
  for (size_t d = 0; d < dims.size() && d < global.size(); ++d)
    if (global[d] % partsOf(d, mesh) != 0)
      return true;
  return false;
}

DimInterval localInterval(int64_t globalSize, const std::vector<AxisRef> &axes,
                          const Mesh &mesh, int64_t device) {
  return abi::intervalOf(globalSize, digitsOf(axes, mesh), device);
}

bool isOneCut(int64_t size, const std::vector<int64_t> &parts) {
  int64_t rest = 1;
  for (int64_t k : parts)
    rest *= k;
  for (int64_t k : parts) {
    // Of chunks of `chunk`, each cut into `rest`, the second begins where the
    // one cut begins its part number `rest` only if these fill the first.
    rest /= k;
    int64_t chunk = (size + k - 1) / k;
    if (k > 1 && size > chunk && chunk % rest != 0)
      return false;
    size = chunk;
  }
  return true;
}

std::vector<AxisRef> normalise(std::vector<AxisRef> axes, const Mesh &mesh) {
  std::vector<AxisRef> result;
  for (AxisRef axis : axes) {
    if (!result.empty()) {
      AxisRef &last = result.back();
      if (!last.isWhole() && !axis.isWhole() && last.name == axis.name &&
          last.pre * last.size == axis.pre) {
        last.size *= axis.size;
        continue;
      }
    }
    result.push_back(std::move(axis));
  }
  makeWhole(result, mesh);
  return result;
}

std::vector<AxisRef> withoutUnits(std::vector<AxisRef> axes, const Mesh &mesh) {
  axes.erase(std::remove_if(
                 axes.begin(), axes.end(),
                 [&](const AxisRef &axis) { return axis.sizeOn(mesh) == 1; }),
             axes.end());
  return axes;
}

static std::optional<std::string> findAxisError(const AxisRef &axis,
                                                const Mesh &mesh) {
  const MeshAxis *whole = mesh.find(axis.name);
  if (!whole) {
    std::string message =
        "unknown axis '" + axis.name + "'; mesh '" + mesh.name + "' has axes: ";
    for (size_t i = 0; i < mesh.axes.size(); ++i)
      message += (i ? ", '" : "'") + mesh.axes[i].name + "'";
    return message;
  }
  if (axis.isWhole())
    return std::nullopt;
  if (axis.size < 2 || axis.pre < 1 ||
      whole->size % (axis.pre * axis.size) != 0)
    return "sub-axis " + toString(axis) + " does not divide axis '" +
           axis.name + "' of size " + std::to_string(whole->size);
  return std::nullopt;
}

/// Whether two digits of one axis belong to different numberings of it: no list
/// of sizes has the bounds of both. x:(1)2 and x:(1)3 of six devices are digits
/// of [2, 3] and of [3, 2]; x:(1)4 and x:(2)2 of eight are both in [2, 2, 2].
static bool haveUnlikeNumberings(const AxisRef &a, const AxisRef &b,
                                 const Mesh &mesh) {
  int64_t bounds[] = {a.pre, a.pre * a.sizeOn(mesh), b.pre,
                      b.pre * b.sizeOn(mesh)};
  std::sort(std::begin(bounds), std::end(bounds));
  for (int i = 0; i < 3; ++i)
    if (bounds[i + 1] % bounds[i] != 0)
      return true;
  return false;
}

/// What is wrong with two overlapping axes of one list or layout; `whereA` and
/// `whereB` say who uses them, as " of dimension 1".
static std::string describeUnlike(const AxisRef &a, const std::string &whereA,
                                  const AxisRef &b, const std::string &whereB,
                                  const Mesh &mesh) {
  int64_t size = mesh.find(a.name)->size;
  int64_t end = a.pre * a.size;
  // A digit that goes with `a`: what is minor to it, else what is major.
  AxisRef partner =
      end < size ? AxisRef{a.name, end, size / end} : AxisRef{a.name, 1, a.pre};
  return "sub-axes '" + toString(a) + "'" + whereA + " and '" + toString(b) +
         "'" + whereB + " number the " + std::to_string(size) +
         " devices of axis '" + a.name +
         "' differently; use digits of one numbering, such as " + toString(a) +
         " and " + toString(partner);
}

std::optional<std::string> findAxesError(const std::vector<AxisRef> &axes,
                                         const Mesh &mesh) {
  for (size_t i = 0; i < axes.size(); ++i) {
    if (auto error = findAxisError(axes[i], mesh))
      return error;
    for (size_t j = 0; j < i; ++j) {
      if (!axes[i].overlaps(axes[j], mesh))
        continue;
      if (haveUnlikeNumberings(axes[j], axes[i], mesh))
        return describeUnlike(axes[j], "", axes[i], "", mesh);
      return "axis '" + toString(axes[i]) + "' overlaps axis '" +
             toString(axes[j]) + "'; each device digit is used at most once";
    }
  }
  return std::nullopt;
}

std::optional<std::string> findLayoutError(const Layout &layout,
                                           const Mesh &mesh, size_t rank) {
  if (layout.dims.size() != rank)
    return "layout has " + std::to_string(layout.dims.size()) +
           " dimensions, the tensor has " + std::to_string(rank);
  std::vector<std::pair<AxisRef, std::string>> seen;
  auto use = [&](const AxisRef &axis,
                 const std::string &where) -> std::optional<std::string> {
    if (auto error = findAxisError(axis, mesh))
      return error;
    for (const auto &[other, otherWhere] : seen) {
      if (!axis.overlaps(other, mesh))
        continue;
      if (haveUnlikeNumberings(other, axis, mesh))
        return describeUnlike(other, " of " + otherWhere, axis, " of " + where,
                              mesh);
      return "axis '" + toString(axis) + "' is used twice: by " + otherWhere +
             " and by " + where + "; a tensor uses each axis at most once";
    }
    seen.emplace_back(axis, where);
    return std::nullopt;
  };
  for (size_t d = 0; d < layout.dims.size(); ++d)
    for (const AxisRef &axis : layout.dims[d].axes)
      if (auto error = use(axis, "dimension " + std::to_string(d)))
        return error;
  for (const AxisRef &axis : layout.partial)
    if (auto error = use(axis, "partial"))
      return error;
  for (const AxisRef &axis : layout.reduced)
    if (auto error = use(axis, "reduced"))
      return error;
  for (const AxisRef &axis : layout.varying)
    if (auto error = use(axis, "varying"))
      return error;
  return std::nullopt;
}

std::string toString(const AxisRef &axis) {
  if (axis.isWhole())
    return axis.name;
  return axis.name + ":(" + std::to_string(axis.pre) + ")" +
         std::to_string(axis.size);
}

static std::string joinAxes(const std::vector<AxisRef> &axes) {
  std::string text;
  for (const AxisRef &axis : axes)
    text += (text.empty() ? "" : ", ") + toString(axis);
  return text;
}

std::string toString(const DimLayout &dim) {
  std::string text = "{" + joinAxes(dim.axes);
  if (dim.open)
    text += dim.axes.empty() ? "?" : ", ?";
  text += "}";
  if (dim.priority)
    text += "p" + std::to_string(*dim.priority);
  return text;
}

std::string Layout::str() const {
  std::string text = "[";
  for (size_t d = 0; d < dims.size(); ++d)
    text += (d ? ", " : "") + toString(dims[d]);
  text += "]";
  if (!partial.empty())
    text += std::string(", partial = ") + toString(partialKind) + "{" +
            joinAxes(partial) + "}";
  if (!reduced.empty())
    text += ", reduced = {" + joinAxes(reduced) + "}";
  if (!varying.empty())
    text += ", varying = {" + joinAxes(varying) + "}";
  return text;
}

const char *toString(ReduceKind kind) {
  switch (kind) {
  case ReduceKind::Sum:
    return "sum";
  case ReduceKind::Max:
    return "max";
  case ReduceKind::Min:
    return "min";
  case ReduceKind::Prod:
    return "prod";
  }
  return "sum";
}

const char *toString(LinkClass link) {
  switch (link) {
  case LinkClass::Shm:
    return "shm";
  case LinkClass::NVLink:
    return "nvlink";
  case LinkClass::PCIe:
    return "pcie";
  case LinkClass::IB:
    return "ib";
  }
  return "shm";
}

} // namespace tessera
