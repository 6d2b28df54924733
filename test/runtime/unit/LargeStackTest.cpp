// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/LargeStack.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <vector>

namespace tessera::rt {
namespace {

template <typename Body> void onStackOf(size_t bytes, Body body) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, bytes);
  pthread_t thread;
  auto enter = [](void *body) -> void * {
    (*static_cast<Body *>(body))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, enter, &body), 0);
  pthread_attr_destroy(&attributes);
  pthread_join(thread, nullptr);
}

/// A function of its own, whose array the compiler keeps.
__attribute__((noinline)) size_t stackLeftAfterUse() {
  char bytes[100 << 10];
  asm volatile("" : : "r"(bytes) : "memory");
  return stackLeft();
}

TEST(LargeStackTest, WhatIsLeftShrinksWithUse) {
  onStackOf(1 << 20, [] {
    size_t before = stackLeft(), inside = stackLeftAfterUse();
    EXPECT_GT(before, size_t(900) << 10);
    EXPECT_LT(inside, before - (90 << 10));
  });
}

TEST(LargeStackTest, ASmallThreadGetsRoomForAnyKernel) {
  size_t small = 0, large = 0;
  bool isMade = false;
  onStackOf(256 << 10, [&] {
    small = stackLeft();
    isMade = runOnLargeStack([&] { large = stackLeft(); });
  });
  EXPECT_TRUE(isMade);
  EXPECT_LT(small, size_t(abi::maxKernelScratch)); // A larger one is reused.
  EXPECT_GE(large, size_t(abi::maxKernelScratch + abi::kernelStackMargin));
}

} // namespace
} // namespace tessera::rt
