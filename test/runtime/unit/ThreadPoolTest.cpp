// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/ThreadPool.h"

#include <gtest/gtest.h>

#include <thread>
#include <unistd.h>

using namespace tessera::rt;

namespace {

TEST(ThreadPoolTest, EveryItemIsVisitedOnce) {
  for (int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (int64_t count : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> visits(count);
      pool.parallelFor(count, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
          ++visits[i];
      });
      for (std::atomic<int> &visit : visits)
        EXPECT_EQ(visit, 1);
    }
  }
}

TEST(ThreadPoolTest, ManyShortLoopsStayRightWhileWorkersFallAsleep) {
  ThreadPool pool(4);
  for (int round = 0; round < 20000; ++round) {
    std::atomic<int64_t> sum{0};
    pool.parallelFor(16, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        sum += i;
    });
    ASSERT_EQ(sum, 120);
    if (round % 1000 == 0)
      usleep(2000);
  }
}

TEST(ThreadPoolTest, AWokenWorkerGetsBackTheCpusItMayRunOn) {
  cpu_set_t allowed;
  pthread_getaffinity_np(pthread_self(), sizeof(allowed), &allowed);
  ThreadPool pool(2);
  pthread_t caller = pthread_self();
  for (int round = 0; round < 20; ++round) {
    usleep(3000);
    std::atomic<bool> workerCame{false};
    // The caller waits inside its item, so the worker takes the other.
    pool.parallelFor(2, 1, [&](int64_t, int64_t) {
      if (pthread_equal(pthread_self(), caller)) {
        while (!workerCame)
          sched_yield();
        return;
      }
      cpu_set_t mine;
      pthread_getaffinity_np(pthread_self(), sizeof(mine), &mine);
      EXPECT_TRUE(CPU_EQUAL(&mine, &allowed));
      workerCame = true;
    });
  }
}

TEST(ThreadPoolTest, ThreadsBeginWithTheirOwnParts) {
  ThreadPool pool(2);
  pthread_t caller = pthread_self();
  for (int round = 0; round < 20; ++round) {
    std::atomic<int64_t> callersFirst{-1}, workersFirst{-1};
    pool.parallelFor(16, 1, [&](int64_t begin, int64_t) {
      bool isCaller = pthread_equal(pthread_self(), caller);
      int64_t none = -1;
      (isCaller ? callersFirst : workersFirst)
          .compare_exchange_strong(none, begin);
      while (isCaller && workersFirst < 0)
        sched_yield();
    });
    EXPECT_EQ(callersFirst, 0);
    EXPECT_EQ(workersFirst, 8);
  }
}

TEST(ThreadPoolTest, NestedLoopsRunOnTheCaller) {
  ThreadPool pool(3);
  std::atomic<int64_t> inner{0};
  pool.parallelFor(4, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      pool.parallelFor(5, 1, [&](int64_t b, int64_t e) { inner += e - b; });
  });
  EXPECT_EQ(inner, 20);
}

TEST(ThreadPoolTest, SeveralThreadsMayShareAPool) {
  ThreadPool pool(3);
  std::atomic<int64_t> total{0};
  std::vector<std::thread> users;
  for (int user = 0; user < 3; ++user)
    users.emplace_back([&] {
      for (int round = 0; round < 500; ++round)
        pool.parallelFor(10, 1, [&](int64_t b, int64_t e) { total += e - b; });
    });
  for (std::thread &user : users)
    user.join();
  EXPECT_EQ(total, 15000);
}

TEST(ThreadPoolTest, PoolsOfEqualSizeAreShared) {
  EXPECT_EQ(ThreadPool::shared(2), ThreadPool::shared(2));
  EXPECT_NE(ThreadPool::shared(2), ThreadPool::shared(3));
}

} // namespace
