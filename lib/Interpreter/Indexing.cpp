// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Ops that read and write at computed indices.
#include "lib/Interpreter/TensorOps.h"

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace tessera;
using namespace tessera::interpreter;

/// Where a box of `size` begins in `shape`.
static Shape clampStarts(const std::vector<int64_t> &starts, const Shape &shape,
                         const Shape &size) {
  Shape clamped;
  for (size_t d = 0; d < shape.size(); ++d)
    clamped.push_back(std::clamp<int64_t>(starts[d], 0, shape[d] - size[d]));
  return clamped;
}

Tensor interpreter::dynamicSlice(const Tensor &x,
                                 const std::vector<int64_t> &starts,
                                 Shape shape) {
  Tensor result(std::move(shape), x.kind);
  copyBox(x, clampStarts(starts, x.shape, result.shape), result,
          Shape(x.shape.size(), 0), result.shape);
  return result;
}

Tensor interpreter::dynamicUpdateSlice(const Tensor &x,
                                       const std::vector<int64_t> &starts,
                                       const Tensor &update) {
  Tensor result = x;
  copyBox(update, Shape(x.shape.size(), 0), result,
          clampStarts(starts, x.shape, update.shape), update.shape);
  return result;
}

//===----------------------------------------------------------------------===//
// gather, scatter
//===----------------------------------------------------------------------===//

namespace {
/// Which element of the source belongs to an element of the slices.
class PointFinder {
public:
  PointFinder(const Shape &source, const std::vector<const Tensor *> &indices,
              const IndexedDims &dims)
      : source(source), strides(rowMajorStrides(source)),
        indexStrides(rowMajorStrides(indices.front()->shape)), indices(indices),
        dims(dims), slices(dims.slices()) {}

  /// The source's element for element `at` of the slices; -1 where an index
  /// is out of range.
  int64_t find(const Shape &at) const {
    int64_t element = 0, position = 0;
    for (size_t d = 0; d < slices.size(); ++d) {
      if (slices[d].source >= 0)
        element += at[d] * strides[slices[d].source];
      if (slices[d].indices >= 0)
        position += at[d] * indexStrides[slices[d].indices];
    }
    for (size_t k = 0; k < indices.size(); ++k) {
      int64_t index = indices[k]->ints[position], dim = dims.indexed[k];
      if (index < 0 || index >= source[dim])
        return -1;
      element += index * strides[dim];
    }
    return element;
  }

private:
  const Shape &source;
  Shape strides, indexStrides;
  const std::vector<const Tensor *> &indices;
  const IndexedDims &dims;
  std::vector<IndexedDims::Slice> slices;
};
} // namespace

Tensor interpreter::gather(const Tensor &source,
                           const std::vector<const Tensor *> &indices,
                           const IndexedDims &dims, Shape shape) {
  Tensor result(std::move(shape), source.kind);
  PointFinder finder(source.shape, indices, dims);
  Shape at(result.shape.size(), 0);
  for (int64_t i = 0, n = result.size(); i < n; ++i) {
    int64_t from = finder.find(at);
    if (from >= 0)
      result.copyElement(i, source, from);
    advance(at, result.shape);
  }
  return result;
}

Tensor interpreter::scatter(Update kind, const Tensor &input,
                            const std::vector<const Tensor *> &indices,
                            const Tensor &updates, const IndexedDims &dims) {
  constexpr ReduceKind kinds[] = {ReduceKind::Sum, ReduceKind::Sum,
                                  ReduceKind::Max, ReduceKind::Min};
  ReduceKind reduce = kinds[static_cast<int>(kind)];
  Tensor result = input;
  PointFinder finder(input.shape, indices, dims);
  Shape at(updates.shape.size(), 0);
  for (int64_t i = 0, n = updates.size(); i < n; ++i) {
    int64_t to = finder.find(at);
    advance(at, updates.shape);
    if (to < 0)
      continue;
    if (kind == Update::Set)
      result.copyElement(to, updates, i);
    else if (isFloat(input.kind))
      result.floats[to] =
          combine(reduce, input.kind, result.floats[to], updates.floats[i]);
    else
      result.ints[to] =
          combine(reduce, input.kind, result.ints[to], updates.ints[i]);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// argsort
//===----------------------------------------------------------------------===//

/// NaN are greater than all numbers, and equal.
static bool isLess(const Tensor &x, int64_t i, int64_t j) {
  if (!isFloat(x.kind))
    return x.ints[i] < x.ints[j];
  if (std::isnan(x.floats[i]) || std::isnan(x.floats[j]))
    return !std::isnan(x.floats[i]) && std::isnan(x.floats[j]);
  return x.floats[i] < x.floats[j];
}

Tensor interpreter::argsort(const Tensor &x, int64_t dim, bool descending) {
  Tensor result(x.shape, ElementKind::I32);
  int64_t length = x.shape[dim], stride = rowMajorStrides(x.shape)[dim];
  std::vector<int64_t> order(length);
  for (int64_t row = 0, rows = x.size() / length; row < rows; ++row) {
    int64_t first = row / stride * stride * length + row % stride;
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      int64_t i = first + a * stride, j = first + b * stride;
      return descending ? isLess(x, j, i) : isLess(x, i, j);
    });
    for (int64_t i = 0; i < length; ++i)
      result.ints[first + i * stride] = order[i];
  }
  return result;
}
