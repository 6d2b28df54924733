// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Memory on devices: owned blocks, and the pools that keep freed ones for the
// next run of a program.
#ifndef TESSERA_RT_DEVICEMEMORY_H
#define TESSERA_RT_DEVICEMEMORY_H

#include "tessera-rt/Device.h"

#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace tessera::rt {

class MemoryPool;

/// A block on one device; goes back to its pool when it is destroyed.
class DeviceMemory {
public:
  DeviceMemory() = default;
  DeviceMemory(DeviceMemory &&other) { *this = std::move(other); }
  DeviceMemory &operator=(DeviceMemory &&other);
  ~DeviceMemory();

  void *get() const { return memory; }
  size_t size() const { return bytes; }
  explicit operator bool() const { return memory; }

private:
  friend class MemoryPool;
  std::shared_ptr<MemoryPool> pool;
  int index = 0;
  size_t bytes = 0;
  void *memory = nullptr;
};

/// Allocates from a device and keeps freed blocks, at most `limit` bytes of
/// them, for requests of equal size, so that a program called in a loop does
/// not allocate. Blocks may be freed on any thread and outlive the program.
class MemoryPool : public std::enable_shared_from_this<MemoryPool> {
public:
  explicit MemoryPool(std::shared_ptr<Device> device);
  ~MemoryPool();

  /// Empty when the device has no memory left, kept blocks included.
  DeviceMemory allocate(int index, size_t bytes);
  /// Frees kept blocks that exceed the limit.
  void setLimit(size_t limit);
  const std::shared_ptr<Device> &getDevice() const { return device; }

private:
  friend class DeviceMemory;
  void release(int index, size_t bytes, void *memory);
  void trim(size_t limit); // The caller holds the lock.

  struct Kept {
    int index;
    void *memory;
  };
  std::shared_ptr<Device> device;
  std::mutex mutex;
  std::unordered_map<size_t, std::vector<Kept>> keptOfSize;
  size_t keptBytes = 0, limit = 0;
};

/// Bytes of device memory in this process, over all devices: what programs and
/// tensors hold, the most they have held since the last resetPeak, and what
/// pools keep for reuse.
struct MemoryCounts {
  int64_t inUse = 0, peak = 0, kept = 0;
};
MemoryCounts memoryCounts();
void resetPeakMemory();

} // namespace tessera::rt

#endif // TESSERA_RT_DEVICEMEMORY_H
