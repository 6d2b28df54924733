// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Meshes that are larger than the machine, on any number of threads.
#include "test/runtime/PlanBuilder.h"

#include <gtest/gtest.h>

#include <chrono>

namespace tessera {
using namespace rt;
using namespace test;
namespace {

constexpr int64_t columns = 1024;
constexpr int rounds = 8;

/// Eight times: adds one on every device, gathers, cuts and sums over all. Its
/// input is cut over the devices, its output is the same on all of them.
abi::Artefact manySteps(int devices) {
  PlanBuilder builder(devices);
  int32_t x = builder.addInput(abi::DType::F32, {devices, columns}, 0);
  int32_t y = builder.addOutput(abi::DType::F32, {1, columns});
  Shape part = {1, columns}, whole = {devices, columns};
  int32_t local = builder.addArena(columns * 4);
  int32_t all = builder.addArena(devices * columns * 4);
  int32_t from = x;
  for (int round = 0; round < rounds; ++round) {
    builder.launchAddOne(from, local, columns);
    builder.addCollective(abi::StepKind::AllGather, local, all, abi::DType::F32,
                          part, whole);
    builder.addCollective(abi::StepKind::AllSlice, all, local, abi::DType::F32,
                          whole, part);
    from = local;
  }
  builder.addCollective(abi::StepKind::AllReduce, local, y, abi::DType::F32,
                        part, part);
  return builder.artefact;
}

/// Of the artefact's output, for inputs that count up.
std::vector<float> expectedSums(int devices) {
  std::vector<float> sums(columns, 0);
  for (int device = 0; device < devices; ++device)
    for (int64_t i = 0; i < columns; ++i)
      sums[i] += static_cast<float>(device * columns + i + 1 + rounds);
  return sums;
}

class ManyDevicesTest : public ::testing::TestWithParam<int> {};

TEST_P(ManyDevicesTest, ResultsDependOnNoNumberOfThreads) {
  abi::Artefact artefact = manySteps(GetParam());
  std::vector<float> input = countUp<float>(GetParam() * columns), output;
  for (int threads : {1, 2, 3, 7, 40}) {
    ExecutableOptions options;
    options.threads = threads;
    Status status = runOnce(artefact, options, input, output);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(output, expectedSums(GetParam())) << threads << " threads";
  }
}

TEST_P(ManyDevicesTest, MoreThreadsThanCoresDoNotStandStill) {
  abi::Artefact artefact = manySteps(GetParam());
  ExecutableOptions options;
  options.threads = 40;
  auto executable = Executable::create(artefact, options);
  ASSERT_TRUE(executable.ok()) << executable.status().message();
  std::vector<float> input = countUp<float>(GetParam() * columns);
  std::vector<float> output(columns);
  Executable::Input in;
  in.data = input.data();
  void *out = output.data();
  auto begin = std::chrono::steady_clock::now();
  for (int run = 0; run < 20; ++run)
    ASSERT_TRUE((*executable)->run(&in, &out).ok());
  // A run is some microseconds of work a step. A thread that waited for others
  // to be scheduled would take milliseconds a step, 400 steps and more in all.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  EXPECT_EQ(output, expectedSums(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Sizes, ManyDevicesTest, ::testing::Values(3, 8, 16),
                         ::testing::PrintToStringParamName());

} // namespace
} // namespace tessera
