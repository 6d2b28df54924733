// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The scheduler of a block's threads. ThreadExchange.cpp has what they do to
// one another, AccessChecks.cpp what they do to memory.
#include "BlockEmulator.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <numeric>

namespace tessera::emulated {

namespace {

constexpr size_t stackBytes = 64 * 1024;
constexpr size_t sharedAlignment = 1024;

// The block whose thread runs on this OS thread. A small variable of the
// initial-exec model: read at every memory access of every emulated thread.
__attribute__((tls_model("initial-exec"))) thread_local BlockEmulator *current =
    nullptr;

} // namespace

BlockEmulator::BlockEmulator(const EmulatedLaunch &launch,
                             GlobalShadow &globals)
    : launch(launch), globals(globals), stacks(launch.threads, stackBytes),
      threads(launch.threads), barriers(numBarriers),
      sharedStorage(launch.sharedBytes + sharedAlignment),
      shadow((launch.sharedBytes + 3) / 4), random(launch.seed),
      accesses(launch.traffic ? launch.threads : 0),
      traffic(launch.buffers.size()) {
  auto address = reinterpret_cast<uintptr_t>(sharedStorage.data());
  shared = sharedStorage.data() +
           ((sharedAlignment - address % sharedAlignment) % sharedAlignment);
  for (const BufferRange &buffer : launch.buffers)
    args.push_back(buffer.begin);
}

void BlockEmulator::enterThread(void *self) {
  auto *emulator = static_cast<BlockEmulator *>(self);
  emulator->launch.kernel(emulator->args.data());
  emulator->threads[emulator->running].state = State::Done;
}

/// Gives control back to the scheduler.
void BlockEmulator::suspend() {
  switchFiber(threads[running].context, scheduler);
}

std::string BlockEmulator::where(int32_t thread) const {
  return "kernel '" + launch.name + "', block (" +
         std::to_string(blockIndex[0]) + ", " + std::to_string(blockIndex[1]) +
         ", " + std::to_string(blockIndex[2]) + ")" +
         (thread < 0 ? "" : ", thread " + std::to_string(thread)) + ": ";
}

void BlockEmulator::fault(const std::string &what) {
  if (failed)
    return;
  failed = true;
  errorText = where(running) + what;
}

void BlockEmulator::permute(std::vector<int32_t> &order) {
  switch (launch.order) {
  case ThreadOrder::Forward:
    return;
  case ThreadOrder::Reverse:
    std::reverse(order.begin(), order.end());
    return;
  case ThreadOrder::Random:
    std::shuffle(order.begin(), order.end(), random);
    return;
  }
}

bool BlockEmulator::run(int64_t block) {
  if (!stacks.isValid()) {
    errorText = "kernel '" + launch.name + "': no memory for " +
                std::to_string(launch.threads) + " thread stacks";
    return false;
  }
  linearBlock = block;
  blockIndex[0] = block % launch.grid[0];
  blockIndex[1] = block / launch.grid[0] % launch.grid[1];
  blockIndex[2] = block / (launch.grid[0] * launch.grid[1]);
  // A NaN in every float type, so that what is read before it is written
  // spoils the result even where the checks are off.
  std::memset(shared, 0xff, launch.sharedBytes);
  std::fill(shadow.begin(), shadow.end(), Shadow());
  std::fill(barriers.begin(), barriers.end(), Barrier());
  epoch = 1;
  std::vector<int32_t> order(threads.size());
  std::iota(order.begin(), order.end(), 0);
  for (int32_t t : order) {
    threads[t] = Thread();
    threads[t].state = State::Ready;
    prepareFiber(threads[t].context, stacks.stack(t), stacks.stackBytes(),
                 enterThread, this, scheduler);
  }

  BlockEmulator *outer = current;
  current = this;
  size_t done = 0;
  while (done < threads.size() && !failed) {
    permute(order);
    bool progress = false;
    done = 0;
    for (int32_t t : order) {
      if (threads[t].state == State::Ready) {
        running = t;
        switchFiber(scheduler, threads[t].context);
        progress = true;
        if (failed)
          break;
      }
      done += threads[t].state == State::Done;
    }
    if (!progress && !failed) {
      failed = true;
      errorText = where(-1) + "deadlock: " + describeWaiting();
    }
  }
  current = outer;
  countAccesses();
  return !failed;
}

std::string BlockEmulator::describeWaiting() const {
  int done = 0, barrier = 0, warp = 0, firstWaiting = -1;
  for (size_t t = 0; t < threads.size(); ++t) {
    State state = threads[t].state;
    done += state == State::Done;
    barrier += state == State::AtBarrier;
    warp += state == State::AtShuffle || state == State::AtWarpSync ||
            state == State::AtProduct;
    if (firstWaiting < 0 && state != State::Done)
      firstWaiting = static_cast<int>(t);
  }
  return std::to_string(barrier) + " threads wait at a barrier, " +
         std::to_string(warp) + " at a warp exchange, " + std::to_string(done) +
         " have ended; the first that waits is thread " +
         std::to_string(firstWaiting);
}

int32_t BlockEmulator::readRegister(int32_t which) const {
  switch (which) {
  case TESSERA_EMU_TID_X:
    return running;
  case TESSERA_EMU_NTID_X:
    return launch.threads;
  case TESSERA_EMU_TID_Y:
  case TESSERA_EMU_TID_Z:
    return 0;
  case TESSERA_EMU_NTID_Y:
  case TESSERA_EMU_NTID_Z:
    return 1;
  case TESSERA_EMU_LANEID:
    return running % warpSize;
  default:
    if (which >= TESSERA_EMU_CTAID_X && which <= TESSERA_EMU_CTAID_Z)
      return static_cast<int32_t>(blockIndex[which - TESSERA_EMU_CTAID_X]);
    return static_cast<int32_t>(launch.grid[which - TESSERA_EMU_NCTAID_X]);
  }
}

/// For the entries of the table, when they have nothing to destroy any more:
/// the fibers of a block that has failed stay where they are for good.
void BlockEmulator::stopIfFailed() {
  if (failed)
    suspend();
}

const TesseraEmuTable &BlockEmulator::table() {
  static const TesseraEmuTable entries = {
      TESSERA_EMU_TABLE_VERSION,
      [](int32_t which) { return current->readRegister(which); },
      [](int32_t id, int32_t count) {
        current->barrier(id, count);
        current->stopIfFailed();
      },
      [](int32_t mask) {
        current->syncWarp(mask);
        current->stopIfFailed();
      },
      [](int32_t kind, int32_t mask, int32_t value, int32_t offset,
         int32_t clamp) {
        int32_t result = current->shuffle(kind, mask, value, offset, clamp);
        current->stopIfFailed();
        return result;
      },
      [] { return current->sharedMemory(); },
      [](const void *address, int64_t bytes, int32_t flags) {
        current->checkAccess(address, bytes, flags);
        current->stopIfFailed();
      },
      [](int32_t elementType, TesseraEmuFragments *fragments) {
        current->multiply(elementType, fragments);
        current->stopIfFailed();
      },
      [](const void *address, int64_t bytes, int32_t flags, int32_t site,
         int32_t turn) {
        current->checkAccess(address, bytes, flags);
        if (current->launch.traffic)
          current->noteAccess(address, bytes, flags, site, turn);
        current->stopIfFailed();
      }};
  return entries;
}

std::string runEmulated(const EmulatedLaunch &launch, rt::ThreadPool &pool) {
  int64_t numBlocks = launch.grid[0] * launch.grid[1] * launch.grid[2];
  std::atomic<int64_t> next{0};
  std::mutex mutex;
  std::string firstError;
  GlobalShadow globals(launch);
  // One emulator a thread, made for its first block: its stacks are many pages.
  auto work = [&](int64_t, int64_t) {
    std::unique_ptr<BlockEmulator> emulator;
    for (int64_t block; (block = next.fetch_add(1)) < numBlocks;) {
      if (!emulator)
        emulator = std::make_unique<BlockEmulator>(launch, globals);
      if (emulator->run(block))
        continue;
      std::lock_guard<std::mutex> lock(mutex);
      if (firstError.empty())
        firstError = emulator->error();
      next = numBlocks;
    }
    if (!emulator || !launch.traffic)
      return;
    std::lock_guard<std::mutex> lock(mutex);
    launch.traffic->resize(launch.buffers.size());
    for (size_t i = 0; i < launch.buffers.size(); ++i) {
      (*launch.traffic)[i].loads += emulator->getTraffic()[i].loads;
      (*launch.traffic)[i].stores += emulator->getTraffic()[i].stores;
    }
  };
  pool.parallelFor(std::min<int64_t>(pool.threads(), numBlocks), 1, work);
  return firstError;
}

} // namespace tessera::emulated
