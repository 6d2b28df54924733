// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Pools of device memory.
#include "tessera-rt/DeviceMemory.h"

#include <gtest/gtest.h>

namespace tessera::rt {
namespace {

class CountingDevice final : public HostMemoryDevice {
public:
  explicit CountingDevice(int &blocks) : blocks(blocks) {}
  const char *name() const override { return "counting"; }
  bool accepts(const std::string &) const override { return true; }
  Status load(const abi::Artefact &) override { return Status::success(); }
  Status launch(const Launch &) override { return Status::success(); }
  void *allocate(int device, size_t bytes) override {
    ++blocks;
    return HostMemoryDevice::allocate(device, bytes);
  }
  void release(int device, void *memory) override {
    --blocks;
    HostMemoryDevice::release(device, memory);
  }

private:
  int &blocks;
};

class DeviceMemoryTest : public testing::Test {
protected:
  int blocks = 0;
  std::shared_ptr<MemoryPool> pool =
      std::make_shared<MemoryPool>(std::make_shared<CountingDevice>(blocks));
};

TEST_F(DeviceMemoryTest, FreedBlocksAreKeptUpToTheLimit) {
  pool->setLimit(100);
  void *first = pool->allocate(0, 60).get();
  EXPECT_EQ(blocks, 1);
  EXPECT_EQ(pool->allocate(0, 60).get(), first);
  {
    DeviceMemory a = pool->allocate(0, 60), b = pool->allocate(0, 60);
    EXPECT_EQ(blocks, 2);
  }
  EXPECT_EQ(blocks, 1);
  pool.reset();
  EXPECT_EQ(blocks, 0);
}

/// As the arena of a program that needs none.
TEST_F(DeviceMemoryTest, BlocksOfNoBytesAreFreed) {
  pool->setLimit(100);
  for (int i = 0; i < 3; ++i) {
    DeviceMemory empty = pool->allocate(0, 0);
    EXPECT_TRUE(empty);
    EXPECT_EQ(blocks, 1);
  }
  EXPECT_EQ(blocks, 0);
  {
    DeviceMemory empty = pool->allocate(0, 0);
    pool.reset();
  }
  EXPECT_EQ(blocks, 0);
}

} // namespace
} // namespace tessera::rt
