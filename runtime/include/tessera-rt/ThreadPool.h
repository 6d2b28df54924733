// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Loops split over persistent threads.
#ifndef TESSERA_RT_THREADPOOL_H
#define TESSERA_RT_THREADPOOL_H

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <pthread.h>
#include <sched.h>

namespace tessera::rt {

/// The calling thread and `threads - 1` workers. Workers poll for up to a
/// millisecond after a loop, most of it letting others run, then sleep; a loop
/// never waits for a sleeping one to wake up, so short loops cost little. Each
/// thread begins with a part of the loop that is its own, so that what loops of
/// one size touch again is in the caches of the same core, and then helps
/// others with theirs. In a forked process the parent's pools run everything on
/// the caller.
class ThreadPool {
public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  /// One pool per number of threads for the whole process.
  static std::shared_ptr<ThreadPool> shared(int threads);

  int threads() const { return static_cast<int>(workers.size()) + 1; }

  /// Calls body(begin, end) on chunks that cover [0, count) without overlap,
  /// `grain` items each at least; returns when all are done. From inside a
  /// loop, or while another thread runs one, it runs everything on the caller.
  template <typename Body>
  void parallelFor(int64_t count, int64_t grain, Body &&body) {
    auto call = [](void *context, int64_t begin, int64_t end) {
      (*static_cast<std::remove_reference_t<Body> *>(context))(begin, end);
    };
    run(count, grain, call, &body);
  }

private:
  using Call = void (*)(void *context, int64_t begin, int64_t end);

  struct Worker {
    Worker(ThreadPool &pool, int number) : pool(pool), number(number) {}
    ThreadPool &pool;
    int number; ///< From 1; the caller is 0.
    pthread_t thread = {};
    // Written under Sleep::mutex.
    bool asleep = false;
    /// Whether it was woken with fewer CPUs than `allowed`, to be given back.
    bool keptAway = false;
    cpu_set_t allowed = {};
  };

  void run(int64_t count, int64_t grain, Call call, void *context);
  /// Chunks of the thread's own part, then of those of the threads after it.
  void work(int thread);
  void wakeSleepers();
  void workerLoop(Worker &self);
  void awaitWork(Worker &self, uint64_t lastLoop);
  static bool hasWork(uint64_t seen, uint64_t lastLoop);
  static void *enterWorker(void *self);

  /// What is left of a thread's part of the loop.
  struct alignas(64) Part {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };

  /// A list, since workers hold on to their entries.
  std::list<Worker> workers;
  /// The generation of processes that has the workers; see ThreadPool.cpp.
  int madeIn;

  // The loop in progress; written while no worker is inside it.
  Call call = nullptr;
  void *context = nullptr;
  int64_t chunk = 1;
  std::unique_ptr<Part[]> parts; ///< By thread.

  /// Bit 0: the loop takes workers. Bits 1 to 31: workers inside. The rest:
  /// number of the loop.
  alignas(64) std::atomic<uint64_t> state{0};
  alignas(64) std::atomic<bool> busy{false};
  std::atomic<int> sleepers{0};
  std::atomic<bool> stopping{false};

  /// Where workers sleep. By pointer, since a forked process must leave its
  /// parent's as it is: destroying a condition waits for those who wait on it,
  /// and they are not in that process.
  struct Sleep {
    std::mutex mutex;
    std::condition_variable wake;
  };
  std::unique_ptr<Sleep> sleep = std::make_unique<Sleep>();
};

} // namespace tessera::rt

#endif // TESSERA_RT_THREADPOOL_H
