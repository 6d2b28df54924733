// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "AxisDigits.h"

#include <algorithm>
#include <iterator>

namespace tessera {

AxisDigits::AxisDigits(const Mesh &mesh) : mesh(&mesh) {
  for (const MeshAxis &axis : mesh.axes)
    boundaries[axis.name] = {1, axis.size};
}

bool AxisDigits::add(const AxisRef &axis) {
  std::set<int64_t> marks = boundaries.at(axis.name);
  marks.insert(axis.pre);
  marks.insert(axis.pre * axis.sizeOn(*mesh));
  auto isNoMultiple = [](int64_t low, int64_t high) { return high % low != 0; };
  if (std::adjacent_find(marks.begin(), marks.end(), isNoMultiple) !=
      marks.end())
    return false;
  boundaries[axis.name] = std::move(marks);
  return true;
}

bool AxisDigits::refineToPrimes(const std::string &axis) {
  std::set<int64_t> &marks = boundaries.at(axis);
  std::set<int64_t> finer = marks;
  for (auto low = marks.begin(), high = std::next(low); high != marks.end();
       ++low, ++high) {
    int64_t mark = *low, rest = *high / *low;
    for (int64_t prime = 2; prime * prime <= rest; ++prime)
      for (; rest % prime == 0 && rest > prime; rest /= prime)
        finer.insert(mark *= prime);
  }
  bool isFiner = finer.size() > marks.size();
  marks = std::move(finer);
  return isFiner;
}

std::vector<AxisRef> AxisDigits::split(const std::vector<AxisRef> &axes) const {
  std::vector<AxisRef> digits;
  for (const AxisRef &axis : axes) {
    int64_t end = axis.pre * axis.sizeOn(*mesh);
    const std::set<int64_t> &marks = boundaries.at(axis.name);
    for (auto it = marks.lower_bound(axis.pre);
         it != marks.end() && *it < end;) {
      int64_t low = *it;
      int64_t high = *++it;
      digits.push_back({axis.name, low, high / low});
    }
  }
  return digits;
}

Layout AxisDigits::split(const Layout &layout) const {
  Layout result = layout.closed();
  for (DimLayout &dim : result.dims)
    dim.axes = split(dim.axes);
  result.partial = split(layout.partial);
  std::sort(result.partial.begin(), result.partial.end());
  result.reduced.clear();
  result.varying.clear();
  return result;
}

} // namespace tessera
