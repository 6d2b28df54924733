// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "WarpProduct.h"

#include <cmath>
#include <cstring>

namespace tessera::emulated {

static float fromBF16(uint16_t bits) {
  uint32_t wide = uint32_t(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

static float fromF16(uint16_t bits) {
  int exponent = bits >> 10 & 31;
  float fraction = static_cast<float>(bits & 1023);
  float magnitude = exponent == 31 ? (fraction == 0 ? INFINITY : NAN)
                    : exponent == 0
                        ? std::ldexp(fraction, -24)
                        : std::ldexp(fraction + 1024, exponent - 25);
  return bits >> 15 ? -magnitude : magnitude;
}

void multiplyFragments(TesseraEmuElement type, const WarpFragments &lanes) {
  float a[16][16], b[16][8];
  // Fragments to matrices: lane 4 g + t, element e of register r.
  for (int lane = 0; lane < TESSERA_EMU_WARP_SIZE; ++lane)
    for (int e = 0; e < 2; ++e) {
      int g = lane / 4, t = lane % 4;
      auto element = [&](uint32_t word) {
        auto bits = static_cast<uint16_t>(word >> (16 * e));
        return type == TESSERA_EMU_BF16 ? fromBF16(bits) : fromF16(bits);
      };
      for (int r = 0; r < 4; ++r)
        a[g + 8 * (r & 1)][2 * t + e + 8 * (r >> 1)] =
            element(lanes[lane]->a[r]);
      for (int r = 0; r < 2; ++r)
        b[2 * t + e + 8 * r][g] = element(lanes[lane]->b[r]);
    }
  for (int lane = 0; lane < TESSERA_EMU_WARP_SIZE; ++lane)
    for (int r = 0; r < 4; ++r) {
      int row = lane / 4 + 8 * (r >> 1), column = lane % 4 * 2 + (r & 1);
      for (int k = 0; k < 16; ++k)
        lanes[lane]->sums[r] += a[row][k] * b[k][column];
    }
}

} // namespace tessera::emulated
