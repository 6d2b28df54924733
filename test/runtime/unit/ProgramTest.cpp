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
  EXPECT_EQ(artefact->plan.steps.size(), 5u);
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
    {"UnknownBuffer", [](abi::Plan &p) { p.steps[0].buffers[1] = 9; },
     "step 0 (copy) uses buffer 9 of 4"},
    {"WrittenInput", [](abi::Plan &p) { p.steps[0].buffers = {2, 0}; },
     "writes an input"},
    {"UnevenCopy", [](abi::Plan &p) { p.steps[0].buffers[1] = 3; },
     "different size"},
    {"MissingValue", [](abi::Plan &p) { p.steps[1].values.pop_back(); },
     "every device one i32"},
    {"EmptyPattern", [](abi::Plan &p) { p.steps[2].pattern.clear(); },
     "no multiple of the pattern"},
    {"BoxOutside", [](abi::Plan &p) { p.inputs[0].boxes[1].begin[0] = 3; },
     "input 0 has a box that lies outside it"},
    {"BoxMissing", [](abi::Plan &p) { p.outputs[0].boxes.pop_back(); },
     "1 boxes for 2 devices"},
    {"DeviceTwice", [](abi::Plan &p) { p.steps[3].groups[0] = {0, 0}; },
     "device 0 in two groups"},
    {"DeviceMissing", [](abi::Plan &p) { p.steps[3].groups[0] = {1}; },
     "every device in a group"},
    {"WrongGather", [](abi::Plan &p) { p.steps[3].dim = 1; },
     "turns size 2 of dimension 0 into 4"},
    {"UnknownDimension", [](abi::Plan &p) { p.steps[3].dim = 2; },
     "a dimension that its shapes lack"},
    {"UnknownKind",
     [](abi::Plan &p) { p.steps[3].kind = static_cast<StepKind>(200); },
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
       p.steps[3].kind = StepKind::AllReduce;
       p.steps[3].dtype = DType::I1;
       p.steps[3].buffers = {1, 1};
       p.steps[3].inputShape = p.steps[3].outputShape = {48};
     },
     "sums booleans"},
};

INSTANTIATE_TEST_SUITE_P(All, MistakeTest, ::testing::ValuesIn(mistakes),
                         [](const auto &info) { return info.param.name; });

} // namespace
} // namespace tessera
