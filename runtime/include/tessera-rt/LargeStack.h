// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Kernels have scratch on the stack, and callers may have little of it: threads
// of Python and of other hosts can be given any size.
#ifndef TESSERA_RT_LARGESTACK_H
#define TESSERA_RT_LARGESTACK_H

#include "tessera/ABI/KernelABI.h"

#include <cstddef>
#include <type_traits>

namespace tessera::rt {

/// What the threads have that exist to run kernels: room for any kernel.
constexpr size_t kernelThreadStackBytes = 2 * abi::maxKernelScratch;
static_assert(abi::kernelStackMargin < abi::maxKernelScratch);

/// Bytes that the calling thread has left on its stack; 0 where it runs on
/// another piece of memory than its own stack. Costs a few nanoseconds after a
/// thread's first call.
size_t stackLeft();

/// Runs call(context) on a new thread of kernelThreadStackBytes and waits for
/// it. False, without a call, where no thread can be made.
bool runOnLargeStack(void (*call)(void *), void *context);

/// The same of a function object.
template <typename Body> bool runOnLargeStack(Body &&body) {
  auto call = [](void *context) {
    (*static_cast<std::remove_reference_t<Body> *>(context))();
  };
  return runOnLargeStack(call, &body);
}

} // namespace tessera::rt

#endif // TESSERA_RT_LARGESTACK_H
