// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The reference evaluator's tensors: every element as a double or an int64 that
// the element type can represent exactly.
#ifndef TESSERA_INTERPRETER_TENSOR_H
#define TESSERA_INTERPRETER_TENSOR_H

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tessera {

enum class ElementKind { F32, BF16, F16, F64, I32, I64, UI32, I1 };

bool isFloat(ElementKind kind);
/// Bytes of one element in memory; a truth value takes one.
int64_t byteSize(ElementKind kind);
/// `f32`, `ui32`, ...
const char *toString(ElementKind kind);

/// The value of `kind` nearest to `value`, ties to even; infinity past the
/// largest one. Exact inputs are rounded once, never through another type.
double roundTo(ElementKind kind, double value);
double roundTo(ElementKind kind, int64_t value);
/// `value` modulo 2^width; i1 keeps the lowest bit.
int64_t wrapTo(ElementKind kind, int64_t value);

using Shape = std::vector<int64_t>;

int64_t countElements(const Shape &shape);
/// Elements between neighbours along each dimension, row-major.
Shape rowMajorStrides(const Shape &shape);
/// `2x3xf32`.
std::string toString(const Shape &shape, ElementKind kind);

/// A row-major tensor. Floats are in `floats`, integers and truth values in
/// `ints`; the other vector is empty. Whoever writes elements rounds them.
struct Tensor {
  Shape shape;
  ElementKind kind = ElementKind::F32;
  std::vector<double> floats;
  std::vector<int64_t> ints;

  Tensor() = default;
  /// All zeros.
  Tensor(Shape shape, ElementKind kind);
  static Tensor fromFloats(Shape shape, ElementKind kind,
                           std::vector<double> values);
  static Tensor fromInts(Shape shape, ElementKind kind,
                         std::vector<int64_t> values);
  static Tensor scalar(int64_t value, ElementKind kind = ElementKind::I32);
  /// Every element is what padding holds: NaN, or a number no program has.
  static Tensor poison(Shape shape, ElementKind kind);

  int64_t size() const { return countElements(shape); }
  int64_t bytes() const { return size() * byteSize(kind); }
  /// Copies element `from` of `source`, which has this kind, to element `to`.
  void copyElement(int64_t to, const Tensor &source, int64_t from) {
    if (floats.empty())
      ints[to] = source.ints[from];
    else
      floats[to] = source.floats[from];
  }
  /// Element `i` as a double, for messages and comparisons with a tolerance.
  double at(int64_t i) const { return floats.empty() ? ints[i] : floats[i]; }
};

/// Whether elements `i` of `a` and `j` of `b` have the same bits (any NaN
/// equals any other).
bool sameElement(const Tensor &a, int64_t i, const Tensor &b, int64_t j);

/// Nested lists with a space between brackets, so that FileCheck does not read
/// them as variables: `[ [1, 2], [3, 4] ]`. Numbers as by %g.
std::string toString(const Tensor &tensor);

/// Where two tensors differ most.
struct Difference {
  double absolute = 0;
  int64_t index = 0; ///< Row-major.
  double expected = 0, actual = 0;
};
/// The largest difference beyond `tolerance` times the largest finite magnitude
/// in `expected`, or nullopt when there is none. Integers, infinities and NaNs
/// must be equal. Shapes and kinds must be equal.
std::optional<Difference>
findDifference(const Tensor &expected, const Tensor &actual, double tolerance);
/// Tolerance that covers another order of a few thousand additions.
double defaultTolerance(ElementKind kind);

/// A tensor read from, or written to, dense row-major memory of its type.
Tensor readBuffer(const void *data, Shape shape, ElementKind kind);
void writeBuffer(const Tensor &tensor, void *data);

} // namespace tessera

#endif // TESSERA_INTERPRETER_TENSOR_H
