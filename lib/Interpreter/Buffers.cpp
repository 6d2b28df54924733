// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Conversion between tensors and dense memory of the element type.
#include "tessera/Interpreter/Tensor.h"

#include <cmath>
#include <cstring>
#include <limits>

using namespace tessera;

template <typename T> static T load(const void *data, int64_t i) {
  T value;
  std::memcpy(&value, static_cast<const char *>(data) + i * sizeof(T),
              sizeof(T));
  return value;
}

template <typename T> static void store(void *data, int64_t i, T value) {
  std::memcpy(static_cast<char *>(data) + i * sizeof(T), &value, sizeof(T));
}

static double decodeHalf(uint16_t bits) {
  int exponent = (bits >> 10) & 31, mantissa = bits & 1023;
  double magnitude;
  if (exponent == 31)
    magnitude = mantissa ? std::numeric_limits<double>::quiet_NaN()
                         : std::numeric_limits<double>::infinity();
  else if (exponent == 0)
    magnitude = std::ldexp(mantissa, -24);
  else
    magnitude = std::ldexp(1024 + mantissa, exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

/// `value` is one that half precision represents.
static uint16_t encodeHalf(double value) {
  uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value))
    return 0x7e00;
  if (std::isinf(value))
    return sign | 0x7c00;
  if (value == 0)
    return sign;
  int exponent = std::ilogb(value);
  if (exponent < -14)
    return sign | static_cast<uint16_t>(std::ldexp(std::abs(value), 24));
  auto mantissa =
      static_cast<uint16_t>(std::ldexp(std::abs(value), 10 - exponent));
  return sign | static_cast<uint16_t>((exponent + 15) << 10) |
         (mantissa & 1023);
}

static double decodeBFloat(uint16_t bits) {
  uint32_t wide = static_cast<uint32_t>(bits) << 16;
  return load<float>(&wide, 0);
}

/// `value` is one that bfloat16 represents.
static uint16_t encodeBFloat(double value) {
  if (std::isnan(value))
    return 0x7fc0;
  auto narrow = static_cast<float>(value);
  return static_cast<uint16_t>(load<uint32_t>(&narrow, 0) >> 16);
}

Tensor tessera::readBuffer(const void *data, Shape shape, ElementKind kind) {
  Tensor tensor(std::move(shape), kind);
  for (int64_t i = 0, n = tensor.size(); i < n; ++i) {
    switch (kind) {
    case ElementKind::F32:
      tensor.floats[i] = load<float>(data, i);
      break;
    case ElementKind::F64:
      tensor.floats[i] = load<double>(data, i);
      break;
    case ElementKind::F16:
      tensor.floats[i] = decodeHalf(load<uint16_t>(data, i));
      break;
    case ElementKind::BF16:
      tensor.floats[i] = decodeBFloat(load<uint16_t>(data, i));
      break;
    case ElementKind::I32:
      tensor.ints[i] = load<int32_t>(data, i);
      break;
    case ElementKind::UI32:
      tensor.ints[i] = load<uint32_t>(data, i);
      break;
    case ElementKind::I64:
      tensor.ints[i] = load<int64_t>(data, i);
      break;
    case ElementKind::I1:
      tensor.ints[i] = load<uint8_t>(data, i) != 0;
      break;
    }
  }
  return tensor;
}

void tessera::writeBuffer(const Tensor &tensor, void *data) {
  for (int64_t i = 0, n = tensor.size(); i < n; ++i) {
    switch (tensor.kind) {
    case ElementKind::F32:
      store(data, i, static_cast<float>(tensor.floats[i]));
      break;
    case ElementKind::F64:
      store(data, i, tensor.floats[i]);
      break;
    case ElementKind::F16:
      store(data, i, encodeHalf(tensor.floats[i]));
      break;
    case ElementKind::BF16:
      store(data, i, encodeBFloat(tensor.floats[i]));
      break;
    case ElementKind::I32:
    case ElementKind::UI32:
      store(data, i, static_cast<uint32_t>(tensor.ints[i]));
      break;
    case ElementKind::I64:
      store(data, i, tensor.ints[i]);
      break;
    case ElementKind::I1:
      store(data, i, static_cast<uint8_t>(tensor.ints[i]));
      break;
    }
  }
}
