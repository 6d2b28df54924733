// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Ranks of one process, each meant to be driven by a thread of its own: what a
// communicator between processes does, without processes.
#ifndef TESSERA_TEST_RUNTIME_RANKSINTHREADS_H
#define TESSERA_TEST_RUNTIME_RANKSINTHREADS_H

#include "tessera-rt/Registry.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>

namespace tessera::test {

/// Device d is local on rank d % numRanks. Each collective waits for the ranks
/// that take part in it; the last to come does it, with the buffers of all
/// devices, in process.
class RanksInThreads {
public:
  explicit RanksInThreads(int numRanks) : ranks(numRanks) {}

  int numRanks() const { return ranks; }
  rt::Result<std::unique_ptr<rt::Communicator>>
  create(int rank, const rt::CommunicatorOptions &options) {
    return std::unique_ptr<rt::Communicator>(
        std::make_unique<End>(*this, rank, options));
  }

private:
  class End final : public rt::Communicator {
  public:
    End(RanksInThreads &shared, int myRank,
        const rt::CommunicatorOptions &options)
        : shared(shared), myRank(myRank), options(options) {
      for (int32_t d = myRank; d < options.numDevices; d += shared.ranks)
        local.push_back(d);
    }

    const char *name() const override { return "ranks-in-threads"; }
    int rank() const override { return myRank; }
    int numRanks() const override { return shared.ranks; }
    const std::vector<int32_t> &localDevices() const override { return local; }
    bool reaches(const rt::Device &device) const override {
      return device.usesHostMemory();
    }
    rt::Status run(const rt::Collective &collective,
                   const rt::CollectiveBuffers &buffers) override {
      return shared.meet(collective, local, buffers, options);
    }

  private:
    RanksInThreads &shared;
    int myRank;
    rt::CommunicatorOptions options;
    std::vector<int32_t> local;
  };

  rt::Status meet(const rt::Collective &collective,
                  const std::vector<int32_t> &local,
                  const rt::CollectiveBuffers &buffers,
                  const rt::CommunicatorOptions &options) {
    std::set<int> taking;
    for (const std::vector<int32_t> &group : collective.groups)
      for (int32_t device : group)
        taking.insert(device % ranks);
    for (size_t d = 0; d < collective.targets.size(); ++d)
      if (collective.targets[d] >= 0)
        taking.insert(static_cast<int>(d) % ranks);

    std::unique_lock<std::mutex> lock(mutex);
    Meeting &meeting = meetings[taking];
    meeting.inputs.resize(options.numDevices);
    meeting.outputs.resize(options.numDevices);
    for (size_t i = 0; i < local.size(); ++i) {
      meeting.inputs[local[i]] = buffers.inputs[i];
      meeting.outputs[local[i]] = buffers.outputs[i];
    }
    int64_t turn = meeting.turns;
    if (++meeting.arrived < taking.size()) {
      if (!changed.wait_for(lock, std::chrono::milliseconds(options.timeoutMs),
                            [&] { return meeting.turns != turn; }))
        return rt::Status::error("a rank did not come");
      return rt::Status::success();
    }
    auto whole = rt::createCommunicator("inprocess", options);
    rt::CollectiveBuffers all;
    all.inputs = meeting.inputs.data();
    all.outputs = meeting.outputs.data();
    rt::Status status = (*whole)->run(collective, all);
    meeting.arrived = 0;
    ++meeting.turns;
    changed.notify_all();
    return status;
  }

  struct Meeting {
    std::vector<const void *> inputs;
    std::vector<void *> outputs;
    size_t arrived = 0;
    int64_t turns = 0;
  };

  int ranks;
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::set<int>, Meeting> meetings; ///< By the ranks that meet.
};

} // namespace tessera::test

#endif // TESSERA_TEST_RUNTIME_RANKSINTHREADS_H
