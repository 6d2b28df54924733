// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Damaged and inconsistent artefacts are refused with a sentence.
#include "tessera/ABI/PlanCodec.h"
#include "test/runtime/PlanMistake.h"
#include "test/runtime/SamplePlan.h"

#include <gtest/gtest.h>

namespace tessera {
using namespace rt;
using namespace test;
using abi::DType;
using abi::StepKind;
namespace {

std::string errorOf(const std::string &bytes) {
  return loadArtefact(bytes.data(), bytes.size()).status().message();
}

TEST(ProgramTest, WhatWasWrittenIsRead) {
  std::string bytes = abi::encodeArtefact(samplePlan());
  auto artefact = loadArtefact(bytes.data(), bytes.size());
  ASSERT_TRUE(artefact.ok()) << artefact.status().message();
  EXPECT_EQ(artefact->plan.entrySteps().size(), 5u);
  EXPECT_EQ(artefact->objects[0], "not code");
  EXPECT_EQ(abi::encodeArtefact(*artefact), bytes);
}

TEST(ProgramTest, RegionsThatWereWrittenAreRead) {
  std::string bytes = abi::encodeArtefact(sampleRegions());
  auto artefact = loadArtefact(bytes.data(), bytes.size());
  ASSERT_TRUE(artefact.ok()) << artefact.status().message();
  EXPECT_EQ(abi::encodeArtefact(*artefact), bytes);
}

TEST(ProgramTest, EveryTruncationIsRefused) {
  std::string bytes = abi::encodeArtefact(samplePlan());
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_NE(errorOf(bytes.substr(0, size)), "") << size;
  EXPECT_NE(errorOf(bytes + "x"), "");
}

TEST(ProgramTest, EveryChangedByteIsRefused) {
  std::string bytes = abi::encodeArtefact(samplePlan());
  for (size_t i = 0; i < bytes.size(); ++i)
    for (unsigned char mask : {0x01, 0x80, 0xff}) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ mask);
      EXPECT_NE(errorOf(damaged), "") << "byte " << i;
    }
}

TEST(ProgramTest, NewerVersionsAreNamed) {
  std::string bytes = abi::encodeArtefact(samplePlan());
  bytes[8] = 99;
  std::string error = errorOf(bytes);
  EXPECT_NE(error.find("format version 99"), std::string::npos) << error;
  EXPECT_NE(error.find("reads version " + std::to_string(abi::planVersion)),
            std::string::npos)
      << error;
}

std::vector<abi::Step> &steps(abi::Plan &plan) { return plan.blocks[0].steps; }

/// A program on parts of equal size, whatever the number of devices.
abi::Artefact onMesh(int64_t dp, int64_t tp) {
  PlanBuilder builder(1);
  abi::Plan &plan = builder.plan;
  plan.mesh = {{"dp", dp}, {"tp", tp}};
  abi::Digit data = {tp, dp}, tensor = {1, tp};
  int32_t x = builder.addInput(DType::F32, {3, 5});
  int32_t y = builder.addOutput(DType::F32, {3, 5});
  for (abi::Tensor *whole : {&plan.inputs[0], &plan.outputs[0]}) {
    whole->shape = {3 * dp, 5 * tp};
    whole->splits = {{data}, {tensor}};
  }
  int32_t sum = builder.addArena(60), extent = builder.addArena(4);
  builder.addCollective(StepKind::AllReduce, x, sum, DType::F32, {3, 5}, {3, 5})
      .digits = {tensor};
  abi::Step &value = builder.addStep(StepKind::DeviceValue, {extent});
  value.query = abi::DeviceQuery::ValidExtent;
  value.size = 3 * dp;
  value.digits = {data};
  abi::Step &shift = builder.addStep(StepKind::Permute, {sum, y});
  shift.inputShape = shift.outputShape = {3, 5};
  shift.moves = {{data, tp, 1}};
  return builder.artefact;
}

TEST(ProgramTest, AnArtefactIsAsLargeForAnyNumberOfDevices) {
  std::string four = abi::encodeArtefact(onMesh(2, 2));
  std::string many = abi::encodeArtefact(onMesh(256, 256));
  EXPECT_EQ(four.size(), many.size());
  EXPECT_EQ(errorOf(four), "");
  EXPECT_EQ(errorOf(many), "");
  auto executable = Executable::create(onMesh(256, 256), {});
  EXPECT_NE(executable.status().message().find("needs 65536 devices"),
            std::string::npos)
      << executable.status().message();
}

class RegionMistakeTest : public ::testing::TestWithParam<PlanMistake> {};

TEST_P(RegionMistakeTest, IsNamed) { expectNamed(GetParam(), sampleRegions()); }

const PlanMistake regionMistakes[] = {
    {"BlockTwice", [](abi::Plan &p) { steps(p)[2].blocks[0] = 1; },
     "block 1 is used twice"},
    {"BlockBefore", [](abi::Plan &p) { steps(p)[0].blocks[0] = 0; },
     "names block 0 of 6; expected one after its own"},
    {"BlockUnused", [](abi::Plan &p) { p.blocks.emplace_back(); },
     "block 6 is named by no step"},
    {"WindowBeyondItsBase", [](abi::Plan &p) { steps(p)[0].count = 4; },
     "step 0 (loop of 4 iterations) moves window"},
    {"WindowOutside", [](abi::Plan &p) { steps(p)[1].buffers[0] = 8; },
     "a window, outside of the loop"},
    {"WindowOfItself", [](abi::Plan &p) { steps(p)[0].windows[0].base = 8; },
     "a window, outside of the loop"},
    {"UnevenExchange", [](abi::Plan &p) { steps(p)[0].carries[0].next = 3; },
     "step 0 (loop of 3 iterations) exchanges buffers of different size"},
    {"CarriedInAnInput",
     [](abi::Plan &p) {
       p.inputs[1].donated = 0;
       p.outputs.pop_back();
     },
     "carries a value in a constant, or in an input that is not donated"},
    {"CarriedTwice",
     [](abi::Plan &p) {
       steps(p)[0].carries.push_back(steps(p)[0].carries[0]);
     },
     "carries two values in buffer 1"},
    {"WideSelector", [](abi::Plan &p) { p.blocks[1].steps[1].buffers = {5}; },
     "step 0.1 (if) selects by 8 bytes"},
    {"WidePredicate", [](abi::Plan &p) { steps(p)[2].buffers = {4}; },
     "needs a condition, a body and a predicate of one byte"},
    {"NotAPermutation", [](abi::Plan &p) { steps(p)[3].moves[0].to = 2; },
     "does not send to every device once"},
    {"TokenNotAwaited",
     [](abi::Plan &p) { steps(p).erase(steps(p).begin() + 4); },
     "block 0 ends before token 7 is waited for"},
    {"TokenUnknown", [](abi::Plan &p) { steps(p)[4].token = 8; },
     "waits for token 8, which no step before it in its block has"},
    {"UsedBeforeAwaited",
     [](abi::Plan &p) {
       // A print of what the step of the token writes.
       abi::Step print = steps(p)[5];
       print.operands[0].buffer = steps(p)[3].buffers[1];
       print.operands[0].shape = print.operands[0].localShape = {1};
       steps(p).insert(steps(p).begin() + 4, print);
     },
     "uses what the step of token 7 writes before it is waited for"},
    {"WrittenBeforeAwaited",
     [](abi::Plan &p) {
       int32_t index = steps(p)[0].buffers[0];
       steps(p)[3].buffers[0] = index;
       abi::Step fill;
       fill.kind = abi::StepKind::Fill;
       fill.buffers = {index};
       fill.pattern = std::string(4, '\0');
       steps(p).insert(steps(p).begin() + 4, fill);
     },
     "writes what the step of token 7 reads before it is waited for"},
    {"OperandMissing", [](abi::Plan &p) { steps(p)[5].operands.clear(); },
     "has 1 places for 0 operands"},
    {"SingleBrace", [](abi::Plan &p) { steps(p)[5].format = "{}}"; },
     "has a single brace in its format"},
    {"TiedToNothingDonated", [](abi::Plan &p) { p.inputs[1].donated = 0; },
     "output 1 is tied to input 1, which is not donated"},
    {"TiedToAnotherShape", [](abi::Plan &p) { p.outputs[1].shape = {3}; },
     "is not what the input that it is tied to is"},
    {"CapturedMissing", [](abi::Plan &p) { p.inputs[2].captured = 1; },
     "has captured value 1 of 1"},
    {"CapturedSize", [](abi::Plan &p) { p.inputs[0].captured = 0; },
     "has a captured value of 8 bytes, expected 24"},
    {"ReducedStorage",
     [](abi::Plan &p) {
       steps(p)[3].kind = StepKind::AllReduce;
       steps(p)[3].dtype = DType::F8E4M3;
       steps(p)[3].inputShape = steps(p)[3].outputShape = {4};
     },
     "reduces f8E4M3FN, which is a type of storage only"},
};

INSTANTIATE_TEST_SUITE_P(All, RegionMistakeTest,
                         ::testing::ValuesIn(regionMistakes),
                         [](const auto &info) { return info.param.name; });

class MistakeTest : public ::testing::TestWithParam<PlanMistake> {};

TEST_P(MistakeTest, IsNamed) { expectNamed(GetParam(), samplePlan()); }

const PlanMistake mistakes[] = {
    {"EmptyShapeOfAbsurdSize",
     [](abi::Plan &p) {
       p.inputs[0].shape = {int64_t(1) << 40, int64_t(1) << 40, 0};
     },
     "has shapes that make no sense"},
    {"ArenaOverrun", [](abi::Plan &p) { p.arenaBytes = 0; },
     "buffer 2 ends past the arena"},
    {"ArenaTooLarge", [](abi::Plan &p) { p.arenaBytes = int64_t(1) << 40; },
     "the arena has 1099511627776 bytes, its buffers need 128"},
    {"UnalignedBuffer", [](abi::Plan &p) { p.buffers[2].offset = 4; },
     "buffer 2 is not aligned"},
    {"UnknownBuffer", [](abi::Plan &p) { steps(p)[0].buffers[1] = 9; },
     "step 0 (copy) uses buffer 9 of 4"},
    {"WrittenInput", [](abi::Plan &p) { steps(p)[0].buffers = {2, 0}; },
     "writes a constant, or an input that is not donated"},
    {"UnevenCopy", [](abi::Plan &p) { steps(p)[0].buffers[1] = 3; },
     "different size"},
    {"UnknownDigit", [](abi::Plan &p) { steps(p)[1].digits[0].stride = 2; },
     "step 1 (device_value) has digits that device numbers do not have"},
    {"EmptyPattern", [](abi::Plan &p) { steps(p)[2].pattern.clear(); },
     "size is not a multiple of the pattern's"},
    {"WrongPart", [](abi::Plan &p) { p.inputs[0].splits[0] = {}; },
     "input 0 has 2 elements of dimension 0 on a device, but its splits make "
     "4"},
    {"SplitMissing", [](abi::Plan &p) { p.outputs[0].splits.pop_back(); },
     "splits of 1 dimensions, expected 2"},
    {"SplitTwice",
     [](abi::Plan &p) { p.inputs[0].splits[1] = p.inputs[0].splits[0]; },
     "or by one twice"},
    {"DeviceTwice", [](abi::Plan &p) { steps(p)[3].digits = {{1, 2}, {1, 2}}; },
     "has groups along digits that device numbers do not have"},
    {"DeviceMissing", [](abi::Plan &p) { steps(p)[3].digits = {{1, 3}}; },
     "has groups along digits that device numbers do not have"},
    {"WrongGather", [](abi::Plan &p) { steps(p)[3].dim = 1; },
     "turns size 2 of dimension 0 into 4"},
    {"UnknownDimension", [](abi::Plan &p) { steps(p)[3].dim = 2; },
     "a dimension that its shapes lack"},
    {"UnknownKind",
     [](abi::Plan &p) { steps(p)[3].kind = static_cast<StepKind>(200); },
     "unknown kind"},
    {"UnknownDType",
     [](abi::Plan &p) { p.inputs[0].dtype = static_cast<DType>(99); },
     "input 0 has an unknown element type"},
    {"UnknownObject", [](abi::Plan &p) { p.kernels[0].object = 1; },
     "kernel 0 is in object 1 of 1"},
    {"EmptyGrid", [](abi::Plan &p) { p.kernels[0].grid = {0}; },
     "empty or absurd grid"},
    {"ManyThreads", [](abi::Plan &p) { p.kernels[0].threads = 2048; },
     "2048 threads per block"},
    {"HugeMesh",
     [](abi::Plan &p) { p.mesh.assign(3, {"big", int64_t(1) << 40}); },
     "mesh axis 'big'"},
    {"HugeShape", [](abi::Plan &p) { p.inputs[0].shape[0] = INT64_MAX; },
     "shapes that make no sense"},
    {"BooleanSum",
     [](abi::Plan &p) {
       steps(p)[3].kind = StepKind::AllReduce;
       steps(p)[3].dtype = DType::I1;
       steps(p)[3].buffers = {1, 1};
       steps(p)[3].inputShape = steps(p)[3].outputShape = {48};
     },
     "sums booleans"},
};

INSTANTIATE_TEST_SUITE_P(All, MistakeTest, ::testing::ValuesIn(mistakes),
                         [](const auto &info) { return info.param.name; });

} // namespace
} // namespace tessera
