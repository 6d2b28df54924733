// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// How the threads of a block wait for one another: barriers, warp syncs,
// shuffles and products of warps.
#include "BlockEmulator.h"
#include "WarpProduct.h"

namespace tessera::emulated {

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
  thread.offset = offset & 0x1f; // PTX reads five bits.
  thread.clamp = clamp;
  thread.waitMask = static_cast<uint32_t>(mask);
  if (!(thread.waitMask >> (self % warpSize) & 1)) {
    fault("a shuffle whose mask leaves out the calling lane");
    return value;
  }
  thread.state = State::AtShuffle;
  if (lanesArrived(self, State::AtShuffle))
    finishShuffle(self);
  if (thread.state == State::AtShuffle)
    suspend();
  return thread.result;
}

void BlockEmulator::multiply(int32_t elementType,
                             TesseraEmuFragments *fragments) {
  int32_t self = running, first = self / warpSize * warpSize;
  if (size_t(first + warpSize) > threads.size())
    return fault("a product by a warp of fewer than 32 threads");
  Thread &thread = threads[self];
  thread.kind = elementType;
  thread.fragments = fragments;
  thread.waitMask = ~uint32_t(0);
  thread.state = State::AtProduct;
  if (!lanesArrived(self, State::AtProduct))
    return suspend();
  WarpFragments lanes;
  for (int lane = 0; lane < warpSize; ++lane) {
    if (threads[first + lane].kind != elementType)
      return fault("a product whose lanes disagree about the element type");
    lanes[lane] = threads[first + lane].fragments;
    threads[first + lane].state = State::Ready;
  }
  multiplyFragments(static_cast<TesseraEmuElement>(elementType), lanes);
}

} // namespace tessera::emulated
