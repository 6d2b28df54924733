// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Damaged and inconsistent artefacts are refused with a sentence.
#include "tessera-rt/Program.h"
#include "tessera/ABI/PlanCodec.h"
#include "test/runtime/SamplePlan.h"

#include <gtest/gtest.h>

#include <functional>

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

struct Mistake {
  const char *name;
  std::function<void(abi::Plan &)> make;
  const char *message;
};

class MistakeTest : public ::testing::TestWithParam<Mistake> {};

TEST_P(MistakeTest, IsNamed) {
  abi::Artefact artefact = samplePlan();
  ASSERT_EQ(validatePlan(artefact).message(), "");
  GetParam().make(artefact.plan);
  std::string error = validatePlan(artefact).message();
  EXPECT_NE(error.find(GetParam().message), std::string::npos) << error;
}

const Mistake mistakes[] = {
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
    {"UnknownDigit",
     [](abi::Plan &p) { steps(p)[1].digits[0].stride = 2; },
     "step 1 (device_value) has digits that device numbers do not have"},
    {"EmptyPattern", [](abi::Plan &p) { steps(p)[2].pattern.clear(); },
     "no multiple of the pattern"},
    {"WrongPart", [](abi::Plan &p) { p.inputs[0].splits[0] = {}; },
     "input 0 has 2 elements of dimension 0 on a device, but its splits make "
     "4"},
    {"SplitMissing", [](abi::Plan &p) { p.outputs[0].splits.pop_back(); },
     "splits of 1 dimensions, expected 2"},
    {"SplitTwice",
     [](abi::Plan &p) { p.inputs[0].splits[1] = p.inputs[0].splits[0]; },
     "or by one twice"},
    {"DeviceTwice",
     [](abi::Plan &p) { steps(p)[3].digits = {{1, 2}, {1, 2}}; },
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
