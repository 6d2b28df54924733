// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// How devices differ, in terms of their numbers alone: a plan for 65,536
// devices is as large as one for 4.
#ifndef TESSERA_ABI_DIGITS_H
#define TESSERA_ABI_DIGITS_H

#include <algorithm>
#include <cstdint>
#include <vector>

namespace tessera::abi {

/// The digit (device / stride) % size of a device's number: its coordinate
/// along a mesh axis, or along a sub-axis.
struct Digit {
  int64_t stride = 1, size = 1;

  int64_t of(int64_t device) const { return device / stride % size; }
  bool operator==(const Digit &o) const {
    return stride == o.stride && size == o.size;
  }
  template <typename V> void visit(V &v) { v(stride, size); }
};

/// Number of combinations of values that the digits can have.
inline int64_t countOf(const std::vector<Digit> &digits) {
  int64_t count = 1;
  for (const Digit &digit : digits)
    count *= digit.size;
  return count;
}

/// The number that the digits of a device form, the first one major.
inline int64_t indexAlong(const std::vector<Digit> &digits, int64_t device) {
  int64_t index = 0;
  for (const Digit &digit : digits)
    index = index * digit.size + digit.of(device);
  return index;
}

/// The device that differs from `device` in these digits alone, where they form
/// `index`.
inline int64_t deviceAt(const std::vector<Digit> &digits, int64_t device,
                        int64_t index) {
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit) {
    device += (index % digit->size - digit->of(device)) * digit->stride;
    index /= digit->size;
  }
  return device;
}

/// Whether some digit of one list and one of the other depend on the same
/// places of a device's number. Both are digits of one mixed-radix form; of a
/// damaged plan that is not checked yet they are any numbers, so that a < b * c
/// is stated as a / c < b, which cannot overflow.
inline bool haveCommonPlace(const std::vector<Digit> &first,
                            const std::vector<Digit> &second) {
  for (const Digit &a : first)
    for (const Digit &b : second)
      if (a.size > 1 && b.size > 1 && a.stride / b.size < b.stride &&
          b.stride / a.size < a.stride)
        return true;
  return false;
}

/// The devices that differ in these digits alone, ordered by them; groups by
/// their first device. Every device is in one group.
inline std::vector<std::vector<int32_t>>
groupsAlong(const std::vector<Digit> &digits, int64_t numDevices) {
  std::vector<std::vector<int32_t>> groups;
  int64_t size = countOf(digits);
  for (int64_t device = 0; device < numDevices; ++device) {
    if (indexAlong(digits, device) != 0)
      continue;
    std::vector<int32_t> &group = groups.emplace_back();
    for (int64_t index = 0; index < size; ++index)
      group.push_back(static_cast<int32_t>(deviceAt(digits, device, index)));
  }
  return groups;
}

/// The part [begin, begin + valid) of a dimension that a device holds. `begin`
/// may be past the end where `valid` is 0. The rest of the `local` elements is
/// padding.
struct Interval {
  int64_t begin = 0, valid = 0, local = 0;
};

/// Cuts a dimension in turn by each digit, the first one major, into chunks of
/// ceil(n / digit.size).
inline Interval intervalOf(int64_t size, const std::vector<Digit> &digits,
                           int64_t device) {
  Interval interval = {0, size, size};
  for (const Digit &digit : digits) {
    int64_t chunk = (interval.local + digit.size - 1) / digit.size;
    int64_t offset = digit.of(device) * chunk;
    interval.begin += offset;
    interval.valid =
        std::max<int64_t>(0, std::min(chunk, interval.valid - offset));
    interval.local = chunk;
  }
  return interval;
}

/// Part of a permutation: the sender's digit `from`, plus `shift` modulo its
/// size, is the receiver's digit of the same size at stride `to`.
struct DigitMove {
  Digit from;
  int64_t to = 1;
  int64_t shift = 0;

  template <typename V> void visit(V &v) { v(from, to, shift); }
};

/// The receiver of what `device` sends. Digits without a move stay.
inline int64_t targetOf(const std::vector<DigitMove> &moves, int64_t device) {
  int64_t target = device;
  for (const DigitMove &move : moves) {
    int64_t digit = move.from.of(device);
    target -= digit * move.from.stride;
    target += (digit + move.shift) % move.from.size * move.to;
  }
  return target;
}

} // namespace tessera::abi

#endif // TESSERA_ABI_DIGITS_H
