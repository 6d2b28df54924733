// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Bounds, and races between threads, of every access to memory.
#include "BlockEmulator.h"

#include <algorithm>

namespace tessera::emulated {

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

std::optional<size_t> BlockEmulator::argumentOf(const char *begin,
                                                int64_t bytes,
                                                bool isWrite) const {
  for (size_t i = 0; i < launch.buffers.size(); ++i) {
    const BufferRange &buffer = launch.buffers[i];
    if (begin < buffer.begin || begin + bytes > buffer.begin + buffer.bytes)
      continue;
    if (isWrite && !buffer.writable)
      continue; // Two arguments may share memory; another may be writable.
    return i;
  }
  return std::nullopt;
}

void BlockEmulator::noteAccess(const void *address, int64_t bytes,
                               int32_t flags, int32_t site, int32_t turn) {
  if (failed)
    return;
  auto *begin = static_cast<const char *>(address);
  bool isWrite = flags & TESSERA_EMU_ACCESS_WRITE;
  std::optional<size_t> argument = argumentOf(begin, bytes, isWrite);
  if (argument)
    accesses[running].push_back(
        {site, turn, static_cast<int32_t>(*argument), isWrite,
         begin - launch.buffers[*argument].begin, bytes});
}

void BlockEmulator::countAccesses() {
  for (size_t first = 0; first < accesses.size(); first += warpSize) {
    auto begin = accesses.begin() + first;
    auto end =
        accesses.begin() + std::min<size_t>(first + warpSize, accesses.size());
    countWarp({begin, end}, traffic);
    for (; begin != end; ++begin)
      begin->clear();
  }
}

void BlockEmulator::checkAccess(const void *address, int64_t bytes,
                                int32_t flags) {
  auto *begin = static_cast<const char *>(address);
  bool isWrite = flags & TESSERA_EMU_ACCESS_WRITE;
  if (flags & TESSERA_EMU_ACCESS_SHARED)
    return checkShared(begin - shared, bytes, isWrite);
  if (std::optional<size_t> found = argumentOf(begin, bytes, isWrite)) {
    const BufferRange &buffer = launch.buffers[*found];
    if (buffer.writable)
      checkGlobalRace(*found, begin - buffer.begin, bytes, isWrite);
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

} // namespace tessera::emulated
