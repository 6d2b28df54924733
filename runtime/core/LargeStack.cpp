// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/LargeStack.h"

#include <cstdint>
#include <pthread.h>

namespace {

/// Addresses [low, high) of a thread's stack, which grows down.
struct Stack {
  uintptr_t low = 0, high = 0;

  Stack() {
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
      return;
    void *begin = nullptr;
    size_t size = 0;
    if (pthread_attr_getstack(&attributes, &begin, &size) == 0) {
      low = reinterpret_cast<uintptr_t>(begin);
      high = low + size;
    }
    pthread_attr_destroy(&attributes);
  }
};

struct Work {
  void (*call)(void *);
  void *context;
};

void *enter(void *work) {
  auto *self = static_cast<Work *>(work);
  self->call(self->context);
  return nullptr;
}

} // namespace

size_t tessera::rt::stackLeft() {
  static thread_local const Stack stack;
  auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  return here > stack.low && here < stack.high ? here - stack.low : 0;
}

bool tessera::rt::runOnLargeStack(void (*call)(void *), void *context) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kernelThreadStackBytes);
  Work work{call, context};
  pthread_t thread;
  bool isMade = pthread_create(&thread, &attributes, enter, &work) == 0;
  pthread_attr_destroy(&attributes);
  if (isMade)
    pthread_join(thread, nullptr);
  return isMade;
}
