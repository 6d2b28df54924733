// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A mesh whose devices belong to several ranks: each executable drives its own.
#include "test/runtime/PlanBuilder.h"
#include "test/runtime/RanksInThreads.h"

#include <gtest/gtest.h>

#include <thread>

namespace tessera {
using namespace rt;
using namespace test;
namespace {

TEST(RanksTest, EachRankRunsItsDevicesAndHoldsTheirShards) {
  // sum = all_reduce(x), x cut over 4 devices of 2 ranks.
  PlanBuilder builder(4);
  int32_t x = builder.addInput(abi::DType::I32, {4, 2}, 0);
  int32_t sum = builder.addOutput(abi::DType::I32, {1, 2});
  int32_t number = builder.addOutput(abi::DType::I32, {4}, 0);
  builder.addCollective(abi::StepKind::AllReduce, x, sum, abi::DType::I32,
                        {1, 2}, {1, 2});
  builder.addStep(abi::StepKind::DeviceValue, {number}).digits = {
      builder.allDevices()};

  RanksInThreads ranks(2);
  std::vector<int32_t> in = countUp<int32_t>(8);
  std::vector<std::thread> processes;
  for (int rank = 0; rank < 2; ++rank)
    processes.emplace_back([&, rank] {
      ExecutableOptions options;
      options.makeCommunicator = [&, rank](const CommunicatorOptions &given) {
        return ranks.create(rank, given);
      };
      auto created = Executable::create(builder.artefact, options);
      ASSERT_TRUE(created.ok()) << created.status().message();
      Executable &program = **created;
      Executable::Input input;
      input.data = in.data();
      Executable::Output outputs[2];
      Status status = program.run(&input, outputs);
      ASSERT_TRUE(status.ok()) << status.message();
      EXPECT_EQ(program.report().collectives, 1);
      ASSERT_EQ(outputs[1].placed->addresses.size(), 2u);
      for (int i = 0; i < 2; ++i) {
        int device = rank + 2 * i;
        EXPECT_EQ(outputs[1].placed->placement->shards[i].device, device);
        auto read = [&](size_t output) {
          return static_cast<int32_t *>(outputs[output].placed->addresses[i]);
        };
        EXPECT_EQ(read(0)[0], 1 + 3 + 5 + 7);
        EXPECT_EQ(read(1)[0], device);
      }
      // The sum is on every rank; the numbers are not.
      int32_t whole[4];
      EXPECT_TRUE(outputs[0].placed->join(whole).ok());
      EXPECT_NE(outputs[1].placed->join(whole).message().find(
                    "other processes hold parts"),
                std::string::npos);
    });
  for (std::thread &process : processes)
    process.join();
}

} // namespace
} // namespace tessera
