// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/HostCopies.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>

using namespace tessera::rt;

/// Bytes that one thread copies at a time, and of a line of the caches.
static constexpr size_t unit = 1 << 20, line = 64;

/// Copies past the caches where the compiler can say so.
static void streamCopy(char *to, const char *from, size_t bytes) {
#if defined(__has_builtin)
#if __has_builtin(__builtin_nontemporal_store)
  typedef float Vector __attribute__((vector_size(16)));
  size_t first = std::min(bytes, -reinterpret_cast<uintptr_t>(to) % line);
  std::memcpy(to, from, first);
  to += first;
  from += first;
  bytes -= first;
  for (; bytes >= line; bytes -= line, to += line, from += line) {
    Vector parts[line / sizeof(Vector)];
    std::memcpy(parts, from, line);
    for (size_t i = 0; i < line / sizeof(Vector); ++i)
      __builtin_nontemporal_store(parts[i], reinterpret_cast<Vector *>(to) + i);
  }
#endif
#endif
  std::memcpy(to, from, bytes);
  // Other threads see such stores only after a barrier of their own.
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

void tessera::rt::copyAll(const std::vector<HostCopy> &copies,
                          ThreadPool &pool) {
  // The number of units before each copy and in all.
  std::vector<int64_t> before = {0};
  for (const HostCopy &copy : copies)
    before.push_back(before.back() + (copy.bytes + unit - 1) / unit);
  pool.parallelFor(before.back(), 1, [&](int64_t begin, int64_t end) {
    size_t which =
        std::upper_bound(before.begin(), before.end(), begin) - before.begin();
    for (int64_t i = begin; i < end; ++i) {
      while (before[which] <= i)
        ++which;
      const HostCopy &copy = copies[which - 1];
      size_t done = (i - before[which - 1]) * unit;
      streamCopy(static_cast<char *>(copy.to) + done,
                 static_cast<const char *>(copy.from) + done,
                 std::min(unit, copy.bytes - done));
    }
  });
}
