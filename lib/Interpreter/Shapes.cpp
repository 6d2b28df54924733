// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Ops that move or create elements.
#include "lib/Interpreter/TensorOps.h"
#include "tessera/Interpreter/Philox.h"

#include <cmath>

using namespace tessera;
using namespace tessera::interpreter;

void interpreter::advance(Shape &index, const Shape &shape) {
  for (size_t d = shape.size(); d-- > 0;) {
    if (++index[d] < shape[d])
      return;
    index[d] = 0;
  }
}

/// Fills `result`: its element `index` is the source's element
/// `start + sum(index * strides)`.
static Tensor readStrided(const Tensor &source, Shape shape, int64_t start,
                          const Shape &strides) {
  Tensor result(std::move(shape), source.kind);
  Shape index(result.shape.size(), 0);
  for (int64_t i = 0, n = result.size(); i < n; ++i) {
    int64_t from = start;
    for (size_t d = 0; d < index.size(); ++d)
      from += index[d] * strides[d];
    result.copyElement(i, source, from);
    advance(index, result.shape);
  }
  return result;
}

void interpreter::copyBox(const Tensor &source, const Shape &from,
                          Tensor &target, const Shape &to, const Shape &size) {
  Shape sourceStrides = rowMajorStrides(source.shape);
  Shape targetStrides = rowMajorStrides(target.shape);
  Shape index(size.size(), 0);
  for (int64_t i = 0, n = countElements(size); i < n; ++i) {
    int64_t read = 0, write = 0;
    for (size_t d = 0; d < index.size(); ++d) {
      read += (from[d] + index[d]) * sourceStrides[d];
      write += (to[d] + index[d]) * targetStrides[d];
    }
    target.copyElement(write, source, read);
    advance(index, size);
  }
}

Tensor interpreter::reshape(const Tensor &x, Shape shape) {
  Tensor result = x;
  result.shape = std::move(shape);
  return result;
}

Tensor interpreter::transpose(const Tensor &x,
                              const std::vector<int64_t> &permutation) {
  Shape strides = rowMajorStrides(x.shape), shape, permuted;
  bool isIdentity = true;
  for (size_t d = 0; d < permutation.size(); ++d) {
    shape.push_back(x.shape[permutation[d]]);
    permuted.push_back(strides[permutation[d]]);
    isIdentity &= permutation[d] == static_cast<int64_t>(d);
  }
  return isIdentity ? x : readStrided(x, shape, 0, permuted);
}

Tensor interpreter::broadcast(const Tensor &x, const std::vector<int64_t> &dims,
                              Shape shape) {
  Shape from = rowMajorStrides(x.shape), strides(shape.size(), 0);
  for (size_t d = 0; d < dims.size(); ++d)
    if (x.shape[d] != 1)
      strides[dims[d]] = from[d];
  return readStrided(x, std::move(shape), 0, strides);
}

Tensor interpreter::slice(const Tensor &x, const std::vector<int64_t> &starts,
                          const std::vector<int64_t> &limits,
                          const std::vector<int64_t> &steps) {
  Shape strides = rowMajorStrides(x.shape), shape;
  int64_t start = 0;
  for (size_t d = 0; d < starts.size(); ++d) {
    int64_t extent = limits[d] - starts[d];
    shape.push_back(extent == 0 ? 0 : (extent - 1) / steps[d] + 1);
    start += starts[d] * strides[d];
    // One element has no next one, and the product may exceed 64 bits.
    if (shape.back() > 1)
      strides[d] *= steps[d];
  }
  return readStrided(x, shape, start, strides);
}

Tensor interpreter::concatenate(const std::vector<const Tensor *> &inputs,
                                int64_t dim) {
  Shape shape = inputs.front()->shape;
  shape[dim] = 0;
  for (const Tensor *input : inputs)
    shape[dim] += input->shape[dim];
  Tensor result(shape, inputs.front()->kind);
  Shape to(shape.size(), 0);
  for (const Tensor *input : inputs) {
    copyBox(*input, Shape(shape.size(), 0), result, to, input->shape);
    to[dim] += input->shape[dim];
  }
  return result;
}

Tensor interpreter::pad(const Tensor &x, const std::vector<int64_t> &low,
                        const std::vector<int64_t> &high, const Tensor &value) {
  Shape shape = x.shape;
  for (size_t d = 0; d < shape.size(); ++d)
    shape[d] += low[d] + high[d];
  Tensor result = readStrided(value, shape, 0, Shape(shape.size(), 0));
  copyBox(x, Shape(shape.size(), 0), result, low, x.shape);
  return result;
}

Tensor interpreter::leadingSlice(const Tensor &x, int64_t i) {
  Tensor result(Shape(x.shape.begin() + 1, x.shape.end()), x.kind);
  int64_t count = result.size();
  for (int64_t k = 0; k < count; ++k)
    result.copyElement(k, x, i * count + k);
  return result;
}

void interpreter::setLeadingSlice(Tensor &target, int64_t i,
                                  const Tensor &slice) {
  int64_t count = slice.size();
  for (int64_t k = 0; k < count; ++k)
    target.copyElement(i * count + k, slice, k);
}

Tensor interpreter::iota(Shape shape, ElementKind kind, int64_t dim,
                         int64_t offset) {
  Tensor result(std::move(shape), kind);
  int64_t stride = rowMajorStrides(result.shape)[dim];
  for (int64_t i = 0, n = result.size(); i < n; ++i) {
    int64_t index = offset + i / stride % result.shape[dim];
    if (isFloat(kind))
      result.floats[i] = roundTo(kind, index);
    else
      result.ints[i] = wrapTo(kind, index);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// rng
//===----------------------------------------------------------------------===//

/// Multiples of 2^-bits in [0, 1).
static double toUniform(uint32_t word, int bits = 24) {
  return std::ldexp(word >> (32 - bits), -bits);
}

/// As many bits as `kind` holds without rounding, which might give 1.
static int uniformBits(ElementKind kind) {
  switch (kind) {
  case ElementKind::BF16:
    return 8;
  case ElementKind::F16:
    return 11;
  default:
    return 24;
  }
}

/// Box-Muller: a pair of words gives a pair of numbers. 1 - u lies in (0, 1],
/// so that its logarithm is finite.
static double toNormal(uint32_t first, uint32_t second, bool isSecond) {
  constexpr double twoPi = 6.28318530717958647692;
  double radius = std::sqrt(-2 * std::log(1 - toUniform(first)));
  double angle = twoPi * toUniform(second);
  return radius * (isSecond ? std::sin(angle) : std::cos(angle));
}

Tensor interpreter::random(Distribution distribution, const Tensor &key,
                           const Shape &globalShape,
                           const std::vector<int64_t> &offsets, Shape shape,
                           ElementKind kind) {
  Tensor result(std::move(shape), kind);
  Shape strides = rowMajorStrides(globalShape),
        keyStrides = rowMajorStrides(key.shape);
  size_t batch = key.shape.size() - 1;
  Shape index(result.shape.size(), 0);
  for (int64_t i = 0, n = result.size(); i < n; ++i) {
    // Padding of an uneven split gets numbers too; nobody may read them.
    uint64_t logical = 0;
    int64_t word = 0;
    for (size_t d = 0; d < index.size(); ++d)
      if (d < batch)
        word += index[d] * keyStrides[d];
      else
        logical += (offsets[d] + index[d]) * strides[d];
    uint64_t block = logical / 4;
    auto words = philox4x32({static_cast<uint32_t>(block),
                             static_cast<uint32_t>(block >> 32), 0, 0},
                            {static_cast<uint32_t>(key.ints[word]),
                             static_cast<uint32_t>(key.ints[word + 1])});
    int lane = logical % 4;
    if (distribution == Distribution::Bits)
      result.ints[i] = wrapTo(kind, words[lane]);
    else if (distribution == Distribution::Uniform)
      result.floats[i] = toUniform(words[lane], uniformBits(kind));
    else
      result.floats[i] =
          roundTo(kind, toNormal(words[lane & 2], words[lane | 1], lane & 1));
    advance(index, result.shape);
  }
  return result;
}
