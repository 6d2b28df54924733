// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the handles of the C interface stand for.
#ifndef TESSERA_RUNTIME_CORE_CAPIHANDLES_H
#define TESSERA_RUNTIME_CORE_CAPIHANDLES_H

#include "DeviceLock.h"
#include "tessera-rt/Executable.h"
#include "tessera-rt/tessera_rt.h"

#include <mutex>

struct TesseraRtExecutable {
  /// Shared with the tensors on devices that only one thread may drive.
  std::shared_ptr<tessera::rt::DeviceLock> lock =
      std::make_shared<tessera::rt::DeviceLock>();
  bool isRunning = false;
  std::unique_ptr<tessera::rt::Executable> executable;
  std::string description, report, trace;
  /// What a run works on, kept for the next one; empty between runs.
  std::vector<tessera::rt::Executable::Input> inputs;
  std::vector<std::shared_ptr<tessera::rt::PlacedTensor>> held;
  std::vector<tessera::rt::Executable::Output> outputs;
};

/// A tensor is held by its handle, and by each call that reads it. A call that
/// it is donated to takes it out of the handle, and may overwrite it where
/// nobody else holds it.
struct TesseraRtPlaced {
  using Tensor = std::shared_ptr<tessera::rt::PlacedTensor>;

  TesseraRtPlaced(Tensor tensor,
                  std::shared_ptr<tessera::rt::DeviceLock> device)
      : placement(tensor->placement), device(std::move(device)),
        tensor(std::move(tensor)) {}

  Tensor get() const {
    std::lock_guard<std::mutex> lock(mutex);
    return tensor;
  }
  Tensor take() {
    std::lock_guard<std::mutex> lock(mutex);
    return std::move(tensor);
  }
  void giveBack(Tensor value) {
    std::lock_guard<std::mutex> lock(mutex);
    tensor = std::move(value);
  }

  const std::shared_ptr<const tessera::rt::Placement> placement;
  /// Held while the device copies; null where its memory is the host's.
  const std::shared_ptr<tessera::rt::DeviceLock> device;

private:
  mutable std::mutex mutex;
  Tensor tensor; ///< Null once it was donated.
};

namespace tessera::rt {

/// Remembers why, for tesseraRtLastError; 1.
int failCall(const Status &status);

} // namespace tessera::rt

#endif // TESSERA_RUNTIME_CORE_CAPIHANDLES_H
