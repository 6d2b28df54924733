// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Copies of much host memory, at the speed of memory.
#ifndef TESSERA_RT_HOSTCOPIES_H
#define TESSERA_RT_HOSTCOPIES_H

#include "tessera-rt/ThreadPool.h"

#include <cstddef>
#include <vector>

namespace tessera::rt {

/// Bytes to be copied to where they do not overlap what is read.
struct HostCopy {
  void *to;
  const void *from;
  size_t bytes;
};

/// Makes all copies on the threads of a pool. They pass by the caches, which
/// have a use for what they hold: nobody reads the copies soon. That saves
/// reading what is overwritten, a third of all traffic.
void copyAll(const std::vector<HostCopy> &copies, ThreadPool &pool);

} // namespace tessera::rt

#endif // TESSERA_RT_HOSTCOPIES_H
