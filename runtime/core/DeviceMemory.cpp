// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/DeviceMemory.h"

#include <atomic>

using namespace tessera::rt;

static std::atomic<int64_t> bytesInUse{0}, bytesPeak{0}, bytesKept{0};

static void countAllocated(size_t bytes) {
  int64_t now = bytesInUse.fetch_add(bytes) + static_cast<int64_t>(bytes);
  int64_t peak = bytesPeak.load();
  while (peak < now && !bytesPeak.compare_exchange_weak(peak, now))
    ;
}

MemoryCounts tessera::rt::memoryCounts() {
  return {bytesInUse.load(), bytesPeak.load(), bytesKept.load()};
}

void tessera::rt::resetPeakMemory() { bytesPeak = bytesInUse.load(); }

DeviceMemory &DeviceMemory::operator=(DeviceMemory &&other) {
  std::swap(pool, other.pool);
  std::swap(index, other.index);
  std::swap(bytes, other.bytes);
  std::swap(memory, other.memory);
  return *this;
}

DeviceMemory::~DeviceMemory() {
  if (memory)
    pool->release(index, bytes, memory);
}

MemoryPool::MemoryPool(std::shared_ptr<Device> device)
    : device(std::move(device)) {}

MemoryPool::~MemoryPool() { trim(0); }

DeviceMemory MemoryPool::allocate(int index, size_t bytes) {
  void *memory = nullptr;
  {
    std::lock_guard<std::mutex> lock(mutex);
    std::vector<Kept> &kept = keptOfSize[bytes];
    for (size_t i = kept.size(); i-- > 0 && !memory;)
      if (kept[i].index == index) {
        memory = kept[i].memory;
        kept.erase(kept.begin() + i);
        keptBytes -= bytes;
        bytesKept -= bytes;
      }
    if (!memory)
      memory = device->allocate(index, bytes);
    if (!memory) {
      trim(0);
      memory = device->allocate(index, bytes);
    }
  }
  DeviceMemory result;
  if (!memory)
    return result;
  countAllocated(bytes);
  result.pool = shared_from_this();
  result.index = index;
  result.bytes = bytes;
  result.memory = memory;
  return result;
}

void MemoryPool::release(int index, size_t bytes, void *memory) {
  bytesInUse -= bytes;
  std::lock_guard<std::mutex> lock(mutex);
  // Blocks of no bytes are under any limit, so nothing would free them.
  if (!bytes || keptBytes + bytes > limit) {
    device->release(index, memory);
    return;
  }
  keptOfSize[bytes].push_back({index, memory});
  keptBytes += bytes;
  bytesKept += bytes;
}

void MemoryPool::setLimit(size_t newLimit) {
  std::lock_guard<std::mutex> lock(mutex);
  limit = newLimit;
  trim(limit);
}

void MemoryPool::trim(size_t most) {
  for (auto &[bytes, kept] : keptOfSize)
    while (keptBytes > most && !kept.empty()) {
      device->release(kept.back().index, kept.back().memory);
      kept.pop_back();
      keptBytes -= bytes;
      bytesKept -= bytes;
    }
}
