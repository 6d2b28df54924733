// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Ops that sum over indices: contract, reduce, cumulative, softmax, norms.
// Attention.cpp has attention.
#include "lib/Interpreter/TensorOps.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace tessera;
using namespace tessera::interpreter;

//===----------------------------------------------------------------------===//
// contract
//===----------------------------------------------------------------------===//

/// result[i, j] += sum_k lhs[i, k] * rhs[k, j], k ascending for every element.
/// Four rows and a panel of columns at a time stay in cache.
template <typename T>
static void multiply(const T *lhs, const T *rhs, T *result, int64_t rows,
                     int64_t columns, int64_t depth) {
  constexpr int64_t rowBlock = 4, columnBlock = 256;
  for (int64_t j0 = 0; j0 < columns; j0 += columnBlock) {
    int64_t width = std::min(columnBlock, columns - j0);
    for (int64_t i0 = 0; i0 < rows; i0 += rowBlock) {
      int64_t iEnd = std::min(i0 + rowBlock, rows);
      for (int64_t k = 0; k < depth; ++k) {
        const T *from = rhs + k * columns + j0;
        for (int64_t i = i0; i < iEnd; ++i) {
          T factor = lhs[i * depth + k];
          T *to = result + i * columns + j0;
          for (int64_t j = 0; j < width; ++j)
            to[j] += factor * from[j];
        }
      }
    }
  }
}

static int64_t sizeOf(char letter, const std::string &indices,
                      const Shape &shape) {
  return shape[indices.find(letter)];
}

/// `x` with its dimensions in the order of `to`.
static Tensor reorder(const Tensor &x, const std::string &from,
                      const std::string &to) {
  std::vector<int64_t> permutation;
  for (char letter : to)
    permutation.push_back(from.find(letter));
  return transpose(x, permutation);
}

Tensor interpreter::contract(const Tensor &lhs, const Tensor &rhs,
                             const std::string &lhsIndices,
                             const std::string &rhsIndices,
                             const std::string &outIndices, ElementKind kind) {
  auto has = [](const std::string &text, char letter) {
    return text.find(letter) != std::string::npos;
  };
  std::string batch, rows, columns, summed;
  Shape batchShape, rowShape, columnShape, summedShape;
  for (char letter : lhsIndices) {
    int64_t size = sizeOf(letter, lhsIndices, lhs.shape);
    bool inRhs = has(rhsIndices, letter), inOut = has(outIndices, letter);
    (inRhs ? (inOut ? batch : summed) : rows) += letter;
    (inRhs ? (inOut ? batchShape : summedShape) : rowShape).push_back(size);
  }
  for (char letter : rhsIndices)
    if (!has(lhsIndices, letter)) {
      columns += letter;
      columnShape.push_back(sizeOf(letter, rhsIndices, rhs.shape));
    }

  Tensor a = reorder(lhs, lhsIndices, batch + rows + summed);
  Tensor b = reorder(rhs, rhsIndices, batch + summed + columns);
  Shape shape = batchShape;
  shape.insert(shape.end(), rowShape.begin(), rowShape.end());
  shape.insert(shape.end(), columnShape.begin(), columnShape.end());
  Tensor result(shape, kind);
  int64_t m = countElements(rowShape), n = countElements(columnShape),
          k = countElements(summedShape);
  for (int64_t i = 0, count = countElements(batchShape); i < count; ++i) {
    if (isFloat(kind)) {
      multiply(a.floats.data() + i * m * k, b.floats.data() + i * k * n,
               result.floats.data() + i * m * n, m, n, k);
      continue;
    }
    // Unsigned: integer sums wrap.
    auto words = [](const std::vector<int64_t> &ints) {
      return reinterpret_cast<const uint64_t *>(ints.data());
    };
    multiply(words(a.ints) + i * m * k, words(b.ints) + i * k * n,
             reinterpret_cast<uint64_t *>(result.ints.data()) + i * m * n, m, n,
             k);
  }
  for (double &value : result.floats)
    value = roundTo(kind, value);
  for (int64_t &value : result.ints)
    value = wrapTo(kind, value);
  return reorder(result, batch + rows + columns, outIndices);
}

//===----------------------------------------------------------------------===//
// reduce
//===----------------------------------------------------------------------===//

static double neutralFloat(ReduceKind kind) {
  double infinity = std::numeric_limits<double>::infinity();
  switch (kind) {
  case ReduceKind::Sum:
    return 0;
  case ReduceKind::Prod:
    return 1;
  case ReduceKind::Max:
    return -infinity;
  case ReduceKind::Min:
    return infinity;
  }
  return 0;
}

/// The neutral element among the values of `kind`.
static int64_t neutralInt(ReduceKind reduce, ElementKind kind) {
  bool isUnsigned = kind == ElementKind::UI32 || kind == ElementKind::I1;
  int64_t lowest = isUnsigned ? 0
                   : kind == ElementKind::I32
                       ? std::numeric_limits<int32_t>::min()
                       : std::numeric_limits<int64_t>::min();
  switch (reduce) {
  case ReduceKind::Sum:
    return 0;
  case ReduceKind::Prod:
    return 1;
  case ReduceKind::Max:
    return lowest;
  case ReduceKind::Min:
    return isUnsigned ? wrapTo(kind, -1) : ~lowest;
  }
  return 0;
}

Tensor interpreter::reduce(ReduceKind kind, const Tensor &x,
                           const std::vector<int64_t> &dims) {
  // Reduced dimensions become the innermost ones, so that rows are contiguous.
  Shape shape;
  std::vector<int64_t> order;
  for (size_t d = 0; d < x.shape.size(); ++d)
    if (std::find(dims.begin(), dims.end(), int64_t(d)) == dims.end()) {
      order.push_back(d);
      shape.push_back(x.shape[d]);
    }
  int64_t length = 1;
  for (int64_t d : dims) {
    order.push_back(d);
    length *= x.shape[d];
  }
  Tensor rows = transpose(x, order);
  Tensor result(shape, x.kind);
  for (int64_t row = 0, n = result.size(); row < n; ++row) {
    if (!isFloat(x.kind)) {
      int64_t sum = neutralInt(kind, x.kind);
      for (int64_t i = 0; i < length; ++i)
        sum = combine(kind, x.kind, sum, rows.ints[row * length + i]);
      result.ints[row] = sum;
      continue;
    }
    double sum = neutralFloat(kind);
    for (int64_t i = 0; i < length; ++i)
      sum = combine(kind, ElementKind::F64, sum, rows.floats[row * length + i]);
    result.floats[row] = roundTo(x.kind, sum);
  }
  return result;
}

Tensor interpreter::cumulative(ReduceKind kind, const Tensor &x, int64_t dim,
                               bool isExclusive, bool isReverse) {
  Tensor result(x.shape, x.kind);
  int64_t length = x.shape[dim], stride = 1;
  for (size_t d = dim + 1; d < x.shape.size(); ++d)
    stride *= x.shape[d];
  // Along each row: `from` holds elements, `to` takes what is combined.
  auto scan = [&](auto from, auto to, auto sum, auto step, auto round) {
    for (int64_t i = 0; i < length; ++i) {
      int64_t at = (isReverse ? length - 1 - i : i) * stride;
      auto next = step(sum, from(at));
      to(at) = round(isExclusive ? sum : next);
      sum = next;
    }
  };
  for (int64_t first = 0, n = x.size(); first < n; ++first) {
    if (first / stride % length != 0)
      continue;
    if (isFloat(x.kind))
      scan([&](int64_t at) { return x.floats[first + at]; },
           [&](int64_t at) -> double & { return result.floats[first + at]; },
           neutralFloat(kind),
           [&](double sum, double value) {
             return combine(kind, ElementKind::F64, sum, value);
           },
           [&](double value) { return roundTo(x.kind, value); });
    else
      scan([&](int64_t at) { return x.ints[first + at]; },
           [&](int64_t at) -> int64_t & { return result.ints[first + at]; },
           neutralInt(kind, x.kind),
           [&](int64_t sum, int64_t value) {
             return combine(kind, x.kind, sum, value);
           },
           [](int64_t value) { return value; });
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Normalisation
//===----------------------------------------------------------------------===//

/// Replaces `n` values `stride` apart by their softmax. Where all are -inf the
/// result is NaN.
static void softmaxInPlace(double *x, int64_t n, int64_t stride) {
  double largest = -std::numeric_limits<double>::infinity(), sum = 0;
  for (int64_t i = 0; i < n; ++i)
    largest =
        combine(ReduceKind::Max, ElementKind::F64, largest, x[i * stride]);
  for (int64_t i = 0; i < n; ++i)
    sum += x[i * stride] = std::exp(x[i * stride] - largest);
  for (int64_t i = 0; i < n; ++i)
    x[i * stride] /= sum;
}

Tensor interpreter::softmax(const Tensor &x, int64_t dim) {
  Tensor result = x;
  int64_t length = x.shape[dim], stride = rowMajorStrides(x.shape)[dim];
  for (int64_t i = 0, n = x.size(); i < n; ++i)
    if (i / stride % length == 0)
      softmaxInPlace(&result.floats[i], length, stride);
  for (double &value : result.floats)
    value = roundTo(x.kind, value);
  return result;
}

Tensor interpreter::layerNorm(const Tensor &x, const Tensor &scale,
                              const Tensor &bias, double epsilon) {
  Tensor result(x.shape, x.kind);
  int64_t length = x.shape.back();
  for (int64_t begin = 0, n = x.size(); begin < n; begin += length) {
    const double *row = &x.floats[begin];
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < length; ++i)
      mean += row[i];
    mean /= length;
    for (int64_t i = 0; i < length; ++i)
      variance += (row[i] - mean) * (row[i] - mean);
    variance /= length;
    for (int64_t i = 0; i < length; ++i)
      result.floats[begin + i] =
          roundTo(x.kind, (row[i] - mean) / std::sqrt(variance + epsilon) *
                                  scale.floats[i] +
                              bias.floats[i]);
  }
  return result;
}

Tensor interpreter::rmsNorm(const Tensor &x, const Tensor &scale,
                            double epsilon) {
  Tensor result(x.shape, x.kind);
  int64_t length = x.shape.back();
  for (int64_t begin = 0, n = x.size(); begin < n; begin += length) {
    const double *row = &x.floats[begin];
    double square = 0;
    for (int64_t i = 0; i < length; ++i)
      square += row[i] * row[i];
    square /= length;
    for (int64_t i = 0; i < length; ++i)
      result.floats[begin + i] = roundTo(
          x.kind, row[i] / std::sqrt(square + epsilon) * scale.floats[i]);
  }
  return result;
}
