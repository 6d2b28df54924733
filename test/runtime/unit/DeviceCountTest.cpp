// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/Registry.h"
#include "test/runtime/PlanBuilder.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace tessera {
using namespace rt;
using namespace test;
namespace {

/// TESSERA_DEVICE_COUNT as given, for one test.
class DeviceCountTest : public ::testing::Test {
protected:
  void say(const char *count) { setenv(variable, count, 1); }
  void SetUp() override { unsetenv(variable); }
  void TearDown() override { unsetenv(variable); }

  static std::string refusal(const std::string &kind,
                             const std::vector<abi::MeshAxis> &mesh) {
    return checkDeviceCount(kind, mesh).message();
  }

  const char *variable = "TESSERA_DEVICE_COUNT";
};

TEST_F(DeviceCountTest, AMeshMayHaveAsManyDevicesAsThereAre) {
  EXPECT_EQ(refusal("cpu", {{"dp", 2}, {"tp", 128}}), "");
  say("6");
  EXPECT_EQ(refusal("cpu", {{"dp", 2}, {"tp", 3}}), "");
  say("99999999999999999999999999");
  EXPECT_EQ(refusal("cpu", {{"tp", 256}}), "");
}

TEST_F(DeviceCountTest, ALargerOneIsRefusedWithBothNumbersAndAWayOut) {
  say("5");
  for (const char *kind : {"cpu", "emulated", "null"})
    EXPECT_EQ(refusal(kind, {{"dp", 2}, {"tp", 3}}),
              "Mesh(dp=2, tp=3) needs 6 devices, but there are 5 of kind '" +
                  std::string(kind) +
                  "'; compile for a mesh of at most 5, or raise "
                  "TESSERA_DEVICE_COUNT");
}

TEST_F(DeviceCountTest, WhatIsNoNumberIsRefused) {
  for (std::string count : {"-1", "0", "00"}) {
    say(count.c_str());
    EXPECT_EQ(refusal("cpu", {{"tp", 1}}),
              "TESSERA_DEVICE_COUNT is not a number of devices: '" + count +
                  "'; expected 1 to 256");
  }
}

TEST_F(DeviceCountTest, DevicesOfKindCudaShareGpus) {
  say("1");
  EXPECT_EQ(refusal("cuda", {{"tp", 8}}), "");
}

TEST_F(DeviceCountTest, ProgramsOfLargerMeshesDoNotLoad) {
  PlanBuilder builder(3);
  ExecutableOptions options;
  ASSERT_TRUE(Executable::create(builder.artefact, options).ok());
  say("2");
  auto loaded = Executable::create(builder.artefact, options);
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.status().message(),
            refusal("cpu", builder.artefact.plan.mesh));
}

} // namespace
} // namespace tessera
