// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Interpreter/Tensor.h"
#include "tessera/ABI/Numbers.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace tessera;

//===----------------------------------------------------------------------===//
// Element types
//===----------------------------------------------------------------------===//

bool tessera::isFloat(ElementKind kind) {
  return kind == ElementKind::F32 || kind == ElementKind::BF16 ||
         kind == ElementKind::F16 || kind == ElementKind::F64;
}

int64_t tessera::byteSize(ElementKind kind) {
  switch (kind) {
  case ElementKind::F64:
  case ElementKind::I64:
    return 8;
  case ElementKind::F32:
  case ElementKind::I32:
  case ElementKind::UI32:
    return 4;
  case ElementKind::BF16:
  case ElementKind::F16:
    return 2;
  case ElementKind::I1:
    return 1;
  }
  return 0;
}

const char *tessera::toString(ElementKind kind) {
  switch (kind) {
  case ElementKind::F32:
    return "f32";
  case ElementKind::BF16:
    return "bf16";
  case ElementKind::F16:
    return "f16";
  case ElementKind::F64:
    return "f64";
  case ElementKind::I32:
    return "i32";
  case ElementKind::I64:
    return "i64";
  case ElementKind::UI32:
    return "ui32";
  case ElementKind::I1:
    return "i1";
  }
  return "";
}

/// Rounds to a binary format of `precision` significant bits (the hidden one
/// included) whose normal exponents are minExponent to maxExponent. Relies on
/// the default rounding mode, nearest even.
template <typename T>
static double roundToFormat(T value, int precision, int minExponent,
                            int maxExponent) {
  if (value == 0 || !std::isfinite(value))
    return static_cast<double>(value);
  int exponent = std::max(std::ilogb(value), minExponent);
  int unit = exponent - (precision - 1);
  T rounded = std::ldexp(std::nearbyint(std::ldexp(value, -unit)), unit);
  if (std::ilogb(rounded) > maxExponent)
    return std::copysign(std::numeric_limits<double>::infinity(),
                         static_cast<double>(value));
  return static_cast<double>(rounded);
}

template <typename T> static double roundFloat(ElementKind kind, T value) {
  switch (kind) {
  case ElementKind::F32:
    return static_cast<float>(value);
  case ElementKind::BF16:
    return roundToFormat(value, 8, -126, 127);
  case ElementKind::F16:
    return roundToFormat(value, 11, -14, 15);
  default:
    return static_cast<double>(value);
  }
}

double tessera::roundTo(ElementKind kind, double value) {
  return roundFloat(kind, value);
}

double tessera::roundTo(ElementKind kind, int64_t value) {
  // An int64 is exact in a long double, but not in a double.
  static_assert(std::numeric_limits<long double>::digits >= 63);
  return roundFloat(kind, static_cast<long double>(value));
}

int64_t tessera::wrapTo(ElementKind kind, int64_t value) {
  switch (kind) {
  case ElementKind::I32:
    return static_cast<int32_t>(value);
  case ElementKind::UI32:
    return static_cast<uint32_t>(value);
  case ElementKind::I1:
    return value & 1;
  default:
    return value;
  }
}

//===----------------------------------------------------------------------===//
// Shapes and tensors
//===----------------------------------------------------------------------===//

int64_t tessera::countElements(const Shape &shape) {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}

Shape tessera::rowMajorStrides(const Shape &shape) {
  Shape strides(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;)
    strides[d - 1] = strides[d] * shape[d];
  return strides;
}

std::string tessera::toString(const Shape &shape, ElementKind kind) {
  std::string text;
  for (int64_t size : shape)
    text += std::to_string(size) + "x";
  return text + toString(kind);
}

Tensor::Tensor(Shape shapeIn, ElementKind kind)
    : shape(std::move(shapeIn)), kind(kind) {
  if (isFloat(kind))
    floats.resize(size());
  else
    ints.resize(size());
}

Tensor Tensor::fromFloats(Shape shape, ElementKind kind,
                          std::vector<double> values) {
  Tensor tensor(std::move(shape), kind);
  for (size_t i = 0; i < values.size() && i < tensor.floats.size(); ++i)
    tensor.floats[i] = roundTo(kind, values[i]);
  return tensor;
}

Tensor Tensor::fromInts(Shape shape, ElementKind kind,
                        std::vector<int64_t> values) {
  Tensor tensor(std::move(shape), kind);
  for (size_t i = 0; i < values.size() && i < tensor.ints.size(); ++i)
    tensor.ints[i] = wrapTo(kind, values[i]);
  return tensor;
}

Tensor Tensor::scalar(int64_t value, ElementKind kind) {
  return fromInts({}, kind, {value});
}

Tensor Tensor::poison(Shape shape, ElementKind kind) {
  Tensor tensor(std::move(shape), kind);
  std::fill(tensor.floats.begin(), tensor.floats.end(),
            std::numeric_limits<double>::quiet_NaN());
  std::fill(tensor.ints.begin(), tensor.ints.end(), wrapTo(kind, 0x5eadbeef));
  return tensor;
}

bool tessera::sameElement(const Tensor &a, int64_t i, const Tensor &b,
                          int64_t j) {
  if (!isFloat(a.kind))
    return a.ints[i] == b.ints[j];
  double x = a.floats[i], y = b.floats[j];
  if (std::isnan(x) || std::isnan(y))
    return std::isnan(x) && std::isnan(y);
  return x == y && std::signbit(x) == std::signbit(y);
}

static void print(const Tensor &tensor, size_t dim, int64_t &next,
                  std::string &text) {
  if (dim == tensor.shape.size()) {
    if (isFloat(tensor.kind))
      text += abi::realText(tensor.floats[next], 8 * byteSize(tensor.kind));
    else
      text += std::to_string(tensor.ints[next]);
    ++next;
    return;
  }
  bool innermost = dim + 1 == tensor.shape.size();
  text += innermost ? "[" : "[ ";
  for (int64_t i = 0; i < tensor.shape[dim]; ++i) {
    text += i ? ", " : "";
    print(tensor, dim + 1, next, text);
  }
  text += innermost ? "]" : " ]";
}

std::string tessera::toString(const Tensor &tensor) {
  std::string text;
  int64_t next = 0;
  print(tensor, 0, next, text);
  return text;
}

//===----------------------------------------------------------------------===//
// Comparison
//===----------------------------------------------------------------------===//

std::optional<Difference> tessera::findDifference(const Tensor &expected,
                                                  const Tensor &actual,
                                                  double tolerance) {
  double magnitude = 0;
  for (double value : expected.floats)
    if (std::isfinite(value))
      magnitude = std::max(magnitude, std::abs(value));
  double bound = tolerance * magnitude;
  std::optional<Difference> worst;
  for (int64_t i = 0, n = expected.size(); i < n; ++i) {
    double difference;
    if (!isFloat(expected.kind)) {
      if (expected.ints[i] == actual.ints[i])
        continue;
      difference = std::abs(expected.at(i) - actual.at(i));
    } else {
      double x = expected.floats[i], y = actual.floats[i];
      if (x == y || (std::isnan(x) && std::isnan(y)))
        continue;
      difference = std::isfinite(x) && std::isfinite(y)
                       ? std::abs(x - y)
                       : std::numeric_limits<double>::infinity();
      if (difference <= bound)
        continue;
    }
    if (!worst || difference > worst->absolute)
      worst = Difference{difference, i, expected.at(i), actual.at(i)};
  }
  return worst;
}

double tessera::defaultTolerance(ElementKind kind) {
  switch (kind) {
  case ElementKind::F64:
    return 1e-13;
  case ElementKind::F32:
    return 1e-5;
  case ElementKind::F16:
    return 4e-3;
  case ElementKind::BF16:
    return 3e-2;
  default:
    return 0;
  }
}
