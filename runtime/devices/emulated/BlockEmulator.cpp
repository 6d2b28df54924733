// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "BlockEmulator.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <numeric>
#include <thread>

namespace tessera::emulated {

namespace {

constexpr size_t stackBytes = 64 * 1024;
constexpr size_t sharedAlignment = 1024;
constexpr int warpSize = TESSERA_EMU_WARP_SIZE;
constexpr int numBarriers = 16;

// The block whose thread runs on this OS thread. A small variable of the
// initial-exec model: read at every memory access of every emulated thread.
__attribute__((tls_model("initial-exec"))) thread_local BlockEmulator *current =
    nullptr;

} // namespace

GlobalShadow::GlobalShadow(const EmulatedLaunch &launch) {
  for (const BufferRange &buffer : launch.buffers)
    words.push_back(
        buffer.writable
            ? Words(new std::atomic<uint64_t>[(buffer.bytes + 3) / 4]())
            : nullptr);
}

// A word holds block + 1 in 32 bits, the epoch's low 22 bits, the thread in 10.
static uint64_t pack(const GlobalShadow::Writer &writer) {
  return static_cast<uint64_t>(writer.block + 1) << 32 |
         static_cast<uint32_t>(writer.epoch << 10 | writer.thread);
}

static GlobalShadow::Writer unpack(uint64_t bits) {
  auto low = static_cast<uint32_t>(bits);
  return {static_cast<int64_t>(bits >> 32) - 1,
          static_cast<int32_t>(low & 0x3ff), low >> 10};
}

GlobalShadow::Writer GlobalShadow::lastWriter(size_t buffer,
                                              int64_t word) const {
  return unpack(words[buffer][word].load(std::memory_order_relaxed));
}

GlobalShadow::Writer GlobalShadow::write(size_t buffer, int64_t word,
                                         const Writer &writer) {
  return unpack(
      words[buffer][word].exchange(pack(writer), std::memory_order_relaxed));
}

BlockEmulator::BlockEmulator(const EmulatedLaunch &launch,
                             GlobalShadow &globals)
    : launch(launch), globals(globals), stacks(launch.threads, stackBytes),
      threads(launch.threads), barriers(numBarriers),
      sharedStorage(launch.sharedBytes + sharedAlignment),
      shadow((launch.sharedBytes + 3) / 4), random(launch.seed) {
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
  emulator->suspend();
}

/// Gives control back to the scheduler. A block that has failed is never
/// resumed: its fibers are simply left where they stand.
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
  if (!failed) {
    failed = true;
    errorText = where(running) + what;
  }
  suspend();
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
                 enterThread, this);
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
  return !failed;
}

std::string BlockEmulator::describeWaiting() const {
  int done = 0, barrier = 0, warp = 0, firstWaiting = -1;
  for (size_t t = 0; t < threads.size(); ++t) {
    State state = threads[t].state;
    done += state == State::Done;
    barrier += state == State::AtBarrier;
    warp += state == State::AtShuffle || state == State::AtWarpSync;
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

void BlockEmulator::barrier(int32_t id, int32_t count) {
  if (id < 0 || id >= numBarriers)
    return fault("barrier " + std::to_string(id) + " does not exist (0 to 15)");
  int32_t expected = count < 0 ? launch.threads : count;
  Barrier &barrier = barriers[id];
  if (barrier.arrived && barrier.expected != expected)
    return fault("barrier " + std::to_string(id) + " expects " +
                 std::to_string(expected) + " threads here and " +
                 std::to_string(barrier.expected) + " elsewhere");
  barrier.expected = expected;
  threads[running].barrierId = id;
  if (++barrier.arrived < expected) {
    threads[running].state = State::AtBarrier;
    return suspend();
  }
  barrier.arrived = 0;
  for (Thread &thread : threads)
    if (thread.state == State::AtBarrier && thread.barrierId == id)
      thread.state = State::Ready;
  // A barrier of a part of the block orders less than this says, so races
  // across it can be missed, never invented.
  ++epoch;
}

bool BlockEmulator::lanesArrived(int32_t thread, State state) const {
  int32_t first = thread / warpSize * warpSize;
  for (int lane = 0; lane < warpSize; ++lane) {
    if (!(threads[thread].waitMask >> lane & 1))
      continue;
    size_t other = first + lane;
    if (other >= threads.size())
      continue;
    if (threads[other].state != state ||
        threads[other].waitMask != threads[thread].waitMask)
      return false;
  }
  return true;
}

void BlockEmulator::syncWarp(int32_t mask) {
  Thread &self = threads[running];
  self.waitMask = static_cast<uint32_t>(mask);
  if (!(self.waitMask >> (running % warpSize) & 1))
    return fault("a warp sync whose mask leaves out the calling lane");
  self.state = State::AtWarpSync;
  if (!lanesArrived(running, State::AtWarpSync))
    return suspend();
  int32_t first = running / warpSize * warpSize;
  for (int lane = 0; lane < warpSize; ++lane)
    if (self.waitMask >> lane & 1 && size_t(first + lane) < threads.size()) {
      threads[first + lane].state = State::Ready;
      ++threads[first + lane].warpSyncs;
    }
}

/// Gives each lane its value once all lanes of the mask have arrived. PTX ISA,
/// shfl.sync: `clamp` holds the bound in bits 0-4 and the segment mask in bits
/// 8-12; a lane whose source is outside its segment keeps its own value.
void BlockEmulator::finishShuffle(int32_t thread) {
  uint32_t mask = threads[thread].waitMask;
  int32_t first = thread / warpSize * warpSize;
  for (int lane = 0; lane < warpSize; ++lane) {
    if (!(mask >> lane & 1) || size_t(first + lane) >= threads.size())
      continue;
    Thread &self = threads[first + lane];
    int bound = self.clamp & 0x1f, segment = self.clamp >> 8 & 0x1f;
    int maxLane = (lane & segment) | (bound & ~segment);
    int minLane = lane & segment;
    int source = lane;
    bool valid = true;
    switch (self.kind) {
    case TESSERA_EMU_SHUFFLE_UP:
      source = lane - self.offset;
      valid = source >= maxLane;
      break;
    case TESSERA_EMU_SHUFFLE_DOWN:
      source = lane + self.offset;
      valid = source <= maxLane;
      break;
    case TESSERA_EMU_SHUFFLE_BFLY:
      source = lane ^ self.offset;
      valid = source <= maxLane;
      break;
    default:
      source = minLane | (self.offset & ~segment & 0x1f);
      valid = source <= maxLane;
      break;
    }
    if (!valid)
      source = lane;
    bool present =
        mask >> source & 1 && size_t(first + source) < threads.size();
    if (!present) {
      failed = true;
      errorText = where(first + lane) + "shuffle reads lane " +
                  std::to_string(source) + ", which does not take part";
      return;
    }
    self.result = threads[first + source].value;
  }
  for (int lane = 0; lane < warpSize; ++lane)
    if (mask >> lane & 1 && size_t(first + lane) < threads.size())
      threads[first + lane].state = State::Ready;
}

int32_t BlockEmulator::shuffle(int32_t kind, int32_t mask, int32_t value,
                               int32_t offset, int32_t clamp) {
  int32_t self = running;
  Thread &thread = threads[self];
  thread.kind = kind;
  thread.value = value;
  thread.offset = offset;
  thread.clamp = clamp;
  thread.waitMask = static_cast<uint32_t>(mask);
  if (!(thread.waitMask >> (self % warpSize) & 1)) {
    fault("a shuffle whose mask leaves out the calling lane");
    return value;
  }
  thread.state = State::AtShuffle;
  if (lanesArrived(self, State::AtShuffle))
    finishShuffle(self);
  if (failed || thread.state == State::AtShuffle)
    suspend();
  return thread.result;
}

/// Whether an access by thread `other`, made after `otherSyncs` warp syncs, is
/// ordered before the running thread's next one within the same epoch.
bool BlockEmulator::isOrdered(int other, uint32_t otherSyncs) const {
  return other == running || (other / warpSize == running / warpSize &&
                              otherSyncs < threads[running].warpSyncs);
}

void BlockEmulator::checkShared(int64_t offset, int64_t bytes, bool isWrite) {
  if (offset < 0 || offset + bytes > launch.sharedBytes)
    return fault("access of " + std::to_string(bytes) +
                 " bytes at shared memory offset " + std::to_string(offset) +
                 ", outside its " + std::to_string(launch.sharedBytes) +
                 " bytes");
  uint32_t syncs = threads[running].warpSyncs;
  for (int64_t word = offset / 4; word <= (offset + bytes - 1) / 4; ++word) {
    Shadow &last = shadow[word];
    auto race = [&](const char *kind, int other) {
      fault(std::string("race on shared memory offset ") +
            std::to_string(word * 4) + ": " + kind + " thread " +
            std::to_string(other) + " with no barrier between");
    };
    bool writtenNow = last.writeEpoch == epoch;
    if (!isWrite) {
      if (last.writeEpoch == 0)
        return fault("reads shared memory offset " + std::to_string(word * 4) +
                     ", which nothing has written");
      if (writtenNow && !isOrdered(last.writer, last.writeSyncs))
        return race("read after a write by", last.writer);
      if (last.readEpoch == epoch && last.reader != running)
        last.manyReaders = true;
      else
        last.manyReaders = false;
      last.reader = static_cast<int16_t>(running);
      last.readEpoch = epoch;
      last.readSyncs = syncs;
      continue;
    }
    // Sub-word elements of one word may belong to different threads: only
    // accesses of whole words are held against each other.
    if (bytes >= 4) {
      if (writtenNow && !isOrdered(last.writer, last.writeSyncs))
        return race("write after a write by", last.writer);
      if (last.readEpoch == epoch &&
          (last.manyReaders || !isOrdered(last.reader, last.readSyncs)) &&
          !(last.manyReaders && syncs > last.readSyncs))
        return race("write after a read by", last.reader);
    }
    last.writer = static_cast<int16_t>(running);
    last.writeEpoch = epoch;
    last.writeSyncs = syncs;
  }
}

void BlockEmulator::checkGlobalRace(size_t buffer, int64_t offset,
                                    int64_t bytes, bool isWrite) {
  // As for shared memory, elements smaller than a word are not told apart.
  if (bytes < 4 || offset % 4 != 0)
    return;
  GlobalShadow::Writer self = {linearBlock, running, epoch};
  for (int64_t word = offset / 4; word < (offset + bytes) / 4; ++word) {
    GlobalShadow::Writer last = isWrite ? globals.write(buffer, word, self)
                                        : globals.lastWriter(buffer, word);
    if (last.block < 0 || (last.block == linearBlock && last.thread == running))
      continue;
    bool isOtherBlock = last.block != linearBlock;
    if (!isOtherBlock && last.epoch != (epoch & 0x3fffff))
      continue;
    return fault(std::string("race on offset ") + std::to_string(word * 4) +
                 " of argument " + std::to_string(buffer) + ": " +
                 (isWrite ? "write" : "read") + " after a write by thread " +
                 std::to_string(last.thread) +
                 (isOtherBlock ? " of block " + std::to_string(last.block)
                               : " with no barrier between"));
  }
}

void BlockEmulator::checkAccess(const void *address, int64_t bytes,
                                int32_t flags) {
  auto *begin = static_cast<const char *>(address);
  bool isWrite = flags & TESSERA_EMU_ACCESS_WRITE;
  if (flags & TESSERA_EMU_ACCESS_SHARED)
    return checkShared(begin - shared, bytes, isWrite);
  for (size_t i = 0; i < launch.buffers.size(); ++i) {
    const BufferRange &buffer = launch.buffers[i];
    if (begin < buffer.begin || begin + bytes > buffer.begin + buffer.bytes)
      continue;
    if (isWrite && !buffer.writable)
      continue; // Two arguments may share memory; another may be writable.
    if (buffer.writable)
      checkGlobalRace(i, begin - buffer.begin, bytes, isWrite);
    if (reinterpret_cast<uintptr_t>(address) % std::min<int64_t>(bytes, 16))
      return fault("misaligned access of " + std::to_string(bytes) + " bytes");
    return;
  }
  // Name the argument whose memory is nearest: the one that was meant.
  size_t nearest = launch.buffers.size();
  int64_t least = 65536;
  for (size_t i = 0; i < launch.buffers.size(); ++i) {
    const BufferRange &buffer = launch.buffers[i];
    int64_t distance =
        std::max<int64_t>({0, buffer.begin - begin,
                           begin + bytes - (buffer.begin + buffer.bytes)});
    if (distance < least) {
      least = distance;
      nearest = i;
    }
  }
  if (nearest < launch.buffers.size()) {
    const BufferRange &buffer = launch.buffers[nearest];
    return fault(std::string(isWrite ? "write" : "read") + " of " +
                 std::to_string(bytes) + " bytes at offset " +
                 std::to_string(begin - buffer.begin) + " of argument " +
                 std::to_string(nearest) + ", which has " +
                 std::to_string(buffer.bytes) + " bytes and is " +
                 (buffer.writable ? "writable" : "read only"));
  }
  fault(std::string(isWrite ? "write" : "read") + " of " +
        std::to_string(bytes) + " bytes outside all arguments");
}

const TesseraEmuTable &BlockEmulator::table() {
  static const TesseraEmuTable entries = {
      TESSERA_EMU_TABLE_VERSION,
      [](int32_t which) { return current->readRegister(which); },
      [](int32_t id, int32_t count) { current->barrier(id, count); },
      [](int32_t mask) { current->syncWarp(mask); },
      [](int32_t kind, int32_t mask, int32_t value, int32_t offset,
         int32_t clamp) {
        return current->shuffle(kind, mask, value, offset, clamp);
      },
      [] { return current->sharedMemory(); },
      [](const void *address, int64_t bytes, int32_t flags) {
        current->checkAccess(address, bytes, flags);
      }};
  return entries;
}

std::string runEmulated(const EmulatedLaunch &launch, int workers) {
  int64_t numBlocks = launch.grid[0] * launch.grid[1] * launch.grid[2];
  std::atomic<int64_t> next{0};
  std::mutex mutex;
  std::string firstError;
  GlobalShadow globals(launch);
  auto work = [&] {
    BlockEmulator emulator(launch, globals);
    for (int64_t block; (block = next.fetch_add(1)) < numBlocks;) {
      if (emulator.run(block))
        continue;
      std::lock_guard<std::mutex> lock(mutex);
      if (firstError.empty())
        firstError = emulator.error();
      next = numBlocks;
    }
  };
  std::vector<std::thread> pool;
  for (int i = 1; i < workers && i < numBlocks; ++i)
    pool.emplace_back(work);
  work();
  for (std::thread &thread : pool)
    thread.join();
  return firstError;
}

} // namespace tessera::emulated
