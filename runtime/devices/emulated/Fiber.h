// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Cooperative threads: each has a stack of its own and runs until it switches.
#ifndef TESSERA_RUNTIME_DEVICES_EMULATED_FIBER_H
#define TESSERA_RUNTIME_DEVICES_EMULATED_FIBER_H

#include "FiberSanitizer.h"

#include <cstddef>

namespace tessera::emulated {

/// A suspended point of execution. Stays where it is while it is in use.
struct FiberContext {
  void *stackPointer = nullptr;
  // What a fiber starts with, and where it goes in the end.
  void (*entry)(void *) = nullptr;
  void *argument = nullptr;
  FiberContext *next = nullptr;
  FiberSanitizer sanitizer;
};

/// Saves the running point in `from` and continues at `to`.
void switchFiber(FiberContext &from, FiberContext &to);

/// Makes `context` start `entry(argument)` on the stack [stack, stack + size)
/// when switched to, and continue at `next` when `entry` returns.
void prepareFiber(FiberContext &context, void *stack, size_t size,
                  void (*entry)(void *), void *argument, FiberContext &next);

/// Stacks for `count` fibers, with a guard page below each, so that overflow
/// faults instead of corrupting a neighbour. Reusable by one fiber at a time.
class FiberStacks {
public:
  FiberStacks(size_t count, size_t bytesEach);
  ~FiberStacks();
  FiberStacks(const FiberStacks &) = delete;
  FiberStacks &operator=(const FiberStacks &) = delete;

  /// False when the system had no memory for them.
  bool isValid() const { return base != nullptr; }
  size_t count() const { return numStacks; }
  void *stack(size_t index) const;
  size_t stackBytes() const { return usableBytes; }

private:
  size_t numStacks, usableBytes, stride;
  char *base;
};

} // namespace tessera::emulated

#endif // TESSERA_RUNTIME_DEVICES_EMULATED_FIBER_H
