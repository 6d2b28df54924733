// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The seam to what computes: cpu, emulated, null and cuda implement it.
#ifndef TESSERA_RT_DEVICE_H
#define TESSERA_RT_DEVICE_H

#include "tessera-rt/Status.h"
#include "tessera-rt/ThreadPool.h"
#include "tessera-rt/Traffic.h"
#include "tessera/ABI/PlanFormat.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace tessera::rt {

struct DeviceOptions {
  int count = 1; ///< Devices of the mesh that this process drives.
  std::shared_ptr<ThreadPool> pool;
  int64_t timeoutMs = 60000; ///< Longest wait for a device.
  bool profile = false;      ///< Count what takeTraffic tells.
};

/// Nanoseconds of a clock that never goes back.
int64_t steadyTime();

/// When work began and ended, by steadyTime; -1 if it never did.
struct Span {
  int64_t begin = -1, end = -1;
};

struct Launch {
  int kernel = 0; ///< Index in the plan.
  /// That run it, ascending: those of the program that has the step.
  const std::vector<int> *devices = nullptr;
  /// args[d][i] is argument i on device d.
  void *const *const *args = nullptr;
  /// Bytes of each argument; the same on every device.
  const std::vector<int64_t> *bytes = nullptr;
  /// If not null, an entry per device that a device which knows when each one
  /// works on its blocks fills in; others leave it as it is.
  Span *spans = nullptr;
};

/// All devices of one kind that this process drives, numbered from 0. Those
/// that run one program do so in lock step: a call may return before the work
/// is done, but later calls see its effects in order. Not thread-safe.
class Device {
public:
  virtual ~Device() = default;

  virtual const char *name() const = 0;
  /// True when the host may read and write device memory at any time.
  virtual bool usesHostMemory() const = 0;
  /// Whether it runs kernels, so that values mean something: all but null. On
  /// one that does not, a While runs its body once and an If its first branch.
  virtual bool computes() const { return true; }
  /// Whether it can run artefacts for `target`, "cuda:sm_90a" say.
  virtual bool accepts(const std::string &target) const = 0;
  /// Makes the artefact's kernels ready. Called once, before the rest.
  virtual Status load(const abi::Artefact &artefact) = 0;

  /// Memory aligned to abi::bufferAlignment; null when there is none left.
  virtual void *allocate(int device, size_t bytes) = 0;
  virtual void release(int device, void *memory) = 0;

  virtual Status copyIn(int device, void *to, const void *from,
                        size_t bytes) = 0;
  /// Waits for what was started before.
  virtual Status copyOut(int device, void *to, const void *from,
                         size_t bytes) = 0;
  virtual Status copy(int device, void *to, const void *from, size_t bytes) = 0;
  /// Writes `pattern` over and over; `bytes` is a multiple of its size.
  virtual Status fill(int device, void *to, const std::string &pattern,
                      size_t bytes) = 0;

  /// The stream that a device's work is queued in, for communicators that queue
  /// theirs behind it (a CUstream); null where work is done when calls return.
  virtual void *stream(int /*device*/) const { return nullptr; }

  /// Runs a kernel on some devices, or all.
  virtual Status launch(const Launch &launch) = 0;
  /// Waits until all is done.
  virtual Status synchronize() = 0;

  /// By kernel of the plan, what accesses have cost since the last call. Empty
  /// for devices that do not see accesses: all but emulated.
  virtual std::vector<KernelTraffic> takeTraffic() { return {}; }
};

/// The part that devices with host memory share.
class HostMemoryDevice : public Device {
public:
  bool usesHostMemory() const override { return true; }
  void *allocate(int device, size_t bytes) override;
  void release(int device, void *memory) override;
  Status copyIn(int device, void *to, const void *from, size_t bytes) override;
  Status copyOut(int device, void *to, const void *from, size_t bytes) override;
  Status copy(int device, void *to, const void *from, size_t bytes) override;
  Status fill(int device, void *to, const std::string &pattern,
              size_t bytes) override;
  Status synchronize() override { return Status::success(); }
};

} // namespace tessera::rt

#endif // TESSERA_RT_DEVICE_H
