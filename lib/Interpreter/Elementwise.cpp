// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Interpreter/TensorOps.h"

#include <cmath>
#include <limits>

using namespace tessera;
using namespace tessera::interpreter;

//===----------------------------------------------------------------------===//
// Functions of one element
//===----------------------------------------------------------------------===//

/// By Newton's method in long double from an approximation of S. Winitzki,
/// "A handy approximation for the error function and its inverse", 2008. Near
/// the ends, erfc has the digits that erf has lost.
static double inverseErf(double x) {
  if (std::isnan(x) || std::fabs(x) > 1)
    return std::numeric_limits<double>::quiet_NaN();
  if (std::fabs(x) == 1 || x == 0)
    return x == 0 ? x : std::copysign(INFINITY, x);
  constexpr long double a = 0.147L, pi = 3.14159265358979323846L;
  long double p = std::fabs(x), log = std::log((1 - p) * (1 + p));
  long double half = 2 / (pi * a) + log / 2;
  long double y = std::sqrt(std::sqrt(half * half - log / a) - half);
  if (p < 1e-4L)
    y = p * std::sqrt(pi) / 2;
  for (int i = 0; i < 8; ++i) {
    long double excess = p < 0.5L ? std::erf(y) - p : (1 - p) - std::erfc(y);
    long double step = excess * std::sqrt(pi) / 2 * std::exp(y * y);
    // Halley's correction: the second derivative is -2 y times the first.
    y -= step / (1 + y * step);
  }
  return std::copysign(static_cast<double>(y), x);
}

/// 1 / (1 + e^-x), where e^-x may overflow.
static double logistic(double x) {
  return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
}

static double compute(Unary op, double x) {
  constexpr double sqrt2 = 1.41421356237309504880;
  constexpr double sqrt2OverPi = 0.79788456080286535588;
  switch (op) {
  case Unary::Neg:
    return -x;
  case Unary::Abs:
    return std::fabs(x);
  case Unary::Sign:
    return std::isnan(x) ? x : (x > 0) - (x < 0);
  case Unary::Exp:
    return std::exp(x);
  case Unary::Exp2:
    return std::exp2(x);
  case Unary::Log:
    return std::log(x);
  case Unary::Log2:
    return std::log2(x);
  case Unary::Log10:
    return std::log10(x);
  case Unary::Sqrt:
    return std::sqrt(x);
  case Unary::Rsqrt:
    return 1 / std::sqrt(x);
  case Unary::Tanh:
    return std::tanh(x);
  case Unary::Erf:
    return std::erf(x);
  case Unary::Logistic:
    return logistic(x);
  case Unary::Silu:
    return x * logistic(x);
  case Unary::Sin:
    return std::sin(x);
  case Unary::Cos:
    return std::cos(x);
  case Unary::Asin:
    return std::asin(x);
  case Unary::Acos:
    return std::acos(x);
  case Unary::Atan:
    return std::atan(x);
  case Unary::Asinh:
    return std::asinh(x);
  case Unary::Acosh:
    return std::acosh(x);
  case Unary::Atanh:
    return std::atanh(x);
  case Unary::Erfinv:
    return inverseErf(x);
  case Unary::Floor:
    return std::floor(x);
  case Unary::GeluErf:
    return 0.5 * x * (1 + std::erf(x / sqrt2));
  case Unary::GeluTanh:
    return 0.5 * x * (1 + std::tanh(sqrt2OverPi * (x + 0.044715 * x * x * x)));
  case Unary::Not:
    break;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

static int64_t compute(Unary op, int64_t x) {
  switch (op) {
  case Unary::Neg:
    return static_cast<int64_t>(-static_cast<uint64_t>(x));
  case Unary::Abs:
    return x < 0 ? static_cast<int64_t>(-static_cast<uint64_t>(x)) : x;
  case Unary::Sign:
    return (x > 0) - (x < 0);
  default:
    return ~x;
  }
}

static double compute(Binary op, double x, double y) {
  switch (op) {
  case Binary::Add:
    return x + y;
  case Binary::Sub:
    return x - y;
  case Binary::Mul:
    return x * y;
  case Binary::Div:
    return x / y;
  case Binary::Rem:
    return std::fmod(x, y);
  case Binary::Pow:
    return std::pow(x, y);
  case Binary::Atan2:
    return std::atan2(x, y);
  case Binary::Copysign:
    return std::copysign(x, y);
  case Binary::Max:
    return std::isnan(x) || y < x ? x : y;
  case Binary::Min:
    return std::isnan(x) || x < y ? x : y;
  default:
    return std::numeric_limits<double>::quiet_NaN();
  }
}

/// The number of `kind` that is next to `x` in the direction of `y`.
static double nextAfter(ElementKind kind, double x, double y) {
  if (kind == ElementKind::F64)
    return std::nextafter(x, y);
  if (kind == ElementKind::F32)
    return std::nextafter(static_cast<float>(x), static_cast<float>(y));
  if (std::isnan(x) || std::isnan(y) || x == y)
    return std::isnan(x) ? x : y;
  bool isHalf = kind == ElementKind::F16;
  int digits = isHalf ? 11 : 8, least = isHalf ? -24 : -133;
  double largest = isHalf ? 65504 : std::ldexp(255, 120);
  if (x == 0)
    return std::copysign(std::ldexp(1, least), y);
  bool grows = (y > x) == (x > 0);
  if (std::isinf(x))
    return std::copysign(largest, x);
  int exponent;
  double fraction = std::frexp(std::fabs(x), &exponent);
  // Below a power of two the spacing of the numbers is half as large.
  if (fraction == 0.5 && !grows)
    --exponent;
  double step = std::ldexp(1, std::max(exponent - digits, least));
  double magnitude = std::fabs(x) + (grows ? step : -step);
  return std::copysign(magnitude > largest ? INFINITY : magnitude, x);
}

static int widthOf(ElementKind kind) {
  return kind == ElementKind::I64 ? 64 : kind == ElementKind::I1 ? 1 : 32;
}

static int64_t power(int64_t x, int64_t y) {
  if (y < 0) {
    if (x == 0)
      return Tensor::poison({}, ElementKind::I64).ints[0];
    return x == 1 ? 1 : x == -1 ? (y % 2 == 0 ? 1 : -1) : 0;
  }
  auto result = uint64_t{1}, base = static_cast<uint64_t>(x);
  for (; y != 0; y >>= 1, base *= base)
    if (y & 1)
      result *= base;
  return static_cast<int64_t>(result);
}

static int64_t compute(Binary op, ElementKind kind, int64_t x, int64_t y) {
  // Sums and products wrap, which only unsigned arithmetic does in C++.
  auto a = static_cast<uint64_t>(x), b = static_cast<uint64_t>(y);
  switch (op) {
  case Binary::Add:
    return static_cast<int64_t>(a + b);
  case Binary::Sub:
    return static_cast<int64_t>(a - b);
  case Binary::Mul:
    return static_cast<int64_t>(a * b);
  case Binary::Div:
    if (y == 0)
      return Tensor::poison({}, ElementKind::I64).ints[0];
    return y == -1 ? static_cast<int64_t>(-a) : x / y;
  case Binary::Rem:
    if (y == 0)
      return Tensor::poison({}, ElementKind::I64).ints[0];
    return y == -1 ? 0 : x % y;
  case Binary::Max:
    return std::max(x, y);
  case Binary::Min:
    return std::min(x, y);
  case Binary::And:
    return x & y;
  case Binary::Or:
    return x | y;
  case Binary::Xor:
    return x ^ y;
  case Binary::Pow:
    return power(x, y);
  case Binary::ShiftLeft:
    return y < 0 || y >= widthOf(kind) ? 0 : static_cast<int64_t>(a << y);
  case Binary::ShiftRight:
    // Unsigned numbers are held as positive ones.
    return x >> (y < 0 || y >= widthOf(kind) ? 63 : y);
  default:
    return 0;
  }
}

template <typename T> static bool holds(Comparison op, T x, T y) {
  switch (op) {
  case Comparison::Eq:
    return x == y;
  case Comparison::Ne:
    return x != y;
  case Comparison::Lt:
    return x < y;
  case Comparison::Le:
    return x <= y;
  case Comparison::Gt:
    return x > y;
  case Comparison::Ge:
    return x >= y;
  }
  return false;
}

static Binary binaryOf(ReduceKind kind) {
  switch (kind) {
  case ReduceKind::Sum:
    return Binary::Add;
  case ReduceKind::Max:
    return Binary::Max;
  case ReduceKind::Min:
    return Binary::Min;
  case ReduceKind::Prod:
    return Binary::Mul;
  }
  return Binary::Add;
}

double interpreter::combine(ReduceKind kind, ElementKind element, double x,
                            double y) {
  return roundTo(element, compute(binaryOf(kind), x, y));
}

int64_t interpreter::combine(ReduceKind kind, ElementKind element, int64_t x,
                             int64_t y) {
  return wrapTo(element, compute(binaryOf(kind), element, x, y));
}

/// Truncates towards zero; out of range gives the nearest end, NaN gives 0.
static int64_t toInteger(double x, ElementKind kind) {
  if (std::isnan(x))
    return 0;
  bool isSigned = kind != ElementKind::UI32;
  int bits = kind == ElementKind::I64 ? 63 : kind == ElementKind::I32 ? 31 : 32;
  double end = std::ldexp(1.0, bits);
  int64_t largest = bits == 63 ? std::numeric_limits<int64_t>::max()
                               : (int64_t{1} << bits) - 1;
  if (x >= end)
    return largest;
  if (!isSigned)
    return x <= 0 ? 0 : static_cast<int64_t>(x);
  return x <= -end ? -largest - 1 : static_cast<int64_t>(x);
}

//===----------------------------------------------------------------------===//
// The ops
//===----------------------------------------------------------------------===//

Tensor interpreter::unary(Unary op, const Tensor &x) {
  Tensor result(x.shape, x.kind);
  for (size_t i = 0; i < x.floats.size(); ++i)
    result.floats[i] = roundTo(x.kind, compute(op, x.floats[i]));
  for (size_t i = 0; i < x.ints.size(); ++i)
    result.ints[i] = wrapTo(x.kind, compute(op, x.ints[i]));
  return result;
}

Tensor interpreter::binary(Binary op, const Tensor &x, const Tensor &y) {
  Tensor result(x.shape, x.kind);
  for (size_t i = 0; i < x.floats.size(); ++i)
    result.floats[i] =
        op == Binary::Nextafter
            ? nextAfter(x.kind, x.floats[i], y.floats[i])
            : roundTo(x.kind, compute(op, x.floats[i], y.floats[i]));
  for (size_t i = 0; i < x.ints.size(); ++i)
    result.ints[i] = wrapTo(x.kind, compute(op, x.kind, x.ints[i], y.ints[i]));
  return result;
}

Tensor interpreter::compare(Comparison op, const Tensor &x, const Tensor &y) {
  Tensor result(x.shape, ElementKind::I1);
  for (size_t i = 0; i < x.floats.size(); ++i)
    result.ints[i] = holds(op, x.floats[i], y.floats[i]);
  for (size_t i = 0; i < x.ints.size(); ++i)
    result.ints[i] = holds(op, x.ints[i], y.ints[i]);
  return result;
}

Tensor interpreter::select(const Tensor &predicate, const Tensor &onTrue,
                           const Tensor &onFalse) {
  Tensor result(onTrue.shape, onTrue.kind);
  for (size_t i = 0; i < predicate.ints.size(); ++i)
    result.copyElement(i, predicate.ints[i] ? onTrue : onFalse, i);
  return result;
}

Tensor interpreter::convert(const Tensor &x, ElementKind kind) {
  Tensor result(x.shape, kind);
  for (int64_t i = 0, n = x.size(); i < n; ++i) {
    if (kind == ElementKind::I1)
      result.ints[i] = isFloat(x.kind) ? x.floats[i] != 0 : x.ints[i] != 0;
    else if (isFloat(kind))
      result.floats[i] = isFloat(x.kind) ? roundTo(kind, x.floats[i])
                                         : roundTo(kind, x.ints[i]);
    else
      result.ints[i] = isFloat(x.kind) ? toInteger(x.floats[i], kind)
                                       : wrapTo(kind, x.ints[i]);
  }
  return result;
}
