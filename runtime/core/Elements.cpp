// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/Elements.h"
#include "tessera/ABI/Numbers.h"

#include <cmath>
#include <cstring>

using namespace tessera;
using abi::DType;

namespace {

template <typename T> T at(const void *data, size_t index) {
  T value;
  std::memcpy(&value, static_cast<const char *>(data) + index * sizeof(T),
              sizeof(T));
  return value;
}

float widenBF16(uint16_t value) {
  uint32_t bits = static_cast<uint32_t>(value) << 16;
  float wide;
  std::memcpy(&wide, &bits, sizeof wide);
  return wide;
}

/// 4 bits of exponent, 3 of mantissa; the largest pattern alone is NaN.
double widenF8E4M3(uint8_t bits) {
  int exponent = bits >> 3 & 15, mantissa = bits & 7;
  double sign = bits & 0x80 ? -1 : 1;
  if (exponent == 15 && mantissa == 7)
    return std::nan("");
  return exponent == 0 ? sign * std::ldexp(mantissa, -9)
                       : sign * std::ldexp(8 + mantissa, exponent - 10);
}

/// The upper byte of an f16.
double widenF8E5M2(uint8_t bits) {
  auto half = static_cast<uint16_t>(bits << 8);
  return static_cast<float>(at<_Float16>(&half, 0));
}

bool isInteger(DType dtype) {
  switch (dtype) {
  case DType::I32:
  case DType::I64:
  case DType::UI32:
  case DType::I1:
  case DType::UI8:
  case DType::I8:
  case DType::UI16:
  case DType::I16:
    return true;
  default:
    return false;
  }
}

} // namespace

double rt::elementAt(DType dtype, const void *data, size_t index) {
  switch (dtype) {
  case DType::F32:
    return at<float>(data, index);
  case DType::BF16:
    return widenBF16(at<uint16_t>(data, index));
  case DType::F16:
    return static_cast<float>(at<_Float16>(data, index));
  case DType::F64:
    return at<double>(data, index);
  case DType::I32:
    return at<int32_t>(data, index);
  case DType::I64:
    return static_cast<double>(at<int64_t>(data, index));
  case DType::UI32:
    return at<uint32_t>(data, index);
  case DType::I1:
  case DType::UI8:
    return at<uint8_t>(data, index);
  case DType::I8:
    return at<int8_t>(data, index);
  case DType::UI16:
    return at<uint16_t>(data, index);
  case DType::I16:
    return at<int16_t>(data, index);
  case DType::F8E4M3:
    return widenF8E4M3(at<uint8_t>(data, index));
  case DType::F8E5M2:
    return widenF8E5M2(at<uint8_t>(data, index));
  }
  return 0;
}

std::string rt::elementText(DType dtype, const void *data, size_t index) {
  if (dtype == DType::I64)
    return std::to_string(at<int64_t>(data, index));
  double value = elementAt(dtype, data, index);
  if (isInteger(dtype))
    return std::to_string(static_cast<int64_t>(value));
  return abi::realText(value, dtype == DType::F64   ? 64
                              : dtype == DType::F32 ? 32
                                                    : 16);
}

/// Appends dimension `dim` of the array from element `index` on.
static void appendTensor(std::string &text, DType dtype, const void *data,
                         const std::vector<int64_t> &shape, size_t dim,
                         size_t index, int64_t maxShown) {
  if (dim == shape.size()) {
    text += rt::elementText(dtype, data, index);
    return;
  }
  size_t inner = 1;
  for (size_t i = dim + 1; i < shape.size(); ++i)
    inner *= shape[i];
  text += "[";
  for (int64_t i = 0; i < std::min(shape[dim], maxShown); ++i) {
    text += i == 0 ? "" : ", ";
    appendTensor(text, dtype, data, shape, dim + 1, index + i * inner,
                 maxShown);
  }
  text += shape[dim] > maxShown ? ", ...]" : "]";
}

std::string rt::tensorText(DType dtype, const void *data,
                           const std::vector<int64_t> &shape,
                           int64_t maxShown) {
  std::string text;
  appendTensor(text, dtype, data, shape, 0, 0, maxShown);
  return text;
}
