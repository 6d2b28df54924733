// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Values.h"

#include "tessera-rt/Elements.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

using namespace tessera;
using abi::DType;
using rt::elementAt;

namespace {

template <typename T> void put(std::string &bytes, T value) {
  bytes.append(reinterpret_cast<const char *>(&value), sizeof value);
}

uint16_t truncateToBF16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<uint16_t>(bits >> 16);
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

} // namespace

std::string run::randomTensor(const abi::Tensor &tensor,
                              std::mt19937_64 &random) {
  std::string bytes;
  int64_t count = abi::numElements(tensor.shape);
  bytes.reserve(count * abi::sizeOf(tensor.dtype));
  for (int64_t i = 0; i < count; ++i) {
    // The upper bits, so that every standard library draws the same.
    uint64_t bits = random() >> 40;
    float real = static_cast<float>(bits) / (1 << 23) - 1;
    switch (tensor.dtype) {
    case DType::F32:
      put(bytes, real);
      break;
    case DType::BF16:
      put(bytes, truncateToBF16(real));
      break;
    case DType::F16:
      put(bytes, static_cast<_Float16>(real));
      break;
    case DType::F64:
      put(bytes, static_cast<double>(real));
      break;
    case DType::I32:
    case DType::UI32:
      put(bytes, static_cast<int32_t>(bits & 1));
      break;
    case DType::I64:
      put(bytes, static_cast<int64_t>(bits & 1));
      break;
    case DType::UI16:
    case DType::I16:
      put(bytes, static_cast<int16_t>(bits & 1));
      break;
    case DType::I1:
    case DType::UI8:
    case DType::I8:
      put(bytes, static_cast<uint8_t>(bits & 1));
      break;
    case DType::F8E4M3: // 1 has exponent 7 of 4 bits,
      put(bytes, static_cast<uint8_t>(bits & 1 ? 0x38 : 0));
      break;
    case DType::F8E5M2: // or 15 of 5 bits.
      put(bytes, static_cast<uint8_t>(bits & 1 ? 0x3c : 0));
      break;
    }
  }
  return bytes;
}

std::string run::summary(const abi::Tensor &tensor, const std::string &bytes,
                         size_t maxShown) {
  size_t count = abi::numElements(tensor.shape);
  if (count == 0)
    return "[]";
  double least = elementAt(tensor.dtype, bytes.data(), 0), greatest = least,
         sum = 0;
  std::string shown = "[";
  for (size_t i = 0; i < count; ++i) {
    double value = elementAt(tensor.dtype, bytes.data(), i);
    least = std::min(least, value);
    greatest = std::max(greatest, value);
    sum += value;
    if (i < maxShown)
      shown += (i ? ", " : "") + number(value);
  }
  return shown + (count > maxShown ? ", ...]" : "]") + " min " + number(least) +
         " max " + number(greatest) + " mean " + number(sum / count);
}
