// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Loops, conditionals and tied inputs, which every device must run alike.
#include "tessera-rt/Registry.h"
#include "test/runtime/PlanBuilder.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

namespace tessera {
using namespace rt;
using namespace test;
using abi::DType;
using abi::Step;
using abi::StepKind;
namespace {

class RegionTest : public ::testing::TestWithParam<std::string> {
protected:
  void SetUp() override {
    options.device = GetParam();
    DeviceOptions probe;
    probe.pool = ThreadPool::shared(1);
    Result<std::unique_ptr<Device>> device = createDevice(GetParam(), probe);
    if (!device.ok())
      GTEST_SKIP() << device.status().message();
    if (GetParam() == "cuda" && !hasFakeDriver())
      GTEST_SKIP() << "needs a cubin of the test kernels";
  }
  static bool hasFakeDriver() {
    const char *library = std::getenv("TESSERA_LIBCUDA");
    return library && std::string(library) == TESSERA_TEST_FAKE_CUDA;
  }
  PlanBuilder makeBuilder(int devices) {
    PlanBuilder builder(devices);
    builder.plan.target = GetParam() == "cuda" ? "cuda:sm_90a" : GetParam();
    if (GetParam() == "cuda")
      builder.artefact.objects.push_back(kernelObject(/*emulated=*/false));
    return builder;
  }
  bool runsKernels() const { return GetParam() != "null"; }

  /// One input and one output; expects that the run succeeds.
  std::vector<float> run(const PlanBuilder &builder,
                         const std::vector<float> &input) {
    std::vector<float> output;
    Status status = runOnce(builder.artefact, options, input, output);
    EXPECT_TRUE(status.ok()) << status.message();
    return output;
  }

  ExecutableOptions options;
};

using Floats = std::vector<float>;

TEST_P(RegionTest, WindowsMoveOverSequencesAndStackedResults) {
  for (bool reverse : {false, true}) {
    PlanBuilder builder = makeBuilder(2);
    // Each device has 3 entries of 4 elements.
    int32_t x = builder.addInput(DType::F32, {3, 8}, 1);
    int32_t y = builder.addOutput(DType::F32, {3, 8}, 1);
    int32_t in = builder.addWindow(16), out = builder.addWindow(16);
    Step &loop = builder.addRegions(
        StepKind::Loop, {}, {[&] { builder.launchAddOne(in, out, 4); }});
    loop.count = 3;
    loop.reverse = reverse;
    loop.windows = {{in, x, 16}, {out, y, 16}};
    Floats input = countUp<float>(24), output = run(builder, input);
    for (size_t i = 0; i < input.size() && runsKernels(); ++i)
      EXPECT_EQ(output[i], input[i] + 1);
  }
}

/// The value that is added one to `count` times, in the buffer where a loop
/// leaves it.
TEST_P(RegionTest, CarriedValuesAreExchanged) {
  for (int64_t count : {0, 1, 2, 5}) {
    PlanBuilder builder = makeBuilder(2);
    int32_t x = builder.addInput(DType::F32, {8}, 0);
    int32_t y = builder.addOutput(DType::F32, {8}, 0);
    int32_t other = builder.addArena(16);
    int32_t current = count % 2 ? other : y, next = count % 2 ? y : other;
    builder.addCopy(x, current);
    Step &loop = builder.addRegions(
        StepKind::Loop, {}, {[&] { builder.launchAddOne(current, next, 4); }});
    loop.count = count;
    loop.carries = {{current, next}};
    Floats input = countUp<float>(8), output = run(builder, input);
    for (size_t i = 0; i < input.size() && runsKernels(); ++i)
      EXPECT_EQ(output[i], input[i] + static_cast<float>(count));
  }
}

TEST_P(RegionTest, LoopsNestAndTheirTripsAreCounted) {
  PlanBuilder builder = makeBuilder(1);
  builder.addInput(DType::F32, {4});
  int32_t y = builder.addOutput(DType::I32, {2, 3, 2});
  int32_t i = builder.addArena(4), j = builder.addArena(4);
  int32_t row = builder.addWindow(24), cell = builder.addWindow(8);
  int32_t first = builder.addWindow(4), either = builder.addWindow(4);
  // y[i, j] = (i, j): j goes into both halves of a cell, i into the first.
  Step &outer = builder.addRegions(
      StepKind::Loop, {i}, {[&] {
        Step &inner = builder.addRegions(
            StepKind::Loop, {j}, {[&] {
              Step &both = builder.addRegions(
                  StepKind::Loop, {}, {[&] { builder.addCopy(j, either); }});
              both.count = 2;
              both.windows = {{either, cell, 4}};
              Step &one = builder.addRegions(
                  StepKind::Loop, {}, {[&] { builder.addCopy(i, first); }});
              one.count = 1;
              one.windows = {{first, cell, 0}};
            }});
        inner.count = 3;
        inner.reverse = 1;
        inner.windows = {{cell, row, 8}};
      }});
  outer.count = 2;
  outer.windows = {{row, y, 24}};
  options.profile = true;
  auto executable = Executable::create(builder.artefact, options);
  ASSERT_TRUE(executable.ok()) << executable.status().message();
  std::vector<float> input(4);
  std::vector<int32_t> output(12, -1);
  Executable::Input in;
  in.data = input.data();
  void *out = output.data();
  ASSERT_TRUE((*executable)->run(&in, &out).ok());
  EXPECT_EQ(output, (std::vector<int32_t>{0, 0, 0, 1, 0, 2, 1, 0, 1, 1, 1, 2}));
  std::map<std::string, int64_t> runs;
  for (const StepTime &time : (*executable)->report().steps)
    runs[describeStep((*executable)->plan(), (*executable)->tree(), time.block,
                      time.step)] = time.runs;
  EXPECT_EQ(runs, (std::map<std::string, int64_t>{
                      {"step 0 (loop of 2 iterations)", 1},
                      {"step 0.0 (loop of 3 iterations)", 2},
                      {"step 0.0.0 (loop of 2 iterations)", 6},
                      {"step 0.0.0.0 (copy)", 12},
                      {"step 0.0.1 (loop of 1 iterations)", 6},
                      {"step 0.0.1.0 (copy)", 6}}));
}

TEST_P(RegionTest, WhileRunsUntilItsPredicateIsClear) {
  PlanBuilder builder = makeBuilder(2);
  int32_t x = builder.addInput(DType::F32, {8}, 0);
  int32_t y = builder.addOutput(DType::F32, {8}, 0);
  int32_t next = builder.addArena(16), predicate = builder.addArena(1);
  int32_t flags = builder.addArena(1), more = builder.addArena(1);
  // Two trips: the predicate is `flags`, which the body moves on from `more`.
  auto set = [&](int32_t buffer, char value) {
    builder.addStep(StepKind::Fill, {buffer}).pattern = std::string(1, value);
  };
  builder.addCopy(x, y);
  set(flags, 1);
  set(more, 1);
  Step &repeat = builder.addRegions(StepKind::While, {predicate},
                                    {[&] { builder.addCopy(flags, predicate); },
                                     [&] {
                                       builder.launchAddOne(y, next, 4);
                                       builder.addCopy(more, flags);
                                       set(more, 0);
                                     }});
  repeat.carries = {{y, next}};
  Floats input = countUp<float>(8), output = run(builder, input);
  for (size_t i = 0; i < input.size() && runsKernels(); ++i)
    EXPECT_EQ(output[i], input[i] + 2);
}

TEST_P(RegionTest, AnOddNumberOfTripsLeavesTheValueInTheSamePlace) {
  PlanBuilder builder = makeBuilder(1);
  int32_t x = builder.addInput(DType::F32, {4});
  int32_t y = builder.addOutput(DType::F32, {4});
  int32_t next = builder.addArena(16), predicate = builder.addArena(1);
  builder.addCopy(x, y);
  builder.addStep(StepKind::Fill, {predicate}).pattern = std::string(1, 1);
  Step &repeat = builder.addRegions(
      StepKind::While, {predicate},
      {[] {},
       [&] {
         builder.launchAddOne(y, next, 4);
         builder.addStep(StepKind::Fill, {predicate}).pattern =
             std::string(1, 0);
       }});
  repeat.carries = {{y, next}};
  auto executable = Executable::create(builder.artefact, options);
  ASSERT_TRUE(executable.ok()) << executable.status().message();
  // More than one run: the first leaves nothing moved.
  for (float offset : {0.f, 10.f, 20.f}) {
    Floats input = {1 + offset, 2, 3, 4}, output(4);
    Executable::Input in;
    in.data = input.data();
    void *out = output.data();
    ASSERT_TRUE((*executable)->run(&in, &out).ok());
    for (size_t i = 0; i < input.size() && runsKernels(); ++i)
      EXPECT_EQ(output[i], input[i] + 1);
  }
}

TEST_P(RegionTest, AnIfRunsTheBranchThatIsSelected) {
  for (int32_t selector : {-7, 0, 1, 2, 9}) {
    PlanBuilder builder = makeBuilder(2);
    int32_t x = builder.addInput(DType::F32, {8}, 0);
    int32_t y = builder.addOutput(DType::F32, {8}, 0);
    int32_t index = builder.addArena(4), between = builder.addArena(16);
    builder.addStep(StepKind::Fill, {index}).pattern =
        std::string(reinterpret_cast<const char *>(&selector), 4);
    builder.addRegions(StepKind::If, {index},
                       {[&] { builder.addCopy(x, y); },
                        [&] { builder.launchAddOne(x, y, 4); },
                        [&] {
                          builder.launchAddOne(x, between, 4);
                          builder.launchAddOne(between, y, 4);
                        }});
    Floats input = countUp<float>(8), output = run(builder, input);
    for (size_t i = 0; i < input.size() && runsKernels(); ++i)
      EXPECT_EQ(output[i],
                input[i] + static_cast<float>(std::clamp(selector, 0, 2)));
  }
}

TEST_P(RegionTest, CollectivesInLoopsReachMovedBuffers) {
  PlanBuilder builder = makeBuilder(2);
  int32_t x = builder.addInput(DType::F32, {2, 3}, 0);
  int32_t y = builder.addOutput(DType::F32, {3, 3});
  int32_t current = builder.addArena(12), next = builder.addArena(12);
  int32_t entry = builder.addWindow(12);
  builder.addCopy(x, current);
  Step &loop = builder.addRegions(StepKind::Loop, {}, {[&] {
                                    builder.addCollective(
                                        StepKind::AllReduce, current, next,
                                        DType::F32, {1, 3}, {1, 3});
                                    builder.addCopy(next, entry);
                                  }});
  loop.count = 3;
  loop.windows = {{entry, y, 12}};
  loop.carries = {{current, next}};
  Floats output = run(builder, {1, 2, 3, 10, 20, 30});
  EXPECT_EQ(output, (Floats{11, 22, 33, 22, 44, 66, 44, 88, 132}));
}

TEST_P(RegionTest, StepsWithTokensAreCompleteWhenTheyAreAwaited) {
  PlanBuilder builder = makeBuilder(2);
  int32_t x = builder.addInput(DType::F32, {2, 3}, 0);
  int32_t y = builder.addOutput(DType::F32, {1, 3});
  Step &sum = builder.addCollective(StepKind::AllReduce, x, y, DType::F32,
                                    {1, 3}, {1, 3});
  sum.token = 4;
  sum.stream = 2;
  builder.addStep(StepKind::Await, {}).token = 4;
  EXPECT_EQ(run(builder, {1, 2, 3, 10, 20, 30}), (Floats{11, 22, 33}));
}

/// p + 1 in the memory of p.
void addTiedAddOne(PlanBuilder &builder, int64_t dim) {
  int32_t p = builder.addInput(DType::F32, {2, 8}, dim);
  builder.plan.inputs[0].donated = 1;
  builder.plan.outputs.push_back(
      builder.makeTensor("p", DType::F32, {2, 8}, dim));
  builder.plan.outputs[0].buffer = p;
  builder.plan.outputs[0].tied = 0;
  builder.launchAddOne(p, p, dim < 0 ? 16 : 8);
}

TEST_P(RegionTest, ADonatedTensorHoldsTheResult) {
  for (int64_t dim : {-1, 0, 1}) {
    PlanBuilder builder = makeBuilder(2);
    addTiedAddOne(builder, dim);
    auto executable = Executable::create(builder.artefact, options);
    ASSERT_TRUE(executable.ok()) << executable.status().message();
    EXPECT_EQ((*executable)->plan().arenaBytes, 0);
    Floats p = countUp<float>(16), whole(16, -1);
    auto placed = (*executable)->place(0, p.data());
    ASSERT_TRUE(placed.ok());
    std::unique_ptr<PlacedTensor> state = std::move(*placed);
    std::vector<void *> addresses = state->addresses;
    for (int round = 0; round < 4; ++round) {
      Executable::Input in;
      in.placed = state.get();
      in.donated = true;
      Executable::Output out;
      ASSERT_TRUE((*executable)->run(&in, &out).ok());
      EXPECT_TRUE(out.isInput);
      EXPECT_FALSE(out.placed);
      EXPECT_EQ(state->addresses, addresses);
    }
    ASSERT_TRUE(state->join(whole.data()).ok());
    for (size_t i = 0; i < p.size() && runsKernels(); ++i)
      EXPECT_EQ(whole[i], p[i] + 4);
    EXPECT_EQ(p, countUp<float>(16));
  }
}

TEST_P(RegionTest, WhatIsNotDonatedIsNotWritten) {
  for (int64_t dim : {-1, 0, 1}) {
    PlanBuilder builder = makeBuilder(2);
    addTiedAddOne(builder, dim);
    auto executable = Executable::create(builder.artefact, options);
    ASSERT_TRUE(executable.ok()) << executable.status().message();
    Floats p = countUp<float>(16), output(16, -1);
    auto placed = (*executable)->place(0, p.data());
    ASSERT_TRUE(placed.ok());
    for (bool isPlaced : {false, true, false, true})
      for (bool stays : {false, true}) {
        Executable::Input in;
        if (isPlaced)
          in.placed = placed->get();
        else
          in.data = p.data();
        Executable::Output out;
        if (!stays)
          out.data = output.data();
        ASSERT_TRUE((*executable)->run(&in, &out).ok());
        if (stays)
          ASSERT_TRUE(out.placed->join(output.data()).ok());
        for (size_t i = 0; i < p.size() && runsKernels(); ++i)
          EXPECT_EQ(output[i], p[i] + 1);
        EXPECT_EQ(p, countUp<float>(16));
        EXPECT_FALSE((*placed)->isConsumed());
      }
  }
}

TEST_P(RegionTest, CapturedInputsHaveTheirValueInTheArtefact) {
  PlanBuilder builder = makeBuilder(2);
  builder.addInput(DType::F32, {4}, 0);
  int32_t y = builder.addOutput(DType::F32, {4}, 0);
  builder.addCopy(0, y);
  Floats value = {1, 2, 3, 4}, output(4);
  builder.plan.inputs[0].captured = 0;
  builder.artefact.captured = {
      std::string(reinterpret_cast<const char *>(value.data()), 16)};
  auto executable = Executable::create(builder.artefact, options);
  ASSERT_TRUE(executable.ok()) << executable.status().message();
  Executable::Input in;
  void *out = output.data();
  ASSERT_TRUE((*executable)->run(&in, &out).ok());
  EXPECT_EQ(output, value);
  in.data = value.data();
  std::string error = (*executable)->run(&in, &out).message();
  EXPECT_NE(error.find("has a value already"), std::string::npos) << error;
}

INSTANTIATE_TEST_SUITE_P(All, RegionTest, ::testing::ValuesIn(deviceNames()),
                         [](const auto &info) { return info.param; });

} // namespace
} // namespace tessera
