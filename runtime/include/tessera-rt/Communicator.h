// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The seam to what moves data between devices.
#ifndef TESSERA_RT_COMMUNICATOR_H
#define TESSERA_RT_COMMUNICATOR_H

#include "tessera-rt/Device.h"
#include "tessera-rt/Status.h"
#include "tessera-rt/ThreadPool.h"
#include "tessera/ABI/PlanFormat.h"

#include <memory>
#include <vector>

namespace tessera::rt {

struct CommunicatorOptions {
  int numDevices = 1; ///< Of the mesh, over all processes.
  std::shared_ptr<ThreadPool> pool;
  int64_t timeoutMs = 60000; ///< Longest wait for a peer.
};

/// A collective step of a plan, with what its digits mean on a mesh of so many
/// devices. The step must outlive it.
struct Collective {
  Collective(const abi::Step &step, int64_t numDevices);
  /// With any groups and targets.
  explicit Collective(const abi::Step &step) : step(&step) {}

  /// Leaves out the devices that do not run `program`, none of which acts
  /// together with one that does.
  void keepOnly(const abi::Program &program);

  const abi::Step *step;
  /// Devices that act together, in order; a device is in one group, or in none
  /// where it takes no part. Empty for permute.
  std::vector<std::vector<int32_t>> groups;
  /// Permute: device d sends to targets[d], or takes no part where that is -1.
  std::vector<int32_t> targets;
};

/// What a collective works on. Entry i is of local device i; that of a device
/// which takes no part may be anything.
struct CollectiveBuffers {
  const void *const *inputs = nullptr;
  void *const *outputs = nullptr;
  /// Where the devices have streams: those in whose order the collective
  /// belongs, behind what they hold and before what follows; else nulls.
  void *const *streams = nullptr;
};

/// One process's end of what joins all devices of a mesh. Each process (rank)
/// drives some of them, its local devices, and runs the collectives that they
/// take part in, in the same order as other ranks run those. Not thread-safe.
class Communicator {
public:
  virtual ~Communicator() = default;

  virtual const char *name() const = 0;
  virtual int rank() const = 0;
  virtual int numRanks() const = 0;
  /// The numbers in the mesh of local devices 0, 1, ...; ascending. Every
  /// device of the mesh is local on one rank.
  virtual const std::vector<int32_t> &localDevices() const = 0;
  /// Whether `run` takes this device's addresses; where it does not, the caller
  /// copies by way of host memory.
  virtual bool reaches(const Device &device) const = 0;
  /// Runs a collective. Sums are taken in the order of the group, so that
  /// every member gets the same bits, on every run and any division into ranks.
  virtual Status run(const Collective &collective,
                     const CollectiveBuffers &buffers) = 0;
};

/// Bytes that one run of a collective moves between devices: what each device
/// must receive of the others at least, added up.
int64_t bytesMoved(const Collective &collective);

} // namespace tessera::rt

#endif // TESSERA_RT_COMMUNICATOR_H
