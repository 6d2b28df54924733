// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Reduce.h"

#include <cmath>
#include <cstring>

using namespace tessera;
using namespace tessera::abi;

namespace {

// The loops are compiled for several vector widths; the loader picks one.
#if defined(__x86_64__) && defined(__linux__)
#define TESSERA_VECTOR_WIDTHS                                                  \
  __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define TESSERA_VECTOR_WIDTHS
#endif

/// NaN wins, as in the arith dialect's maximumf and minimumf.
template <typename T> inline T larger(T a, T b) {
  return a != a ? a : (b != b ? b : (a > b ? a : b));
}
template <typename T> inline T smaller(T a, T b) {
  return a != a ? a : (b != b ? b : (a < b ? a : b));
}

// Signed integers are added and multiplied as unsigned ones: the same bits,
// without undefined overflow.
#define TESSERA_COMBINE(NAME, T, SUM_T)                                        \
  TESSERA_VECTOR_WIDTHS void NAME(Reduction reduction, T *to, const T *from,   \
                                  int64_t count) {                             \
    switch (reduction) {                                                       \
    case Reduction::Sum:                                                       \
      for (int64_t i = 0; i < count; ++i)                                      \
        to[i] = static_cast<T>(static_cast<SUM_T>(to[i]) +                     \
                               static_cast<SUM_T>(from[i]));                   \
      return;                                                                  \
    case Reduction::Max:                                                       \
      for (int64_t i = 0; i < count; ++i)                                      \
        to[i] = larger(to[i], from[i]);                                        \
      return;                                                                  \
    case Reduction::Min:                                                       \
      for (int64_t i = 0; i < count; ++i)                                      \
        to[i] = smaller(to[i], from[i]);                                       \
      return;                                                                  \
    case Reduction::Prod:                                                      \
      for (int64_t i = 0; i < count; ++i)                                      \
        to[i] = static_cast<T>(static_cast<SUM_T>(to[i]) *                     \
                               static_cast<SUM_T>(from[i]));                   \
      return;                                                                  \
    }                                                                          \
  }
TESSERA_COMBINE(combine, float, float)
TESSERA_COMBINE(combine, double, double)
TESSERA_COMBINE(combine, int32_t, uint32_t)
TESSERA_COMBINE(combine, int64_t, uint64_t)
TESSERA_COMBINE(combine, uint32_t, uint32_t)
TESSERA_COMBINE(combine, uint8_t, unsigned)
TESSERA_COMBINE(combine, int8_t, unsigned)
TESSERA_COMBINE(combine, uint16_t, unsigned)
TESSERA_COMBINE(combine, int16_t, unsigned)

TESSERA_VECTOR_WIDTHS void widenBF16(float *to, const uint16_t *from,
                                     int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    uint32_t bits = static_cast<uint32_t>(from[i]) << 16;
    std::memcpy(&to[i], &bits, sizeof bits);
  }
}

TESSERA_VECTOR_WIDTHS void roundBF16(uint16_t *to, const float *from,
                                     int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    uint32_t bits;
    std::memcpy(&bits, &from[i], sizeof bits);
    uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    uint32_t quietNaN = (bits >> 16) | 0x40;
    to[i] = static_cast<uint16_t>((bits & 0x7fffffff) > 0x7f800000 ? quietNaN
                                                                   : rounded);
  }
}

void widenF16(float *to, const uint16_t *from, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    _Float16 value;
    std::memcpy(&value, &from[i], sizeof value);
    to[i] = static_cast<float>(value);
  }
}

void roundF16(uint16_t *to, const float *from, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    _Float16 value = static_cast<_Float16>(from[i]);
    std::memcpy(&to[i], &value, sizeof value);
  }
}

template <typename T>
void reduceAs(Reduction reduction, const char *const *from, int64_t numMembers,
              int64_t offset, int64_t count, void *to) {
  T *out = static_cast<T *>(to);
  auto at = [&](int64_t member) {
    return reinterpret_cast<const T *>(from[member]) + offset;
  };
  std::memcpy(out, at(0), count * sizeof(T));
  for (int64_t member = 1; member < numMembers; ++member)
    combine(reduction, out, at(member), count);
}

template <typename Widen, typename Round>
void reduceHalf(Reduction reduction, const char *const *from,
                int64_t numMembers, int64_t offset, int64_t count, void *to,
                Widen widen, Round round) {
  alignas(64) float sum[rt::maxReduceRun];
  alignas(64) float term[rt::maxReduceRun];
  auto at = [&](int64_t member) {
    return reinterpret_cast<const uint16_t *>(from[member]) + offset;
  };
  widen(sum, at(0), count);
  for (int64_t member = 1; member < numMembers; ++member) {
    widen(term, at(member), count);
    combine(reduction, sum, term, count);
  }
  round(static_cast<uint16_t *>(to), sum, count);
}

} // namespace

void rt::reduceRun(DType dtype, Reduction reduction, const char *const *from,
                   int64_t numMembers, int64_t offset, int64_t count,
                   void *to) {
  switch (dtype) {
  case DType::F32:
    return reduceAs<float>(reduction, from, numMembers, offset, count, to);
  case DType::F64:
    return reduceAs<double>(reduction, from, numMembers, offset, count, to);
  case DType::I32:
    return reduceAs<int32_t>(reduction, from, numMembers, offset, count, to);
  case DType::I64:
    return reduceAs<int64_t>(reduction, from, numMembers, offset, count, to);
  case DType::UI32:
    return reduceAs<uint32_t>(reduction, from, numMembers, offset, count, to);
  case DType::I1:
  case DType::UI8:
    return reduceAs<uint8_t>(reduction, from, numMembers, offset, count, to);
  case DType::I8:
    return reduceAs<int8_t>(reduction, from, numMembers, offset, count, to);
  case DType::UI16:
    return reduceAs<uint16_t>(reduction, from, numMembers, offset, count, to);
  case DType::I16:
    return reduceAs<int16_t>(reduction, from, numMembers, offset, count, to);
  case DType::BF16:
    return reduceHalf(reduction, from, numMembers, offset, count, to, widenBF16,
                      roundBF16);
  case DType::F16:
    return reduceHalf(reduction, from, numMembers, offset, count, to, widenF16,
                      roundF16);
  case DType::F8E4M3: // Of storage only: no plan with a sum of it is accepted.
  case DType::F8E5M2:
    return;
  }
}
