// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/BoxCopy.h"

#include <cstring>

using namespace tessera::rt;

void tessera::rt::copyBox(BoxIn<void *> to, BoxIn<const void *> from,
                          const std::vector<int64_t> &size,
                          int64_t elementBytes) {
  int64_t rank = static_cast<int64_t>(size.size());
  for (int64_t extent : size)
    if (extent == 0)
      return;

  // Trailing dimensions that are whole in both arrays make one run with the
  // dimension before them.
  int64_t outer = rank;
  int64_t runBytes = elementBytes;
  while (outer > 0) {
    --outer;
    runBytes *= size[outer];
    if (size[outer] != to.shape[outer] || size[outer] != from.shape[outer])
      break;
  }

  char *out = static_cast<char *>(to.data);
  const char *in = static_cast<const char *>(from.data);
  std::vector<int64_t> outStride(rank), inStride(rank);
  int64_t outStep = elementBytes, inStep = elementBytes;
  for (int64_t dim = rank - 1; dim >= 0; --dim) {
    outStride[dim] = outStep;
    inStride[dim] = inStep;
    out += to.begin[dim] * outStep;
    in += from.begin[dim] * inStep;
    outStep *= to.shape[dim];
    inStep *= from.shape[dim];
  }

  // Counts through the outer dimensions, last fastest.
  std::vector<int64_t> index(outer, 0);
  while (true) {
    std::memcpy(out, in, runBytes);
    int64_t dim = outer - 1;
    for (; dim >= 0; --dim) {
      out += outStride[dim];
      in += inStride[dim];
      if (++index[dim] < size[dim])
        break;
      out -= outStride[dim] * size[dim];
      in -= inStride[dim] * size[dim];
      index[dim] = 0;
    }
    if (dim < 0)
      return;
  }
}
