// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/ThreadPool.h"
#include "tessera/ABI/KernelABI.h"

#include <algorithm>
#include <map>
#include <sched.h>
#include <unistd.h>

using namespace tessera::rt;

namespace {

constexpr uint64_t openBit = 1;
constexpr uint64_t oneInside = 2;
constexpr uint64_t insideMask = 0xfffffffe;
constexpr uint64_t oneLoop = uint64_t(1) << 32;

/// Polls before a worker sleeps: about 40 microseconds.
constexpr int pollsBeforeSleep = 1000;
/// Polls before a waiting thread lets others run, which matters when there are
/// more threads than cores.
constexpr int pollsBeforeYield = 200;

/// Room for the scratch of kernels, and for what calls take.
constexpr size_t workerStackBytes = 2 * tessera::abi::maxKernelScratch;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

int usableCores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    return std::max(1, CPU_COUNT(&set));
  return 1;
}

} // namespace

ThreadPool::ThreadPool(int threads) : owner(getpid()) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, workerStackBytes);
  for (int i = 1; i < threads; ++i) {
    pthread_t thread;
    // With fewer threads than asked for, loops are slower but right.
    if (pthread_create(&thread, &attributes, enterWorker, this) != 0)
      break;
    workers.push_back(thread);
  }
  pthread_attr_destroy(&attributes);
}

ThreadPool::~ThreadPool() {
  if (owner != getpid())
    return;
  {
    std::lock_guard<std::mutex> lock(sleepMutex);
    stopping = true;
  }
  wake.notify_all();
  for (pthread_t thread : workers)
    pthread_join(thread, nullptr);
}

std::shared_ptr<ThreadPool> ThreadPool::shared(int threads) {
  static std::mutex mutex;
  static auto &pools = *new std::map<int, std::weak_ptr<ThreadPool>>();
  if (threads <= 0)
    threads = usableCores();
  std::lock_guard<std::mutex> lock(mutex);
  std::shared_ptr<ThreadPool> pool = pools[threads].lock();
  if (!pool) {
    pool = std::make_shared<ThreadPool>(threads);
    pools[threads] = pool;
  }
  return pool;
}

void ThreadPool::run(int64_t newCount, int64_t grain, Call newCall,
                     void *newContext) {
  if (newCount <= 0)
    return;
  grain = std::max<int64_t>(1, grain);
  if (newCount <= grain || workers.empty() ||
      busy.exchange(true, std::memory_order_acquire)) {
    newCall(newContext, 0, newCount);
    return;
  }
  // Four chunks a thread even out blocks of unequal cost.
  call = newCall;
  context = newContext;
  count = newCount;
  chunk = std::max(grain, newCount / (4 * threads()));
  next.store(0, std::memory_order_relaxed);
  uint64_t loop = state.load(std::memory_order_relaxed) / oneLoop + 1;
  state.store(loop * oneLoop | openBit, std::memory_order_seq_cst);
  if (sleepers.load(std::memory_order_seq_cst) > 0) {
    std::lock_guard<std::mutex> lock(sleepMutex);
    wake.notify_all();
  }

  work();

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

void ThreadPool::work() {
  while (true) {
    int64_t begin = next.fetch_add(chunk, std::memory_order_relaxed);
    if (begin >= count)
      return;
    call(context, begin, std::min(begin + chunk, count));
  }
}

void *ThreadPool::enterWorker(void *self) {
  static_cast<ThreadPool *>(self)->workerLoop();
  return nullptr;
}

void ThreadPool::workerLoop() {
  uint64_t lastLoop = 0;
  int polls = 0;
  while (!stopping.load(std::memory_order_relaxed)) {
    uint64_t seen = state.load(std::memory_order_acquire);
    if ((seen & openBit) && seen / oneLoop != lastLoop) {
      // Joining and closing change the same word, so that the caller waits for
      // exactly those who joined.
      if (state.compare_exchange_weak(seen, seen + oneInside,
                                      std::memory_order_acq_rel)) {
        lastLoop = seen / oneLoop;
        work();
        state.fetch_sub(oneInside, std::memory_order_release);
        polls = 0;
      }
      continue;
    }
    if (++polls < pollsBeforeSleep) {
      relax();
      continue;
    }
    std::unique_lock<std::mutex> lock(sleepMutex);
    sleepers.fetch_add(1, std::memory_order_seq_cst);
    wake.wait(lock, [&] {
      uint64_t now = state.load(std::memory_order_seq_cst);
      return stopping || ((now & openBit) && now / oneLoop != lastLoop);
    });
    sleepers.fetch_sub(1, std::memory_order_relaxed);
    polls = 0;
  }
}
