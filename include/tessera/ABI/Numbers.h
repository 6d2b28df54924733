// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Numbers as text, alike wherever a program prints: in the runtime and in the
// interpreter.
#ifndef TESSERA_ABI_NUMBERS_H
#define TESSERA_ABI_NUMBERS_H

#include <cstdio>
#include <cstdlib>
#include <string>

namespace tessera::abi {

/// A number of a floating-point type of `bits` bits with six digits, or with
/// as many more as it takes to read the same number back. Six are enough for
/// types of 16 bits and less.
inline std::string realText(double value, int bits) {
  char text[32];
  for (int digits = 6; digits <= 17; ++digits) {
    std::snprintf(text, sizeof text, "%.*g", digits, value);
    bool isExact = true;
    if (bits == 64)
      isExact = std::strtod(text, nullptr) == value;
    else if (bits == 32)
      isExact = std::strtof(text, nullptr) == static_cast<float>(value);
    if (isExact || value != value)
      break;
  }
  return text;
}

} // namespace tessera::abi

#endif // TESSERA_ABI_NUMBERS_H
