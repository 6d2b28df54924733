// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The lock of devices that only one thread may drive.
#ifndef TESSERA_RUNTIME_CORE_DEVICELOCK_H
#define TESSERA_RUNTIME_CORE_DEVICELOCK_H

#include "tessera-rt/PlacedTensor.h"

#include <memory>
#include <mutex>
#include <vector>

namespace tessera::rt {

/// Held while a program runs or a tensor is read. A print of the program may
/// lead its thread back here, so the thread that holds it may take it again.
///
/// Releasing a tensor never waits for it: the thread that releases may hold
/// what a print needs, such as an interpreter's lock.
class DeviceLock {
public:
  using Tensor = std::shared_ptr<PlacedTensor>;

  void lock() { mutex.lock(); }
  void unlock() {
    // Others may leave a tensor before the mutex is free, and then do not get
    // it themselves.
    do {
      freeReleased();
      mutex.unlock();
    } while (hasReleased() && mutex.try_lock());
  }

  /// Frees a tensor, now or when the devices are at rest.
  void release(Tensor tensor) {
    {
      std::lock_guard<std::mutex> guard(queue);
      released.push_back(std::move(tensor));
    }
    if (mutex.try_lock())
      unlock();
  }

private:
  bool hasReleased() {
    std::lock_guard<std::mutex> guard(queue);
    return !released.empty();
  }
  void freeReleased() {
    std::vector<Tensor> taken; // Freed when the queue is free again.
    std::lock_guard<std::mutex> guard(queue);
    taken.swap(released);
  }

  std::recursive_mutex mutex;
  std::mutex queue; ///< Guards `released` alone.
  std::vector<Tensor> released;
};

} // namespace tessera::rt

#endif // TESSERA_RUNTIME_CORE_DEVICELOCK_H
