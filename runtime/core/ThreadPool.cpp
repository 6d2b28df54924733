// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/ThreadPool.h"
#include "tessera-rt/LargeStack.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <sched.h>
#include <utility>

using namespace tessera::rt;

namespace {

constexpr uint64_t openBit = 1;
constexpr uint64_t oneInside = 2;
constexpr uint64_t insideMask = 0xfffffffe;
constexpr uint64_t oneLoop = uint64_t(1) << 32;

using Clock = std::chrono::steady_clock;

/// How long an idle worker polls without a break, which finds the next step of
/// a program at once. A step without parallel work is shorter than this.
constexpr auto timeBeforeYield = std::chrono::microseconds(50);
/// How long it polls in all, letting others run between polls: longer than a
/// caller in Python takes from one program to the next. Waking a thread that
/// sleeps takes up to 100 microseconds.
constexpr auto timeBeforeSleep = std::chrono::milliseconds(1);
/// Polls per look at the clock.
constexpr int pollsPerLook = 64;
/// Polls before a caller that waits for its workers lets others run, which
/// matters when there are more threads than cores.
constexpr int pollsBeforeYield = 200;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Takes `cpu` from those that a thread may run on, if others are left;
/// `before` is what it had.
bool keepAway(pthread_t thread, int cpu, cpu_set_t &before) {
  // Fails on machines with more CPUs than the set has room for.
  if (pthread_getaffinity_np(thread, sizeof(before), &before) != 0)
    return false;
  cpu_set_t others = before;
  CPU_CLR(cpu, &others);
  return CPU_COUNT(&others) > 0 &&
         pthread_setaffinity_np(thread, sizeof(others), &others) == 0;
}

/// The pools that `shared` made. A process that was forked starts anew: it has
/// the memory of its parent's pools, but none of their threads, and whoever
/// held the lock is not there to release it.
struct Pools {
  std::mutex mutex;
  std::map<int, std::weak_ptr<ThreadPool>> bySize;
};
Pools *pools = new Pools();
/// How many forks lie between this process and the first.
std::atomic<int> generation{0};

void startAnew() {
  pools = new Pools();
  generation.fetch_add(1, std::memory_order_relaxed);
}
const int startAnewAfterFork = pthread_atfork(nullptr, nullptr, startAnew);

} // namespace

ThreadPool::ThreadPool(int threads)
    : madeIn(generation), parts(new Part[std::max(1, threads)]) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kernelThreadStackBytes);
  for (int i = 1; i < threads; ++i) {
    Worker &worker = workers.emplace_back(*this, i);
    // With fewer threads than asked for, loops are slower but right.
    if (pthread_create(&worker.thread, &attributes, enterWorker, &worker) !=
        0) {
      workers.pop_back();
      break;
    }
  }
  pthread_attr_destroy(&attributes);
}

ThreadPool::~ThreadPool() {
  if (madeIn != generation) {
    sleep.release();
    return;
  }
  {
    std::lock_guard<std::mutex> lock(sleep->mutex);
    stopping = true;
  }
  sleep->wake.notify_all();
  for (Worker &worker : workers)
    pthread_join(worker.thread, nullptr);
}

std::shared_ptr<ThreadPool> ThreadPool::shared(int threads) {
  std::lock_guard<std::mutex> lock(pools->mutex);
  std::weak_ptr<ThreadPool> &entry = pools->bySize[threads];
  std::shared_ptr<ThreadPool> pool = entry.lock();
  if (!pool)
    entry = pool = std::make_shared<ThreadPool>(threads);
  return pool;
}

void ThreadPool::run(int64_t newCount, int64_t grain, Call newCall,
                     void *newContext) {
  if (newCount <= 0)
    return;
  grain = std::max<int64_t>(1, grain);
  if (newCount <= grain || workers.empty() || madeIn != generation ||
      busy.exchange(true, std::memory_order_acquire)) {
    newCall(newContext, 0, newCount);
    return;
  }
  call = newCall;
  context = newContext;
  // Four chunks a thread even out blocks of unequal cost.
  chunk = std::max(grain, newCount / (4 * threads()));
  int64_t used = std::min<int64_t>(threads(), newCount / grain), begin = 0;
  for (int64_t i = 0; i < threads(); ++i) {
    int64_t left = std::max<int64_t>(0, used - i);
    int64_t end = left ? begin + (newCount - begin) / left : begin;
    parts[i].next.store(begin, std::memory_order_relaxed);
    parts[i].end = begin = end;
  }
  uint64_t loop = state.load(std::memory_order_relaxed) / oneLoop + 1;
  state.store(loop * oneLoop | openBit, std::memory_order_seq_cst);
  if (sleepers.load(std::memory_order_seq_cst) > 0)
    wakeSleepers();

  work(0);

  state.fetch_and(~openBit, std::memory_order_acq_rel);
  for (int polls = 0; state.load(std::memory_order_acquire) & insideMask;
       ++polls) {
    if (polls < pollsBeforeYield)
      relax();
    else
      sched_yield();
  }
  busy.store(false, std::memory_order_release);
}

/// Wakes every sleeping worker on another CPU than the caller's, which is busy
/// with the loop until it ends. The kernel may choose the caller's: it looks
/// for an idle one only where it believes there are any, and that belief is as
/// old as its last balancing, which also is what would move the worker,
/// milliseconds later. Until then the caller would do every loop alone.
void ThreadPool::wakeSleepers() {
  std::lock_guard<std::mutex> lock(sleep->mutex);
  int here = sched_getcpu();
  for (Worker &worker : workers)
    if (worker.asleep && !worker.keptAway && here >= 0)
      worker.keptAway = keepAway(worker.thread, here, worker.allowed);
  sleep->wake.notify_all();
}

void ThreadPool::work(int thread) {
  int all = threads();
  for (int i = 0; i < all; ++i) {
    Part &part = parts[(thread + i) % all];
    while (true) {
      int64_t begin = part.next.fetch_add(chunk, std::memory_order_relaxed);
      if (begin >= part.end)
        break;
      call(context, begin, std::min(begin + chunk, part.end));
    }
  }
}

void *ThreadPool::enterWorker(void *self) {
  Worker &worker = *static_cast<Worker *>(self);
  worker.pool.workerLoop(worker);
  return nullptr;
}

bool ThreadPool::hasWork(uint64_t seen, uint64_t lastLoop) {
  return (seen & openBit) && seen / oneLoop != lastLoop;
}

/// Polls for a while, then sleeps, until there is a loop after `lastLoop` or
/// the pool ends.
void ThreadPool::awaitWork(Worker &self, uint64_t lastLoop) {
  auto isOver = [&](std::memory_order order) {
    return stopping.load(order) || hasWork(state.load(order), lastLoop);
  };
  Clock::time_point begin = Clock::now();
  Clock::duration waited = Clock::duration::zero();
  while (waited < timeBeforeSleep) {
    for (int poll = 0; poll < pollsPerLook; ++poll) {
      if (isOver(std::memory_order_acquire))
        return;
      if (waited < timeBeforeYield)
        relax();
      else
        sched_yield();
    }
    waited = Clock::now() - begin;
  }
  std::unique_lock<std::mutex> lock(sleep->mutex);
  self.asleep = true;
  sleepers.fetch_add(1, std::memory_order_seq_cst);
  sleep->wake.wait(lock, [&] { return isOver(std::memory_order_seq_cst); });
  sleepers.fetch_sub(1, std::memory_order_relaxed);
  self.asleep = false;
  if (std::exchange(self.keptAway, false))
    pthread_setaffinity_np(pthread_self(), sizeof(self.allowed), &self.allowed);
}

void ThreadPool::workerLoop(Worker &self) {
  uint64_t lastLoop = 0;
  while (!stopping.load(std::memory_order_relaxed)) {
    uint64_t seen = state.load(std::memory_order_acquire);
    if (!hasWork(seen, lastLoop)) {
      awaitWork(self, lastLoop);
      continue;
    }
    // Joining and closing change the same word, so that the caller waits for
    // exactly those who joined.
    if (state.compare_exchange_weak(seen, seen + oneInside,
                                    std::memory_order_acq_rel)) {
      lastLoop = seen / oneLoop;
      work(self.number);
      state.fetch_sub(oneInside, std::memory_order_release);
    }
  }
}
