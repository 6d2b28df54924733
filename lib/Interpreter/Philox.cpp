// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Interpreter/Philox.h"

std::array<uint32_t, 4> tessera::philox4x32(std::array<uint32_t, 4> counter,
                                            std::array<uint32_t, 2> key) {
  constexpr int rounds = 10;
  for (int round = 0; round < rounds; ++round) {
    uint64_t a = uint64_t{0xd2511f53} * counter[0];
    uint64_t b = uint64_t{0xcd9e8d57} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(a)};
    // Weyl sequence of the key: the golden ratio and sqrt(3) - 1.
    key[0] += 0x9e3779b9;
    key[1] += 0xbb67ae85;
  }
  return counter;
}
