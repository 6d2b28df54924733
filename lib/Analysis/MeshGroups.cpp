// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/MeshGroups.h"

#include <algorithm>
#include <map>

namespace tessera {

int64_t groupSize(const std::vector<AxisRef> &axes, const Mesh &mesh) {
  int64_t size = 1;
  for (const AxisRef &axis : axes)
    size *= axis.sizeOn(mesh);
  return size;
}

std::vector<abi::Digit> digitsOf(const std::vector<AxisRef> &axes,
                                 const Mesh &mesh) {
  std::vector<abi::Digit> digits;
  for (const AxisRef &axis : axes) {
    size_t position = mesh.indexOf(axis.name);
    int64_t size = axis.sizeOn(mesh);
    int64_t stride = mesh.axes[position].size / (axis.pre * size);
    for (size_t minor = position + 1; minor < mesh.axes.size(); ++minor)
      stride *= mesh.axes[minor].size;
    if (size > 1)
      digits.push_back({stride, size});
  }
  return digits;
}

int64_t indexAlong(const std::vector<AxisRef> &axes, const Mesh &mesh,
                   int64_t device) {
  return abi::indexAlong(digitsOf(axes, mesh), device);
}

std::vector<std::vector<int32_t>> groupsAlong(const std::vector<AxisRef> &axes,
                                              const Mesh &mesh) {
  return abi::groupsAlong(digitsOf(axes, mesh), mesh.numDevices());
}

/// The runs of digits of each axis, [begin, end) as products of leading digits,
/// neighbours joined.
static std::map<std::string, std::vector<std::pair<int64_t, int64_t>>>
runsOf(const std::vector<AxisRef> &axes, const Mesh &mesh) {
  std::map<std::string, std::vector<std::pair<int64_t, int64_t>>> runs;
  for (const AxisRef &axis : axes)
    if (axis.sizeOn(mesh) > 1)
      runs[axis.name].emplace_back(axis.pre, axis.pre * axis.sizeOn(mesh));
  for (auto &[name, list] : runs) {
    std::sort(list.begin(), list.end());
    std::vector<std::pair<int64_t, int64_t>> joined;
    for (auto [begin, end] : list) {
      if (!joined.empty() && joined.back().second == begin)
        joined.back().second = end;
      else
        joined.emplace_back(begin, end);
    }
    list = std::move(joined);
  }
  return runs;
}

bool spanSameDevices(const std::vector<AxisRef> &a,
                     const std::vector<AxisRef> &b, const Mesh &mesh) {
  return runsOf(a, mesh) == runsOf(b, mesh);
}

std::vector<int64_t> permuteTargets(const std::vector<AxisRef> &from,
                                    const std::vector<AxisRef> &to,
                                    const Mesh &mesh) {
  std::vector<abi::Digit> senders = digitsOf(from, mesh),
                          receivers = digitsOf(to, mesh);
  std::vector<int64_t> targets;
  for (int64_t device = 0; device < mesh.numDevices(); ++device)
    targets.push_back(
        abi::deviceAt(receivers, device, abi::indexAlong(senders, device)));
  return targets;
}

std::optional<std::vector<abi::DigitMove>>
permuteMoves(const std::vector<AxisRef> &from, const std::vector<AxisRef> &to,
             const Mesh &mesh) {
  std::vector<abi::Digit> senders = digitsOf(from, mesh),
                          receivers = digitsOf(to, mesh);
  std::vector<abi::DigitMove> moves;
  // Both number the same devices; from the minor end on, the larger digit is
  // cut where the smaller one ends.
  while (!senders.empty() && !receivers.empty()) {
    abi::Digit &sender = senders.back(), &receiver = receivers.back();
    int64_t size = std::min(sender.size, receiver.size);
    if (sender.size % size != 0 || receiver.size % size != 0)
      return std::nullopt;
    if (sender.stride != receiver.stride)
      moves.push_back({{sender.stride, size}, receiver.stride, 0});
    auto cut = [size](std::vector<abi::Digit> &digits) {
      digits.back().stride *= size;
      digits.back().size /= size;
      if (digits.back().size == 1)
        digits.pop_back();
    };
    cut(senders);
    cut(receivers);
  }
  return moves;
}

} // namespace tessera
