// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Plans of several programs: the stages of a pipeline.
#include "test/runtime/PlanMistake.h"
#include "test/runtime/RanksInThreads.h"
#include "test/runtime/SamplePlan.h"

#include <gtest/gtest.h>

#include <thread>

namespace tessera {
using namespace rt;
using namespace test;
using abi::DType;
using abi::StepKind;
namespace {

const std::vector<float> x = {1, 2, 3};
const std::vector<float> xPlusOne = {2, 3, 4, 2, 3, 4};

TEST(StagesTest, ProgramsMeetInJointSteps) {
  std::vector<float> y;
  testing::internal::CaptureStdout();
  Status status = runOnce<float>(samplePrograms(), {}, x, y);
  std::string printed = testing::internal::GetCapturedStdout();
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(y, xPlusOne);
  // Each has what the other had.
  EXPECT_EQ(printed, "first [1, 1, 1]\nsecond [1, 2, 3]\n");
}

TEST(StagesTest, ProgramsRunOnAnyDivisionIntoRanks) {
  for (int numRanks : {2, 4}) {
    RanksInThreads ranks(numRanks);
    std::vector<std::thread> processes;
    testing::internal::CaptureStdout();
    for (int rank = 0; rank < numRanks; ++rank)
      processes.emplace_back([&, rank] {
        ExecutableOptions options;
        options.timeoutMs = 10000;
        options.makeCommunicator = [&, rank](const CommunicatorOptions &given) {
          return ranks.create(rank, given);
        };
        auto created = Executable::create(samplePrograms(), options);
        ASSERT_TRUE(created.ok()) << created.status().message();
        Executable::Input input;
        input.data = x.data();
        Executable::Output output;
        Status status = (*created)->run(&input, &output);
        ASSERT_TRUE(status.ok()) << status.message();
        for (void *shard : output.placed->addresses) {
          auto *row = static_cast<float *>(shard);
          EXPECT_EQ(std::vector<float>(row, row + 3),
                    std::vector<float>(xPlusOne.begin(), xPlusOne.begin() + 3));
        }
      });
    for (std::thread &process : processes)
      process.join();
    testing::internal::GetCapturedStdout();
  }
}

/// Devices 2 and 3 add one to what devices 0 and 1 have; all sum it up.
TEST(StagesTest, KernelsRunOnTheDevicesOfTheirProgram) {
  for (bool emulated : {false, true}) {
    PlanBuilder builder(4);
    abi::Plan &plan = builder.plan;
    if (emulated)
      plan.target = "emulated:sm_90a";
    plan.mesh = {{"pp", 2}, {"tp", 2}};
    const abi::Digit pp = {2, 2};
    plan.blocks.resize(2);
    plan.programs = {{"first", 0, {pp}, {0}}, {"second", 1, {pp}, {1}}};
    int32_t in = builder.addInput(DType::F32, {4});
    int32_t out = builder.addOutput(DType::F32, {4});
    int32_t sum = builder.addArena(16);
    for (int32_t p : {0, 1}) {
      builder.block = p;
      if (p == 0)
        builder.addCopy(in, sum);
      else
        builder.launchAddOne(in, sum, 4);
      builder.addCollective(StepKind::AllReduce, sum, out, DType::F32, {4}, {4})
          .digits = {pp};
    }
    auto executable = Executable::create(builder.artefact, {});
    ASSERT_TRUE(executable.ok()) << executable.status().message();
    std::vector<float> from = {1, 2, 3, 4}, to(4);
    Executable::Input input;
    input.data = from.data();
    void *output = to.data();
    Status status = (*executable)->run(&input, &output);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(to, (std::vector<float>{3, 5, 7, 9}));
    EXPECT_EQ((*executable)->report().launches, 2);
    EXPECT_EQ((*executable)->report().collectives, 1);
  }
}

/// A predicate is that of the program's own devices.
TEST(StagesTest, EachProgramDecidesForItself) {
  PlanBuilder builder(2);
  abi::Plan &plan = builder.plan;
  const abi::Digit pp = builder.allDevices();
  plan.blocks.resize(2);
  plan.programs = {{"first", 0, {pp}, {0}}, {"second", 1, {pp}, {1}}};
  int32_t in = builder.addInput(DType::I32, {2}, 0);
  int32_t out = builder.addOutput(DType::I32, {2}, 0);
  for (int32_t p : {0, 1}) {
    builder.block = p;
    auto fill = [&](char value) {
      return [&builder, out, value] {
        builder.addStep(StepKind::Fill, {out}).pattern = {value, 0, 0, 0};
      };
    };
    builder.addRegions(StepKind::If, {in}, {fill(10 + p), fill(20 + p)});
  }
  std::vector<int32_t> y;
  Status status = runOnce<int32_t>(builder.artefact, {}, {0, 1}, y);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(y, (std::vector<int32_t>{10, 21}));
}

TEST(StagesTest, AnErrorNamesTheProgram) {
  abi::Artefact artefact = samplePrograms();
  abi::Step check = artefact.plan.blocks[1].steps[3];
  check.kind = StepKind::Check;
  check.format = "no";
  check.operands[0].dtype = DType::I1;
  check.operands[0].shape = check.operands[0].localShape = {12};
  artefact.plan.blocks[1].steps.insert(
      artefact.plan.blocks[1].steps.begin() + 3, check);
  std::vector<float> y;
  testing::internal::CaptureStdout();
  std::string error = runOnce<float>(artefact, {}, {0, 0, 0}, y).message();
  testing::internal::GetCapturedStdout();
  EXPECT_NE(error.find("step 3 of program 'second' (check)"), std::string::npos)
      << error;
}

TEST(StagesTest, TimesAreThoseOfEachStep) {
  abi::Artefact artefact = samplePrograms();
  ExecutableOptions options;
  options.profile = true;
  auto executable = Executable::create(artefact, options);
  ASSERT_TRUE(executable.ok()) << executable.status().message();
  Executable::Input input;
  input.data = x.data();
  std::vector<float> y(6);
  void *output = y.data();
  testing::internal::CaptureStdout();
  Status status = (*executable)->run(&input, &output);
  testing::internal::GetCapturedStdout();
  ASSERT_TRUE(status.ok()) << status.message();
  for (const StepTime &time : (*executable)->report().steps)
    EXPECT_EQ(time.runs, time.block < 2 ? 1 : 3);
}

TEST(StagesTest, TracesHaveTheDevicesOfEachProgram) {
  abi::Artefact artefact = samplePrograms();
  auto executable = Executable::create(artefact, {});
  ASSERT_TRUE(executable.ok()) << executable.status().message();
  (*executable)->setTracing(true);
  Executable::Input input;
  input.data = x.data();
  std::vector<float> y(6);
  void *output = y.data();
  testing::internal::CaptureStdout();
  Status status = (*executable)->run(&input, &output);
  testing::internal::GetCapturedStdout();
  ASSERT_TRUE(status.ok()) << status.message();
  const RunTrace &trace = (*executable)->trace();
  const abi::Plan &plan = (*executable)->plan();
  size_t numDevices = (*executable)->numDevices();
  ASSERT_FALSE(trace.events.empty());
  ASSERT_EQ(trace.ofDevices.size(), trace.events.size() * numDevices);
  EXPECT_LE(trace.run.begin, trace.steps.begin);
  EXPECT_LE(trace.steps.end, trace.run.end);
  for (size_t e = 0; e < trace.events.size(); ++e) {
    const StepEvent &event = trace.events[e];
    EXPECT_LE(trace.steps.begin, event.whole.begin);
    EXPECT_LE(event.whole.end, trace.steps.end);
    const abi::Program &program =
        plan.programs[(*executable)->tree().programOf(event.block)];
    for (size_t d = 0; d < numDevices; ++d) {
      Span span = trace.ofDevices[e * numDevices + d];
      ASSERT_EQ(span.begin >= 0,
                program.runsOn((*executable)->numberOf(static_cast<int>(d))));
      if (span.begin < 0)
        continue;
      EXPECT_LE(event.whole.begin, span.begin);
      EXPECT_LE(span.begin, span.end);
      EXPECT_LE(span.end, event.whole.end);
    }
  }
}

std::vector<abi::Step> &second(abi::Plan &plan) { return plan.blocks[1].steps; }

class StagesMistakeTest : public ::testing::TestWithParam<PlanMistake> {};

TEST_P(StagesMistakeTest, IsNamed) {
  expectNamed(GetParam(), samplePrograms());
}

const PlanMistake mistakes[] = {
    {"SameDevices", [](abi::Plan &p) { p.programs[1].values = {0}; },
     "program 'second' is for the devices of another one"},
    {"DevicesMissing",
     [](abi::Plan &p) {
       p.programs.pop_back();
       p.blocks[1].steps.clear();
     },
     "there are 1 programs for 2 sets of devices"},
    {"OtherDigits", [](abi::Plan &p) { p.programs[1].digits = {{1, 2}}; },
     "program 'second' is told apart by other digits than the first"},
    {"NotMet", [](abi::Plan &p) { second(p).pop_back(); },
     "of program 'first' (all_reduce) joins programs, but no step of program "
     "'second' meets it"},
    {"MetTwice", [](abi::Plan &p) { second(p).push_back(second(p).back()); },
     "of program 'second' (all_reduce) joins programs, but no step of program "
     "'first' meets it"},
    {"OtherKind",
     [](abi::Plan &p) {
       second(p).back().kind = StepKind::Permute;
       second(p).back().moves = {{{2, 2}, 2, 1}};
     },
     "with another kind"},
    {"OtherType", [](abi::Plan &p) { second(p).back().dtype = DType::I32; },
     "with another element type"},
    {"OtherShape",
     [](abi::Plan &p) {
       second(p).back().inputShape = second(p).back().outputShape = {1, 3};
     },
     "with another shape"},
    {"OtherReduction",
     [](abi::Plan &p) { second(p).back().reduction = abi::Reduction::Max; },
     "with another reduction"},
    {"OtherGroups",
     [](abi::Plan &p) { second(p).back().digits = {{2, 2}, {1, 2}}; },
     "with another group"},
    {"OtherCount", [](abi::Plan &p) { second(p)[2].count = 4; },
     "with another count"},
    {"OtherReceiver",
     [](abi::Plan &p) {
       abi::Step &shift = p.blocks[3].steps[0];
       shift.moves.clear();
       shift.targets = {3, 2, 1, 0};
     },
     "with another receiver"},
    {"JoinedInAWhile",
     [](abi::Plan &p) {
       for (int b : {0, 1})
         for (abi::Step &step : p.blocks[b].steps)
           if (step.kind == StepKind::Loop) {
             step.kind = StepKind::If;
             step.carries.clear();
           }
     },
     "programs meet in collectives and in loops of a fixed count"},
    {"PrintedPartsOfOthers",
     [](abi::Plan &p) {
       for (abi::Step &step : second(p))
         for (abi::Tensor &operand : step.operands) {
           operand.shape = {6};
           operand.splits = {{{2, 2}}};
         }
     },
     "has an operand of which devices of other programs hold parts"},
};

INSTANTIATE_TEST_SUITE_P(All, StagesMistakeTest, ::testing::ValuesIn(mistakes),
                         [](const auto &info) { return info.param.name; });

} // namespace
} // namespace tessera
