// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A program loaded onto devices, and tensors placed on them.
#ifndef TESSERA_RT_EXECUTABLE_H
#define TESSERA_RT_EXECUTABLE_H

#include "tessera-rt/Communicator.h"
#include "tessera-rt/Device.h"

#include <memory>
#include <string>
#include <vector>

namespace tessera::rt {

struct ExecutableOptions {
  std::string device; ///< Empty: the one that the artefact was compiled for.
  std::string communicator = "inprocess";
  int threads = 0; ///< Of all devices together; 0: see defaultThreads.
  int64_t timeoutMs = 60000; ///< Longest wait for a device or a peer.
  bool profile = false;      ///< Measure each step and, if emulated, accesses.
};

/// Memory on one device.
class DeviceMemory {
public:
  DeviceMemory() = default;
  DeviceMemory(std::shared_ptr<Device> device, int index, size_t bytes);
  DeviceMemory(DeviceMemory &&other) { *this = std::move(other); }
  DeviceMemory &operator=(DeviceMemory &&other);
  ~DeviceMemory();

  void *get() const { return memory; }
  explicit operator bool() const { return memory; }

private:
  std::shared_ptr<Device> device;
  int index = 0;
  void *memory = nullptr;
};

/// A whole tensor, cut for an input and resident on the devices.
struct PlacedTensor {
  /// Equal for inputs that may share it.
  std::string signature;
  std::vector<DeviceMemory> owned; ///< Empty when it keeps the user's memory.
  std::vector<void *> addresses;   ///< One per device.
};

struct RunReport {
  int64_t nanoseconds = 0;
  int64_t launches = 0;    ///< Kernel launches, over all devices.
  int64_t collectives = 0; ///< Collective steps.
  int64_t bytesSent = 0;   ///< See bytesMoved.
  /// One per step of the plan, if asked for.
  std::vector<int64_t> stepNanoseconds;
  /// By kernel of the plan, over all devices; if asked for, and emulated.
  std::vector<KernelTraffic> traffic;
};

/// Not thread-safe.
class Executable {
public:
  static Result<std::unique_ptr<Executable>>
  create(abi::Artefact artefact, const ExecutableOptions &options);

  const abi::Plan &plan() const { return artefact.plan; }
  const Device &getDevice() const { return *device; }
  int64_t inputBytes(size_t input) const;

  Result<std::unique_ptr<PlacedTensor>> place(size_t input, const void *data);

  /// An input is placed, or else whole, row-major data.
  struct Input {
    const void *data = nullptr;
    const PlacedTensor *placed = nullptr;
  };
  /// outputs[i] is memory for the whole output i. Both have the plan's counts.
  Status run(const Input *inputs, void *const *outputs);
  const RunReport &report() const { return lastReport; }

private:
  Executable() = default;

  /// What a tensor's layout allows, per device.
  struct Part {
    /// Offset of the local tensor in the whole one where it is one piece of it
    /// without padding, else -1.
    int64_t wholeOffset = -1;
    /// No device before this one holds the same elements.
    bool isFirst = true;
  };
  using Parts = std::vector<Part>;
  /// A step's arguments by device, and their sizes.
  struct BoundStep {
    std::vector<std::vector<void *>> args;
    std::vector<void *const *> argsOfDevice;
    std::vector<int64_t> bytes;
    std::vector<const void *> collectiveInputs;
    std::vector<void *> collectiveOutputs;
  };

  static Status outOfMemory(int index, int64_t bytes, const std::string &what);
  static Parts describeParts(const abi::Tensor &tensor);
  std::string signatureOf(const abi::Tensor &tensor) const;
  Status allocate();
  void addressOwnBuffers();
  /// Device memory for parts that cannot be used in place; made when needed.
  Result<void *> stagingFor(std::vector<DeviceMemory> &memory,
                            const abi::Tensor &tensor, int index);
  Status cut(const abi::Tensor &tensor, int index, const void *data, void *to);
  Status bindInputs(const Input *inputs);
  Status bindOutputs(void *const *outputs);
  Status joinOutputs(void *const *outputs);
  void bindSteps();
  Status runStep(const abi::Step &step, size_t index);
  Status runStaged(const abi::Step &step, BoundStep &bound);

  abi::Artefact artefact;
  ExecutableOptions options;
  std::shared_ptr<Device> device;
  std::shared_ptr<ThreadPool> pool;
  std::unique_ptr<Communicator> communicator;
  int numDevices = 1;

  std::vector<DeviceMemory> arenas, constants;
  std::vector<std::string> signatures; ///< One per input.
  std::vector<Parts> inputParts, outputParts;
  std::vector<std::vector<DeviceMemory>> inputStaging, outputStaging;

  /// addresses[d][b] is buffer b on device d.
  std::vector<std::vector<void *>> addresses;
  bool addressesChanged = true;
  std::vector<BoundStep> steps;                   ///< Follow `addresses`.
  std::vector<std::vector<char>> hostIn, hostOut; ///< Of staged collectives.
  RunReport lastReport;
};

} // namespace tessera::rt

#endif // TESSERA_RT_EXECUTABLE_H
