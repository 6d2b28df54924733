// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A list whose first few elements need no memory of their own.
#ifndef TESSERA_ANALYSIS_SHORTLIST_H
#define TESSERA_ANALYSIS_SHORTLIST_H

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <type_traits>
#include <utility>

namespace tessera {

/// As a std::vector of plain values, but with up to N of them in place. Rules
/// hold many lists of one element, are made anew by each pass for each op, and
/// would allocate for every one.
template <typename T, size_t N> class ShortList {
  static_assert(std::is_trivially_copyable_v<T> && N > 0,
                "elements are copied as such, and capacity doubles");

public:
  using value_type = T;

  ShortList() = default;
  ShortList(std::initializer_list<T> elements) {
    for (const T &element : elements)
      push_back(element);
  }
  ShortList(const ShortList &other) { *this = other; }
  ShortList(ShortList &&other) noexcept { *this = std::move(other); }

  ShortList &operator=(const ShortList &other) {
    if (this == &other)
      return *this;
    if (other.count > capacity())
      grow(other.count);
    std::copy(other.begin(), other.end(), begin());
    count = other.count;
    return *this;
  }
  ShortList &operator=(ShortList &&other) noexcept {
    if (this == &other)
      return *this;
    std::copy(other.inPlace, other.inPlace + N, inPlace);
    allocated = std::move(other.allocated);
    allocatedSize = other.allocatedSize;
    count = other.count;
    other.allocatedSize = other.count = 0;
    return *this;
  }

  size_t size() const { return count; }
  bool empty() const { return count == 0; }
  T *begin() { return allocated ? allocated.get() : inPlace; }
  T *end() { return begin() + count; }
  const T *begin() const { return allocated ? allocated.get() : inPlace; }
  const T *end() const { return begin() + count; }
  T &operator[](size_t i) { return begin()[i]; }
  const T &operator[](size_t i) const { return begin()[i]; }
  const T &front() const { return *begin(); }
  const T &back() const { return end()[-1]; }

  void push_back(T element) {
    if (count == capacity())
      grow(2 * count);
    begin()[count++] = element;
  }

  void clear() { count = 0; }

  bool operator==(const ShortList &other) const {
    return std::equal(begin(), end(), other.begin(), other.end());
  }
  bool operator!=(const ShortList &other) const { return !(*this == other); }

private:
  size_t capacity() const { return allocated ? allocatedSize : N; }
  void grow(size_t size) {
    std::unique_ptr<T[]> larger(new T[size]);
    std::copy(begin(), end(), larger.get());
    allocated = std::move(larger);
    allocatedSize = size;
  }

  T inPlace[N] = {};
  std::unique_ptr<T[]> allocated; ///< Null while `inPlace` is enough.
  size_t allocatedSize = 0, count = 0;
};

} // namespace tessera

#endif // TESSERA_ANALYSIS_SHORTLIST_H
