// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What every device must do; one that the machine lacks is skipped.
#include "tessera-rt/Registry.h"
#include "test/runtime/PlanBuilder.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace tessera {
using namespace rt;
using namespace test;
namespace {

class DeviceTest : public ::testing::TestWithParam<std::string> {
protected:
  void SetUp() override {
    options.device = GetParam();
    DeviceOptions probe;
    probe.pool = ThreadPool::shared(1);
    Result<std::unique_ptr<Device>> device = createDevice(GetParam(), probe);
    // A GPU is what a machine may lack.
    if (!device.ok() && (GetParam() != "cuda" || hasFakeDriver()))
      FAIL() << device.status().message();
    if (!device.ok())
      GTEST_SKIP() << device.status().message();
  }
  PlanBuilder makeBuilder(int devices) {
    PlanBuilder builder(devices);
    builder.plan.target = GetParam() == "cuda" ? "cuda:sm_90a" : GetParam();
    // The stand-in for the driver loads cpu objects.
    if (GetParam() == "cuda" && hasFakeDriver())
      builder.artefact.objects.push_back(kernelObject(/*emulated=*/false));
    return builder;
  }
  static bool hasFakeDriver() {
    const char *library = std::getenv("TESSERA_LIBCUDA");
    return library && std::string(library) == TESSERA_TEST_FAKE_CUDA;
  }
  bool runsKernels() const { return GetParam() != "null"; }

  ExecutableOptions options;
};

TEST_P(DeviceTest, MemoryIsAlignedAndKeepsWhatIsCopiedIn) {
  DeviceOptions deviceOptions;
  deviceOptions.count = 2;
  deviceOptions.pool = ThreadPool::shared(1);
  auto device = createDevice(GetParam(), deviceOptions);
  ASSERT_TRUE(device.ok());
  std::string text = "seven bytes and more", back(text.size(), ' ');
  for (int d = 0; d < 2; ++d) {
    void *a = (*device)->allocate(d, text.size());
    void *b = (*device)->allocate(d, text.size());
    EXPECT_EQ(reinterpret_cast<uintptr_t>(a) % 64, 0u);
    ASSERT_TRUE((*device)->copyIn(d, a, text.data(), text.size()).ok());
    ASSERT_TRUE((*device)->copy(d, b, a, text.size()).ok());
    ASSERT_TRUE((*device)->copyOut(d, back.data(), b, text.size()).ok());
    EXPECT_EQ(back, text);
    (*device)->release(d, a);
    (*device)->release(d, b);
  }
}

TEST_P(DeviceTest, FillRepeatsPatternsOfEverySize) {
  DeviceOptions deviceOptions;
  deviceOptions.pool = ThreadPool::shared(2);
  auto device = createDevice(GetParam(), deviceOptions);
  ASSERT_TRUE(device.ok());
  // More than one thread's share, and a ragged end.
  for (size_t bytes : {24, 5000000 + 8})
    for (std::string text : {"abcdefgh", "aaaaaaaa"})
      for (size_t size : {1, 2, 4, 8}) {
        std::string pattern = text.substr(0, size), expected, back(bytes, 0);
        while (expected.size() < bytes)
          expected += pattern;
        void *memory = (*device)->allocate(0, bytes);
        void *other = (*device)->allocate(0, bytes);
        ASSERT_TRUE((*device)->fill(0, memory, pattern, bytes).ok());
        ASSERT_TRUE((*device)->copy(0, other, memory, bytes).ok());
        ASSERT_TRUE((*device)->copyOut(0, back.data(), other, bytes).ok());
        EXPECT_TRUE(back == expected) << bytes << " bytes of " << pattern;
        (*device)->release(0, memory);
        (*device)->release(0, other);
      }
}

TEST_P(DeviceTest, LaunchRunsAllBlocksOnEveryDevice) {
  if (GetParam() == "cuda" && !hasFakeDriver())
    GTEST_SKIP() << "needs a cubin of the test kernels";
  PlanBuilder builder = makeBuilder(2);
  int32_t x = builder.addInput(abi::DType::F32, {6, 8}, 0);
  int32_t y = builder.addOutput(abi::DType::F32, {6, 8}, 0);
  int32_t between = builder.addArena(24 * 4);
  builder.launchAddOne(x, between, 24);
  builder.launchAddOne(between, y, 24);
  std::vector<float> input = countUp<float>(48), output;
  Status status = runOnce(builder.artefact, options, input, output);
  ASSERT_TRUE(status.ok()) << status.message();
  for (size_t i = 0; i < 48 && runsKernels(); ++i)
    EXPECT_EQ(output[i], input[i] + 2);
}

TEST_P(DeviceTest, CopiesCutUnevenInputsAndJoinOutputs) {
  PlanBuilder builder = makeBuilder(3);
  int32_t x = builder.addInput(abi::DType::I32, {2, 5, 3}, 1);
  int32_t y = builder.addOutput(abi::DType::I32, {2, 5, 3}, 1);
  builder.addCopy(x, y);
  std::vector<int32_t> input = countUp<int32_t>(30), output;
  Status status = runOnce(builder.artefact, options, input, output);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(input, output);
}

TEST_P(DeviceTest, DeviceValuesDifferBetweenDevices) {
  PlanBuilder builder = makeBuilder(3);
  builder.addInput(abi::DType::I32, {1});
  int32_t y = builder.addOutput(abi::DType::I32, {3}, 0);
  abi::Step &step = builder.addStep(abi::StepKind::DeviceValue, {y});
  step.digits = {builder.allDevices()};
  step.size = 5;
  auto valuesOf = [&](abi::DeviceQuery query) {
    step.query = query;
    std::vector<int32_t> output;
    Status status = runOnce(builder.artefact, options, {0}, output);
    EXPECT_TRUE(status.ok()) << status.message();
    return output;
  };
  using Values = std::vector<int32_t>;
  EXPECT_EQ(valuesOf(abi::DeviceQuery::AxisIndex), (Values{0, 1, 2}));
  EXPECT_EQ(valuesOf(abi::DeviceQuery::LocalOffset), (Values{0, 2, 4}));
  EXPECT_EQ(valuesOf(abi::DeviceQuery::ValidExtent), (Values{2, 2, 1}));
}

TEST_P(DeviceTest, CollectivesReachItsMemory) {
  PlanBuilder builder = makeBuilder(2);
  int32_t x = builder.addInput(abi::DType::F32, {2, 3}, 0);
  int32_t y = builder.addOutput(abi::DType::F32, {1, 3});
  builder.addCollective(abi::StepKind::AllReduce, x, y, abi::DType::F32, {1, 3},
                        {1, 3});
  std::vector<float> output;
  Status status =
      runOnce<float>(builder.artefact, options, {1, 2, 3, 10, 20, 30}, output);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(output, (std::vector<float>{11, 22, 33}));
}

TEST_P(DeviceTest, ConstantsAreOnEveryDevice) {
  PlanBuilder builder = makeBuilder(2);
  builder.addInput(abi::DType::I32, {1});
  int32_t y = builder.addOutput(abi::DType::I32, {4}, 0);
  builder.artefact.constants = std::string(64, ' ') + "12345678";
  int32_t constant = builder.addBuffer(abi::BufferKind::Constant, 64, 8);
  builder.addCopy(constant, y);
  std::vector<int32_t> output;
  Status status = runOnce(builder.artefact, options, {0}, output);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(std::string(reinterpret_cast<char *>(output.data()), 16),
            "1234567812345678");
}

TEST_P(DeviceTest, TensorsAtOddAddressesAreCopied) {
  PlanBuilder builder = makeBuilder(2);
  int32_t x = builder.addInput(abi::DType::I32, {4}, 0);
  int32_t y = builder.addOutput(abi::DType::I32, {4}, 0);
  builder.addCopy(x, y);
  auto executable = Executable::create(builder.artefact, options);
  ASSERT_TRUE(executable.ok()) << executable.status().message();
  std::string in = "_abcdefghijklmnop", out(17, '_');
  Executable::Input input;
  input.data = in.data() + 1;
  void *output = out.data() + 1;
  ASSERT_TRUE((*executable)->run(&input, &output).ok());
  EXPECT_EQ(in, out);
}

TEST_P(DeviceTest, ReplicatedOutputsComeFromOneDevice) {
  PlanBuilder builder = makeBuilder(3);
  builder.addInput(abi::DType::I32, {1});
  int32_t y = builder.addOutput(abi::DType::I32, {1});
  abi::Step &step = builder.addStep(abi::StepKind::DeviceValue, {y});
  step.query = abi::DeviceQuery::ValidExtent;
  step.digits = {builder.allDevices()};
  step.size = 5;
  std::vector<int32_t> output;
  ASSERT_TRUE(runOnce(builder.artefact, options, {0}, output).ok());
  EXPECT_EQ(output[0], 2); // 2 and 1 on the other devices.
}

TEST_P(DeviceTest, AnotherTargetsArtefactIsRefusedByName) {
  if (GetParam() == "null")
    GTEST_SKIP() << "takes every target";
  PlanBuilder builder(1);
  builder.plan.target = "abacus:v1";
  auto executable = Executable::create(builder.artefact, options);
  ASSERT_FALSE(executable.ok());
  EXPECT_NE(executable.status().message().find("abacus:v1"), std::string::npos);
}

TEST(EmulatedDeviceTest, FaultsNameStepKernelDeviceAndAccess) {
  PlanBuilder builder(2);
  builder.plan.target = "emulated:sm_90a";
  int32_t x = builder.addInput(abi::DType::F32, {8}, 0);
  int32_t y = builder.addOutput(abi::DType::F32, {8}, 0);
  // Two blocks of 4 elements for local tensors of 4.
  builder.launchAddOne(x, y, 8);
  std::vector<float> output;
  std::string error =
      runOnce(builder.artefact, {}, countUp<float>(8), output).message();
  for (const char *part : {"step 0 (launch of 'add_one_0')", "device 0",
                           "4 bytes", "argument 0", "read only"})
    EXPECT_NE(error.find(part), std::string::npos) << error;
}

INSTANTIATE_TEST_SUITE_P(All, DeviceTest, ::testing::ValuesIn(deviceNames()),
                         [](const auto &info) { return info.param; });

} // namespace
} // namespace tessera
