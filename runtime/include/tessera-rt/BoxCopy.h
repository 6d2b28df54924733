// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Copies of boxes between row-major arrays.
#ifndef TESSERA_RT_BOXCOPY_H
#define TESSERA_RT_BOXCOPY_H

#include <cstdint>
#include <vector>

namespace tessera::rt {

/// A row-major array in host memory and a corner in it.
template <typename Pointer> struct BoxIn {
  Pointer data;
  const std::vector<int64_t> &shape;
  const std::vector<int64_t> &begin;
};

/// Copies a box of `size` elements, `elementBytes` each, from corner to
/// corner. The box must be inside both arrays, which must not overlap.
void copyBox(BoxIn<void *> to, BoxIn<const void *> from,
             const std::vector<int64_t> &size, int64_t elementBytes);

} // namespace tessera::rt

#endif // TESSERA_RT_BOXCOPY_H
