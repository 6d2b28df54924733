// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/Device.h"
#include "tessera/ABI/KernelABI.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

using namespace tessera::rt;

/// Pages of the size that one entry of a processor's table of addresses holds
/// beside the usual one. Kernels that only move data spend much of their time
/// on misses of that table.
constexpr size_t hugePage = size_t(2) << 20;

/// Blocks of two such pages or more ask for them. Linux gives them where it is
/// set to, and does without where it is not.
void *HostMemoryDevice::allocate(int device, size_t bytes) {
  bool isLarge = bytes >= 2 * hugePage;
  size_t alignment = isLarge ? hugePage : size_t(abi::bufferAlignment);
  if (bytes > SIZE_MAX - alignment)
    return nullptr;
  size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void *memory = std::aligned_alloc(alignment, rounded ? rounded : alignment);
  if (memory && isLarge)
    (void)madvise(memory, rounded, MADV_HUGEPAGE);
  return memory;
}

void HostMemoryDevice::release(int device, void *memory) { std::free(memory); }

Status HostMemoryDevice::copyIn(int device, void *to, const void *from,
                                size_t bytes) {
  return copy(device, to, from, bytes);
}

Status HostMemoryDevice::copyOut(int device, void *to, const void *from,
                                 size_t bytes) {
  return copy(device, to, from, bytes);
}

Status HostMemoryDevice::copy(int device, void *to, const void *from,
                              size_t bytes) {
  std::memmove(to, from, bytes);
  return Status::success();
}

Status HostMemoryDevice::fill(int device, void *to, const std::string &pattern,
                              size_t bytes) {
  // Doubles what is filled already.
  char *out = static_cast<char *>(to);
  size_t done = std::min(pattern.size(), bytes);
  std::memcpy(out, pattern.data(), done);
  while (done > 0 && done < bytes) {
    size_t more = std::min(done, bytes - done);
    std::memcpy(out + done, out, more);
    done += more;
  }
  return Status::success();
}
