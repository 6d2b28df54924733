// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Runs the threads of one CUDA block, one fiber each, and checks what they do:
// barriers that some thread never reaches, races on shared memory and on the
// kernel's results, reads of shared memory that nobody wrote, accesses outside
// the kernel's buffers.
#ifndef TESSERA_RUNTIME_DEVICES_EMULATED_BLOCKEMULATOR_H
#define TESSERA_RUNTIME_DEVICES_EMULATED_BLOCKEMULATOR_H

#include "Fiber.h"
#include "WarpAccesses.h"
#include "tessera-rt/ThreadPool.h"
#include "tessera/ABI/EmulatorABI.h"
#include "tessera/ABI/KernelABI.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace tessera::emulated {

/// A kernel argument: the memory that the kernel may touch.
struct BufferRange {
  char *begin = nullptr;
  int64_t bytes = 0;
  bool writable = false;
};

/// In which order ready threads run. A race that one order hides, another
/// shows in the results; the access checks find it in any order.
enum class ThreadOrder { Forward, Reverse, Random };

struct EmulatedLaunch {
  std::string name; ///< For messages.
  abi::EmulatedKernel kernel = nullptr;
  int64_t grid[3] = {1, 1, 1};
  int32_t threads = 1;     ///< Per block, along x.
  int64_t sharedBytes = 0; ///< Per block.
  std::vector<BufferRange> buffers;
  ThreadOrder order = ThreadOrder::Forward;
  uint64_t seed = 0;
  /// Where what the accesses cost is added, by argument; null: not counted.
  rt::KernelTraffic *traffic = nullptr;
};

/// Who last wrote each 4-byte word of the writable buffers of one launch. The
/// blocks of a launch run in no order, so that a word which one block wrote is
/// no other block's; within a block a barrier hands it over. Blocks on several
/// OS threads share it.
class GlobalShadow {
public:
  explicit GlobalShadow(const EmulatedLaunch &launch);

  struct Writer {
    int64_t block = -1; ///< Linear index; negative where nobody wrote.
    int32_t thread = 0;
    uint32_t epoch = 0;
  };
  /// The last writer of word `word` of buffer `buffer`.
  Writer lastWriter(size_t buffer, int64_t word) const;
  /// Notes `writer` and returns the one before.
  Writer write(size_t buffer, int64_t word, const Writer &writer);

private:
  using Words = std::unique_ptr<std::atomic<uint64_t>[]>;
  std::vector<Words> words; ///< Null for buffers that are read only.
};

/// Emulates blocks one after another on the calling OS thread.
class BlockEmulator {
public:
  BlockEmulator(const EmulatedLaunch &launch, GlobalShadow &globals);

  /// Runs the block with linear index `block` (x fastest). False on the first
  /// fault; error() then says what, which block and which thread.
  bool run(int64_t block);
  const std::string &error() const { return errorText; }
  /// Of all blocks so far, where the launch asks for it.
  const rt::KernelTraffic &getTraffic() const { return traffic; }

  /// The table that kernels call through.
  static const TesseraEmuTable &table();

  // What the table's entries do for the running thread.
  int32_t readRegister(int32_t which) const;
  void barrier(int32_t id, int32_t count);
  void syncWarp(int32_t mask);
  int32_t shuffle(int32_t kind, int32_t mask, int32_t value, int32_t offset,
                  int32_t clamp);
  void *sharedMemory() { return shared; }
  void checkAccess(const void *address, int64_t bytes, int32_t flags);
  void noteAccess(const void *address, int64_t bytes, int32_t flags,
                  int32_t site, int32_t turn);
  void multiply(int32_t elementType, TesseraEmuFragments *fragments);

private:
  static constexpr int warpSize = TESSERA_EMU_WARP_SIZE;
  static constexpr int numBarriers = 16; ///< That PTX gives a block.

  enum class State { Ready, AtBarrier, AtShuffle, AtWarpSync, AtProduct, Done };

  struct Thread {
    FiberContext context;
    State state = State::Done;
    int32_t barrierId = 0;
    uint32_t waitMask = 0; ///< Lanes it waits for at a shuffle or warp sync.
    int32_t kind = 0, value = 0, offset = 0, clamp = 0, result = 0;
    uint32_t warpSyncs = 0; ///< Warp syncs passed in this block.
    TesseraEmuFragments *fragments = nullptr; ///< At a product.
  };

  struct Barrier {
    int32_t arrived = 0;
    int32_t expected = 0;
  };

  /// Last accesses of a 4-byte word of shared memory. Epochs count the block's
  /// barriers from 1; 0 means never.
  struct Shadow {
    uint32_t writeEpoch = 0, readEpoch = 0;
    uint32_t writeSyncs = 0, readSyncs = 0;
    int16_t writer = -1, reader = -1;
    bool manyReaders = false;
  };

  static void enterThread(void *self);
  void suspend();
  void stopIfFailed();
  /// Notes the first fault; the running thread ends with the call it made.
  void fault(const std::string &what);
  std::string describeWaiting() const;
  bool isOrdered(int other, uint32_t otherSyncs) const;
  void checkShared(int64_t offset, int64_t bytes, bool isWrite);
  void checkGlobalRace(size_t buffer, int64_t offset, int64_t bytes,
                       bool isWrite);
  /// The argument whose memory an access is to.
  std::optional<size_t> argumentOf(const char *begin, int64_t bytes,
                                   bool isWrite) const;
  void countAccesses();
  std::string where(int32_t thread) const;
  bool lanesArrived(int32_t thread, State state) const;
  void finishShuffle(int32_t thread);
  void permute(std::vector<int32_t> &order);

  const EmulatedLaunch &launch;
  GlobalShadow &globals;
  int64_t linearBlock = 0;
  std::vector<void *> args;
  FiberStacks stacks;
  std::vector<Thread> threads;
  std::vector<Barrier> barriers;
  std::vector<char> sharedStorage;
  std::vector<Shadow> shadow;
  char *shared = nullptr;
  FiberContext scheduler;
  int32_t running = 0;
  int64_t blockIndex[3] = {0, 0, 0};
  uint32_t epoch = 1;
  bool failed = false;
  std::string errorText;
  std::mt19937_64 random;
  std::vector<std::vector<ThreadAccess>> accesses; ///< By thread.
  rt::KernelTraffic traffic;
};

/// Runs all blocks of `launch` on the threads of `pool`. Empty when all went
/// well, else the first fault.
std::string runEmulated(const EmulatedLaunch &launch, rt::ThreadPool &pool);

} // namespace tessera::emulated

#endif // TESSERA_RUNTIME_DEVICES_EMULATED_BLOCKEMULATOR_H
