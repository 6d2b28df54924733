// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The seam to what moves data between devices.
#ifndef TESSERA_RT_COMMUNICATOR_H
#define TESSERA_RT_COMMUNICATOR_H

#include "tessera-rt/Status.h"
#include "tessera-rt/ThreadPool.h"
#include "tessera/ABI/PlanFormat.h"

#include <memory>

namespace tessera::rt {

struct CommunicatorOptions {
  std::shared_ptr<ThreadPool> pool;
  int64_t timeoutMs = 60000; ///< Longest wait for a peer.
};

class Communicator {
public:
  virtual ~Communicator() = default;

  virtual const char *name() const = 0;
  /// Runs a collective step; inputs[d] and outputs[d] are its buffers on this
  /// process's device d, in host memory. Sums are taken in the order of the
  /// group, so that every member gets the same bits, on every run.
  virtual Status run(const abi::Step &step, const void *const *inputs,
                     void *const *outputs) = 0;
};

/// Bytes that one run of a collective moves between devices: what each device
/// must receive of the others at least, added up.
int64_t bytesMoved(const abi::Step &step);

} // namespace tessera::rt

#endif // TESSERA_RT_COMMUNICATOR_H
