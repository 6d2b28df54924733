// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The cuda device on a driver that fails on demand (FakeCuda.h).
#include "runtime/devices/cuda/CudaDevice.h"
#include "test/runtime/FakeCuda.h"
#include "test/runtime/PlanBuilder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <dlfcn.h>
#include <map>

namespace tessera {
using namespace rt;
using namespace test;
namespace {

class CudaDeviceTest : public ::testing::Test {
protected:
  void SetUp() override {
    void *library = dlopen(TESSERA_TEST_FAKE_CUDA, RTLD_NOW | RTLD_LOCAL);
    ASSERT_TRUE(library) << dlerror();
    accessor =
        reinterpret_cast<FakeCuda *(*)()>(dlsym(library, fakeCudaAccessor));
    ASSERT_TRUE(accessor);
    fake().reset();
    Result<CudaDriver> loaded = CudaDriver::load(TESSERA_TEST_FAKE_CUDA);
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    driver = *loaded;
    options.count = 3;
    options.timeoutMs = 200;
    PlanBuilder builder(3);
    builder.plan.target = "cuda:sm_90a";
    builder.artefact.objects.push_back(kernelObject(/*emulated=*/false));
    builder.launchAddOne(0, 1, 8);
    artefact = builder.artefact;
  }

  FakeCuda &fake() { return *accessor(); }

  /// Runs y = x + 1 on three devices and copies in all ways; the first error.
  Status useDevice() {
    Result<std::unique_ptr<Device>> created = createCudaDevice(driver, options);
    if (!created.ok())
      return created.status();
    Device &device = **created;
    if (Status status = device.load(artefact); !status.ok())
      return status;
    std::vector<std::vector<void *>> memory(3);
    Status status = Status::success();
    for (int d = 0; d < 3; ++d)
      for (int i = 0; i < 3; ++i) {
        memory[d].push_back(device.allocate(d, 32));
        if (!memory[d].back())
          status = Status::error("no memory left");
      }
    if (status.ok())
      status = compute(device, memory);
    for (int d = 0; d < 3; ++d)
      for (void *block : memory[d])
        if (block)
          device.release(d, block);
    return status;
  }

  Status compute(Device &device,
                 const std::vector<std::vector<void *>> &memory) {
    for (int d = 0; d < 3; ++d) {
      std::vector<float> x = {1, 2, 3, 4, 5, 6, 7, d * 10.f};
      if (Status status = device.copyIn(d, memory[d][0], x.data(), 32);
          !status.ok())
        return status;
      x.assign(8, -1);
      for (size_t size : {1, 2, 4, 8})
        if (Status status =
                device.fill(d, memory[d][1], std::string(size, 'x'), 32);
            !status.ok())
          return status;
    }
    const void *const *rows[3];
    for (int d = 0; d < 3; ++d)
      rows[d] = memory[d].data();
    std::vector<int64_t> bytes = {32, 32};
    std::vector<int> devices = {0, 1, 2};
    Launch launch;
    launch.devices = &devices;
    launch.args = const_cast<void *const *const *>(
        reinterpret_cast<const void *const *const *>(rows));
    launch.bytes = &bytes;
    if (Status status = device.launch(launch); !status.ok())
      return status;
    for (int d = 0; d < 3; ++d)
      if (Status status = device.copy(d, memory[d][2], memory[d][1], 32);
          !status.ok())
        return status;
    if (Status status = device.synchronize(); !status.ok())
      return status;
    for (int d = 0; d < 3; ++d) {
      std::vector<float> y(8);
      if (Status status = device.copyOut(d, y.data(), memory[d][2], 32);
          !status.ok())
        return status;
      EXPECT_EQ(y, (std::vector<float>{2, 3, 4, 5, 6, 7, 8, d * 10.f + 1}));
    }
    return Status::success();
  }

  FakeCuda *(*accessor)() = nullptr;
  CudaDriver driver;
  DeviceOptions options;
  abi::Artefact artefact;
};

TEST_F(CudaDeviceTest, ThreeDevicesComputeOnTwoGpusAndGiveAllBack) {
  Status status = useDevice();
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(fake().live, 0);
  EXPECT_EQ(fake().contextDepth, 0u);
}

TEST_F(CudaDeviceTest, EveryFailingCallIsAnErrorThatNamesItAndLeaksNothing) {
  ASSERT_TRUE(useDevice().ok());
  std::map<std::string, int> counts;
  for (const std::string &name : fake().calls)
    ++counts[name];
  // What gives back cannot be reported, and its failure changes nothing.
  const std::vector<std::string> silent = {
      "cuCtxPopCurrent", "cuDevicePrimaryCtxRelease", "cuMemFree",
      "cuModuleUnload", "cuStreamDestroy"};
  int failing = 0;
  for (const auto &[name, count] : counts) {
    if (std::count(silent.begin(), silent.end(), name) || name == "cuInit")
      continue;
    for (int after = 0; after < std::min(count, 2); ++after) {
      fake().reset();
      fake().failures[name] = {after, 2};
      Status status = useDevice();
      ASSERT_FALSE(status.ok()) << name << " " << after;
      bool isAllocation = status.message() == "no memory left";
      if (!isAllocation) {
        EXPECT_NE(status.message().find(
                      name + ": CUDA_ERROR_OUT_OF_MEMORY (out of memory)"),
                  std::string::npos)
            << status.message();
      }
      EXPECT_EQ(fake().live, 0) << name << " " << after;
      EXPECT_EQ(fake().contextDepth, 0u) << name << " " << after;
      ++failing;
    }
  }
  EXPECT_GE(failing, 25);
}

TEST_F(CudaDeviceTest, AnErrorThatTheDriverCannotNameIsItsNumber) {
  fake().failures["cuStreamCreate"] = {0, 999};
  EXPECT_EQ(useDevice().message(), "cuStreamCreate: error 999");
}

TEST_F(CudaDeviceTest, AMachineWithoutGpusSaysWhatElseRuns) {
  fake().gpus = 0;
  std::string message = useDevice().message();
  EXPECT_NE(message.find("sees no GPU"), std::string::npos) << message;
  EXPECT_NE(message.find("'cpu' or 'emulated'"), std::string::npos) << message;
}

TEST_F(CudaDeviceTest, CodeForAnotherArchitectureIsRefusedWithTheRightTarget) {
  fake().major = 8;
  fake().minor = 6;
  std::string message = useDevice().message();
  EXPECT_EQ(message, "GPU 0 (compute capability 8.6) cannot run code for "
                     "target 'cuda:sm_90a'; compile for the GPU: cuda:sm_80 "
                     "for 8.x, cuda:sm_90a for 9.0, cuda:sm_100a for 10.0");
  artefact.plan.target = "cuda:sm_80";
  EXPECT_TRUE(useDevice().ok());
}

TEST_F(CudaDeviceTest, AMissingKernelIsNamed) {
  artefact.plan.kernels[0].symbol = "absent";
  std::string message = useDevice().message();
  EXPECT_NE(message.find("kernel 'add_one_0': cuModuleGetFunction"),
            std::string::npos)
      << message;
}

TEST_F(CudaDeviceTest, AGridThatNoGpuTakesIsRefused) {
  artefact.plan.kernels[0].grid = {1, 65536};
  EXPECT_NE(useDevice().message().find(
                "kernel 'add_one_0': 65536 blocks along grid dimension 1"),
            std::string::npos);
}

TEST_F(CudaDeviceTest, MuchSharedMemoryIsAskedForBeforeTheLaunch) {
  artefact.plan.kernels[0].sharedBytes = 99 * 1024;
  Status status = useDevice();
  EXPECT_TRUE(status.ok()) << status.message();
  const std::vector<std::string> &calls = fake().calls;
  // Once on each of the two GPUs.
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "cuFuncSetAttribute"), 2);
  fake().reset();
  fake().failures["cuFuncSetAttribute"] = {0, 2};
  EXPECT_NE(useDevice().message().find(
                "kernel 'add_one_0': cuFuncSetAttribute: CUDA_ERROR"),
            std::string::npos);
}

TEST_F(CudaDeviceTest, MoreSharedMemoryThanTheGpuHasIsRefused) {
  fake().sharedBytes = 64 * 1024;
  artefact.plan.kernels[0].sharedBytes = 65 * 1024;
  EXPECT_NE(useDevice().message().find(
                "kernel 'add_one_0': 66560 bytes of shared memory, a block of "
                "this GPU has at most 65536"),
            std::string::npos);
}

TEST_F(CudaDeviceTest, AKernelThatNeverEndsIsAnErrorAndNothingWaitsForIt) {
  fake().hangs = true;
  std::string message = useDevice().message();
  EXPECT_NE(message.find("did not finish within 200 ms"), std::string::npos)
      << message;
  // Releasing would wait for the kernel.
  const std::vector<std::string> &calls = fake().calls;
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "cuMemFree"), 0);
  // A copy would be done when the kernel ends, to memory that is gone.
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "cuMemcpyHtoDAsync"), 0);
}

TEST(CudaDriverTest, AMissingDriverSaysWhatIsMissingAndTheWayOut) {
  Result<CudaDriver> driver = CudaDriver::load("no-such-libcuda.so");
  ASSERT_FALSE(driver.ok());
  const std::string &message = driver.status().message();
  EXPECT_NE(message.find("no-such-libcuda.so"), std::string::npos) << message;
  EXPECT_NE(message.find("'cpu' or 'emulated'"), std::string::npos) << message;
}

TEST(CudaDriverTest, AnOldDriverNamesTheFunctionItLacks) {
  // Any library that is no driver.
  Result<CudaDriver> driver = CudaDriver::load(TESSERA_TEST_CPU_OBJECT);
  ASSERT_FALSE(driver.ok());
  EXPECT_NE(driver.status().message().find("lacks cuInit"), std::string::npos)
      << driver.status().message();
}

TEST_F(CudaDeviceTest, ADriverThatDoesNotStartSaysSo) {
  fake().failures["cuInit"] = {0, 100};
  Result<CudaDriver> again = CudaDriver::load(TESSERA_TEST_FAKE_CUDA);
  ASSERT_FALSE(again.ok());
  EXPECT_NE(again.status().message().find("cuInit: error 100"),
            std::string::npos)
      << again.status().message();
}

} // namespace
} // namespace tessera
