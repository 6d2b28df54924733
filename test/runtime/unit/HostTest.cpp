// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/HostCores.h"
#include "tessera-rt/HostCpu.h"
#include "test/runtime/PlanBuilder.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace tessera {
using namespace rt;
using namespace test;
namespace {

abi::Plan planFor(std::vector<std::string> features) {
  abi::Plan plan;
  plan.target = "cpu";
  plan.architecture = "x86_64";
  plan.cpuFeatures = std::move(features);
  return plan;
}

const HostCpu haswell = {"x86_64", {"avx", "fma", "avx2"}};

TEST(HostCpuTest, KernelsThatUseNoMoreThanThereIsAreAccepted) {
  EXPECT_TRUE(checkCpu(planFor({"avx", "avx2"}), haswell).ok());
  EXPECT_TRUE(checkCpu(planFor({}), haswell).ok());
}

TEST(HostCpuTest, MissingFeaturesAreNamedWithAWayOut) {
  std::string error =
      checkCpu(planFor({"avx2", "avx512f", "avx512vl"}), haswell).message();
  EXPECT_EQ(error,
            "the artefact's kernels (target 'cpu') use instructions that this "
            "machine's CPU lacks: avx512f, avx512vl; compile the program on "
            "this machine, or elsewhere with --target=cpu:x86-64-v3");
}

TEST(HostCpuTest, AnotherArchitectureIsNamed) {
  HostCpu arm = {"aarch64", {"lse"}};
  std::string error = checkCpu(planFor({}), arm).message();
  EXPECT_NE(error.find("architecture 'x86_64', this one is 'aarch64'"),
            std::string::npos)
      << error;
}

TEST(HostCpuTest, AProgramWithFeaturesOfNoMachineDoesNotLoad) {
  PlanBuilder builder(1);
  int32_t x = builder.addInput(abi::DType::F32, {4});
  int32_t y = builder.addOutput(abi::DType::F32, {4});
  builder.launchAddOne(x, y, 4);
  builder.plan.cpuFeatures = {"avx4096"};
  ExecutableOptions options;
  std::string error =
      Executable::create(builder.artefact, options).status().message();
  EXPECT_NE(error.find("lacks: avx4096"), std::string::npos) << error;
  // Nothing is executed there.
  options.device = "null";
  EXPECT_TRUE(Executable::create(builder.artefact, options).ok());
}

TEST(HostCoresTest, QuotasAreReadInCoresRoundedUp) {
  EXPECT_EQ(coresOfQuota("150000 100000\n"), 2);
  EXPECT_EQ(coresOfQuota("200000 100000"), 2);
  EXPECT_EQ(coresOfQuota("10000 100000"), 1);
  EXPECT_EQ(coresOfQuota("max 100000"), 0);
  EXPECT_EQ(coresOfQuota("-1\n100000\n"), 0);
  EXPECT_EQ(coresOfQuota(""), 0);
}

TEST(HostCoresTest, TheEnvironmentSetsTheDefaultNumberOfThreads) {
  EXPECT_GE(usableCores(), 1);
  setenv("TESSERA_NUM_THREADS", "3", 1);
  Result<int> threads = defaultThreads();
  ASSERT_TRUE(threads.ok());
  EXPECT_EQ(*threads, 3);
  setenv("TESSERA_NUM_THREADS", "", 1);
  EXPECT_EQ(*defaultThreads(), usableCores());
  for (const char *wrong : {"two", "0", "-1", "4x", "99999999999999999999"}) {
    setenv("TESSERA_NUM_THREADS", wrong, 1);
    EXPECT_NE(defaultThreads().status().message().find(
                  "expected a number from 1 to 1024"),
              std::string::npos)
        << wrong;
  }
  unsetenv("TESSERA_NUM_THREADS");
}

} // namespace
} // namespace tessera
