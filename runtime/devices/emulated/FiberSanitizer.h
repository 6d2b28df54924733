// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the sanitizers are told about fibers. Nothing in other builds.
#ifndef TESSERA_RUNTIME_DEVICES_EMULATED_FIBERSANITIZER_H
#define TESSERA_RUNTIME_DEVICES_EMULATED_FIBERSANITIZER_H

#include <cstddef>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TESSERA_FIBERS_ASAN 1
#elif __has_feature(thread_sanitizer)
#define TESSERA_FIBERS_TSAN 1
#endif
#endif

#ifdef TESSERA_FIBERS_ASAN
#include <pthread.h>
#include <sanitizer/common_interface_defs.h>
#elif defined(TESSERA_FIBERS_TSAN)
#include <sanitizer/tsan_interface.h>
#include <utility>
#endif

namespace tessera::emulated {

#ifdef TESSERA_FIBERS_ASAN

/// The address sanitizer keeps the bounds of the running stack, and the frames
/// of it whose variables it has moved to the heap.
class FiberSanitizer {
public:
  void prepare(const void *stackBegin, size_t bytes) {
    stack = stackBegin;
    size = bytes;
    frames = nullptr;
  }
  void leave(FiberSanitizer &to) {
    if (!stack)
      findOwnStack();
    __sanitizer_start_switch_fiber(&frames, to.stack, to.size);
  }
  void leaveForGood(FiberSanitizer &to) {
    __sanitizer_start_switch_fiber(nullptr, to.stack, to.size);
  }
  void resume() { __sanitizer_finish_switch_fiber(frames, nullptr, nullptr); }

private:
  /// That of the OS thread.
  void findOwnStack() {
    pthread_attr_t attributes;
    void *begin = nullptr;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
      return;
    pthread_attr_getstack(&attributes, &begin, &size);
    pthread_attr_destroy(&attributes);
    stack = begin;
  }

  const void *stack = nullptr;
  size_t size = 0;
  void *frames = nullptr;
};

#elif defined(TESSERA_FIBERS_TSAN)

/// The thread sanitizer keeps a call stack and a clock for each fiber. What
/// switches is inlined: a call must not begin on one fiber and end on another.
class FiberSanitizer {
public:
  FiberSanitizer() = default;
  FiberSanitizer(const FiberSanitizer &) = delete;
  FiberSanitizer &operator=(FiberSanitizer &&other) {
    std::swap(fiber, other.fiber);
    std::swap(isOwn, other.isOwn);
    return *this;
  }
  ~FiberSanitizer() {
    if (isOwn)
      __tsan_destroy_fiber(fiber);
  }

  void prepare(const void *, size_t) {
    fiber = __tsan_create_fiber(0);
    isOwn = true;
  }
  [[gnu::always_inline]] void leave(FiberSanitizer &to) {
    if (!fiber)
      fiber = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(to.fiber, 0);
  }
  [[gnu::always_inline]] void leaveForGood(FiberSanitizer &to) { leave(to); }
  void resume() {}

private:
  void *fiber = nullptr;
  bool isOwn = false; ///< Not that of an OS thread.
};

#else

class FiberSanitizer {
public:
  void prepare(const void *, size_t) {}
  void leave(FiberSanitizer &) {}
  void leaveForGood(FiberSanitizer &) {}
  void resume() {}
};

#endif

} // namespace tessera::emulated

#endif // TESSERA_RUNTIME_DEVICES_EMULATED_FIBERSANITIZER_H
