// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Tensors that stay on the devices between runs, and what is copied for them.
#include "tessera-rt/tessera_rt.h"
#include "tessera/ABI/PlanCodec.h"
#include "test/runtime/PlanBuilder.h"

#include <gtest/gtest.h>

#include <thread>

namespace tessera {
using namespace test;
namespace {

/// y = x + 1 of [6, 8] floats, x cut along `from` and y along `to`.
TesseraRtExecutable *loadAddOne(int devices, int64_t from, int64_t to) {
  PlanBuilder builder(devices);
  int32_t x = builder.addInput(abi::DType::F32, {6, 8}, from);
  int32_t y = builder.addOutput(abi::DType::F32, {6, 8}, to);
  builder.launchAddOne(x, y, from < 0 ? 48 : 48 / devices);
  std::string bytes = abi::encodeArtefact(builder.artefact);
  TesseraRtExecutable *program =
      tesseraRtLoad(bytes.data(), bytes.size(), nullptr);
  EXPECT_TRUE(program) << tesseraRtLastError();
  return program;
}

constexpr size_t bytes = 48 * sizeof(float);

std::vector<float> join(const TesseraRtPlaced *placed) {
  std::vector<float> whole(48, -1);
  EXPECT_EQ(tesseraRtJoin(placed, whole.data(), bytes), 0)
      << tesseraRtLastError();
  return whole;
}

/// One run with one placed input; null where it fails.
TesseraRtPlaced *execute(TesseraRtExecutable *program, TesseraRtPlaced *placed,
                         bool donated = false) {
  TesseraRtInput input = {nullptr, placed};
  uint8_t flag = donated;
  TesseraRtPlaced *result = nullptr;
  tesseraRtExecute(program, &input, &flag, 1, &result, 1);
  return result;
}

TEST(PlacedTensorTest, ALoopOfRunsCutsAndJoinsNothing) {
  TesseraRtExecutable *program = loadAddOne(2, 1, 1);
  std::vector<float> x = countUp<float>(48);
  TesseraRtPlaced *state = tesseraRtPlace(program, 0, x.data(), bytes);
  EXPECT_EQ(tesseraRtTransfers(program).cut, static_cast<int64_t>(bytes));
  tesseraRtResetPeak();
  int64_t before = tesseraRtMemory().inUse;
  for (int i = 0; i < 100; ++i) {
    TesseraRtPlaced *next = execute(program, state);
    ASSERT_TRUE(next) << tesseraRtLastError();
    tesseraRtReleasePlaced(state);
    state = next;
  }
  TesseraRtTransfers counts = tesseraRtTransfers(program);
  EXPECT_EQ(counts.cut, static_cast<int64_t>(bytes));
  EXPECT_EQ(counts.joined, 0);
  // The state and the next one.
  EXPECT_EQ(tesseraRtMemory().inUse, before);
  EXPECT_EQ(tesseraRtMemory().peak, before + 2 * 128); // Aligned shards.
  std::vector<float> whole = join(state);
  for (int i = 0; i < 48; ++i)
    EXPECT_EQ(whole[i], x[i] + 100);
  EXPECT_EQ(tesseraRtTransfers(program).joined, static_cast<int64_t>(bytes));
  tesseraRtReleasePlaced(state);
  tesseraRtUnload(program);
}

TEST(PlacedTensorTest, WholeTensorsInHostMemoryAreReadInPlace) {
  for (int64_t dim : {-1, 0}) {
    TesseraRtExecutable *program = loadAddOne(2, dim, dim);
    std::vector<float> x = countUp<float>(48);
    TesseraRtInput input = {x.data(), nullptr};
    TesseraRtPlaced *result = nullptr;
    ASSERT_EQ(tesseraRtExecute(program, &input, nullptr, 1, &result, 1), 0);
    auto *whole = static_cast<const float *>(tesseraRtWhole(result));
    ASSERT_TRUE(whole);
    for (int i = 0; i < 48; ++i)
      EXPECT_EQ(whole[i], x[i] + 1);
    EXPECT_EQ(tesseraRtTransfers(program).joined, 0);
    EXPECT_EQ(tesseraRtTransfers(program).cut, 0);
    tesseraRtReleasePlaced(result);
    tesseraRtUnload(program);
  }
}

TEST(PlacedTensorTest, ShardsTellTheirDeviceBoxAndAddress) {
  TesseraRtExecutable *program = loadAddOne(2, 1, 1);
  std::vector<float> x = countUp<float>(48);
  TesseraRtPlaced *placed = tesseraRtPlace(program, 0, x.data(), bytes);
  EXPECT_FALSE(tesseraRtWhole(placed));
  ASSERT_EQ(tesseraRtShardCount(placed), 2);
  for (int64_t d = 0; d < 2; ++d) {
    TesseraRtShard shard;
    ASSERT_EQ(tesseraRtGetShard(placed, d, &shard), 0);
    EXPECT_EQ(shard.device, d);
    EXPECT_EQ(shard.rank, 2);
    EXPECT_EQ(shard.begin[1], 4 * d);
    EXPECT_EQ(shard.valid[1], 4);
    EXPECT_EQ(shard.localShape[0], 6);
    EXPECT_EQ(shard.replica, 0);
    EXPECT_EQ(static_cast<float *>(shard.address)[4], x[8 + 4 * d]);
    std::vector<float> copy(24);
    ASSERT_EQ(tesseraRtCopyShard(placed, d, copy.data(), 96), 0);
    EXPECT_EQ(copy[4], x[8 + 4 * d]);
  }
  TesseraRtShard none;
  EXPECT_NE(tesseraRtGetShard(placed, 2, &none), 0);
  EXPECT_STREQ(tesseraRtLastError(),
               "the tensor has 2 shards here; it does not have shard 2");
  tesseraRtReleasePlaced(placed);
  tesseraRtUnload(program);
}

TEST(PlacedTensorTest, ShardsAreCopiedTogetherWithHostMemory) {
  // 6 x 8 over 5 devices: uneven rows, then uneven columns; the last has none.
  for (int64_t dim : {0, 1}) {
    TesseraRtExecutable *program = loadAddOne(5, dim, dim);
    std::vector<float> x = countUp<float>(48);
    TesseraRtPlaced *placed = tesseraRtPlace(program, 0, x.data(), bytes);
    // Several units of copying, with an odd begin and end.
    std::vector<char> host(5'000'001), hostCopy(host.size() + 2, 'x');
    for (size_t i = 0; i < host.size(); ++i)
      host[i] = static_cast<char>(i * 7 + i / 4096);
    std::vector<std::vector<float>> copied(5), expected(5);
    std::vector<TesseraRtCopy> copies;
    for (int64_t d = 0; d < 5; ++d) {
      TesseraRtShard shard;
      ASSERT_EQ(tesseraRtGetShard(placed, d, &shard), 0);
      size_t size = shard.valid[0] * shard.valid[1];
      copied[d].resize(size);
      expected[d].resize(size);
      ASSERT_EQ(tesseraRtCopyShard(placed, d, expected[d].data(), 4 * size), 0);
      copies.push_back({copied[d].data(), 4 * size, placed, d, nullptr});
    }
    copies.insert(copies.begin() + 2,
                  {hostCopy.data() + 1, host.size(), nullptr, 0, host.data()});
    ASSERT_EQ(tesseraRtCopyAll(copies.data(), copies.size()), 0);
    EXPECT_EQ(copied, expected);
    EXPECT_TRUE(std::equal(host.begin(), host.end(), hostCopy.begin() + 1));
    EXPECT_EQ(hostCopy.front(), 'x');
    EXPECT_EQ(hostCopy.back(), 'x');
    copies[0].size += 4;
    EXPECT_NE(tesseraRtCopyAll(copies.data(), copies.size()), 0);
    copies[0].size -= 4;
    copies[0].shard = 5;
    EXPECT_NE(tesseraRtCopyAll(copies.data(), copies.size()), 0);
    EXPECT_STREQ(tesseraRtLastError(),
                 "the tensor has 5 shards here; it does not have shard 5");
    tesseraRtReleasePlaced(placed);
    tesseraRtUnload(program);
  }
}

TEST(PlacedTensorTest, ReshardingIsCountedAndKeepsValues) {
  for (int64_t from : {-1, 0, 1})
    for (int64_t to : {-1, 0, 1}) {
      TesseraRtExecutable *first = loadAddOne(3, from, from);
      TesseraRtExecutable *second = loadAddOne(3, to, to);
      std::vector<float> x = countUp<float>(48);
      TesseraRtPlaced *a = tesseraRtPlace(first, 0, x.data(), bytes);
      EXPECT_EQ(tesseraRtPlacement(a) == tesseraRtInputPlacement(second, 0),
                from == to);
      TesseraRtPlaced *b = tesseraRtReshard(second, 0, a);
      ASSERT_TRUE(b) << tesseraRtLastError();
      EXPECT_EQ(tesseraRtPlacement(b), tesseraRtInputPlacement(second, 0));
      EXPECT_EQ(join(b), x);
      EXPECT_GE(tesseraRtTransfers(second).resharded,
                static_cast<int64_t>(bytes));
      for (TesseraRtPlaced *placed : {a, b})
        tesseraRtReleasePlaced(placed);
      tesseraRtUnload(first);
      tesseraRtUnload(second);
    }
}

TEST(PlacedTensorTest, DonatedTensorsAreGoneAndTheirMemoryIsReused) {
  TesseraRtExecutable *program = loadAddOne(2, 1, 1);
  std::vector<float> x = countUp<float>(48);
  TesseraRtPlaced *placed = tesseraRtPlace(program, 0, x.data(), bytes);
  TesseraRtPlaced *next = execute(program, placed, /*donated=*/true);
  ASSERT_TRUE(next) << tesseraRtLastError();
  EXPECT_TRUE(tesseraRtIsConsumed(placed));
  EXPECT_FALSE(tesseraRtIsConsumed(next));
  std::vector<float> whole(48);
  EXPECT_NE(tesseraRtJoin(placed, whole.data(), bytes), 0);
  EXPECT_NE(std::string(tesseraRtLastError()).find("donated"),
            std::string::npos);
  EXPECT_FALSE(execute(program, placed));
  EXPECT_NE(std::string(tesseraRtLastError()).find("input 0 was donated"),
            std::string::npos);
  EXPECT_EQ(join(next)[47], x[47] + 1);
  tesseraRtReleasePlaced(placed);
  tesseraRtReleasePlaced(next);
  tesseraRtUnload(program);
}

TEST(PlacedTensorTest, AFailedCallLeavesDonatedTensorsAlone) {
  TesseraRtExecutable *program = loadAddOne(2, 1, 1);
  TesseraRtExecutable *other = loadAddOne(2, 0, 0);
  std::vector<float> x = countUp<float>(48);
  TesseraRtPlaced *placed = tesseraRtPlace(program, 0, x.data(), bytes);
  EXPECT_FALSE(execute(other, placed, /*donated=*/true));
  EXPECT_NE(std::string(tesseraRtLastError())
                .find("input 0 ('x') needs a tensor placed as f32[6, 8]"),
            std::string::npos)
      << tesseraRtLastError();
  EXPECT_FALSE(tesseraRtIsConsumed(placed));
  EXPECT_EQ(join(placed), x);
  tesseraRtReleasePlaced(placed);
  tesseraRtUnload(program);
  tesseraRtUnload(other);
}

TEST(PlacedTensorTest, LayoutsPlaceTensorsBeforeThereIsAProgram) {
  std::vector<float> x = countUp<float>(48);
  const int64_t shape[] = {6, 8}, digits[] = {0, 1, 1, 2};
  TesseraRtLayout layout = {"cpu",        "f32",  2, shape,
                            "[{}, {tp}]", "tp=2", 2, digits};
  TesseraRtPlaced *placed = tesseraRtPlaceLayout(&layout, x.data(), bytes);
  ASSERT_TRUE(placed) << tesseraRtLastError();
  TesseraRtExecutable *program = loadAddOne(2, 1, 1);
  EXPECT_EQ(tesseraRtPlacement(placed), tesseraRtInputPlacement(program, 0));
  TesseraRtPlaced *result = execute(program, placed);
  ASSERT_TRUE(result) << tesseraRtLastError();
  EXPECT_EQ(tesseraRtTransfers(program).cut, 0);
  EXPECT_EQ(join(result)[9], x[9] + 1);
  for (TesseraRtPlaced *each : {placed, result})
    tesseraRtReleasePlaced(each);
  layout.dtype = "f31";
  EXPECT_FALSE(tesseraRtPlaceLayout(&layout, x.data(), bytes));
  EXPECT_STREQ(tesseraRtLastError(), "unknown element type 'f31'");
  tesseraRtUnload(program);
}

TEST(PlacedTensorTest, ATensorOutlivesItsProgram) {
  TesseraRtExecutable *program = loadAddOne(2, 1, 1);
  std::vector<float> x = countUp<float>(48);
  TesseraRtInput input = {x.data(), nullptr};
  TesseraRtPlaced *result = nullptr;
  ASSERT_EQ(tesseraRtExecute(program, &input, nullptr, 1, &result, 1), 0);
  tesseraRtUnload(program);
  EXPECT_EQ(join(result)[47], x[47] + 1);
  tesseraRtReleasePlaced(result);
}

TEST(PlacedTensorTest, ReadersOfADonatedTensorSeeItWholeOrNotAtAll) {
  TesseraRtExecutable *program = loadAddOne(2, 1, 1);
  std::vector<float> x = countUp<float>(48);
  for (int round = 0; round < 50; ++round) {
    TesseraRtPlaced *placed = tesseraRtPlace(program, 0, x.data(), bytes);
    std::thread reader([&] {
      for (int i = 0; i < 20; ++i) {
        std::vector<float> whole(48);
        if (tesseraRtJoin(placed, whole.data(), bytes) == 0)
          EXPECT_EQ(whole, x);
      }
    });
    TesseraRtPlaced *next = execute(program, placed, /*donated=*/true);
    reader.join();
    ASSERT_TRUE(next) << tesseraRtLastError();
    EXPECT_EQ(join(next)[0], x[0] + 1);
    for (TesseraRtPlaced *each : {placed, next})
      tesseraRtReleasePlaced(each);
  }
  tesseraRtUnload(program);
}

TEST(PlacedTensorTest, ATiedResultTakesTheMemoryOfADonatedInput) {
  PlanBuilder builder(2);
  int32_t x = builder.addInput(abi::DType::F32, {6, 8}, 1);
  builder.addOutput(abi::DType::F32, {6, 8}, 1);
  builder.plan.inputs[0].donated = true;
  builder.plan.outputs[0].tied = 0;
  builder.plan.outputs[0].buffer = x;
  builder.plan.buffers.pop_back(); // The output's own.
  builder.launchAddOne(x, x, 24);
  std::string artefact = abi::encodeArtefact(builder.artefact);
  TesseraRtExecutable *program =
      tesseraRtLoad(artefact.data(), artefact.size(), nullptr);
  ASSERT_TRUE(program) << tesseraRtLastError();
  std::vector<float> values = countUp<float>(48);
  TesseraRtPlaced *state = tesseraRtPlace(program, 0, values.data(), bytes);
  tesseraRtResetPeak();
  int64_t before = tesseraRtMemory().inUse;
  for (int i = 0; i < 5; ++i) {
    TesseraRtShard old, now;
    ASSERT_EQ(tesseraRtGetShard(state, 1, &old), 0);
    TesseraRtPlaced *next = execute(program, state, /*donated=*/true);
    ASSERT_TRUE(next) << tesseraRtLastError();
    ASSERT_EQ(tesseraRtGetShard(next, 1, &now), 0);
    EXPECT_EQ(old.address, now.address);
    tesseraRtReleasePlaced(state);
    state = next;
  }
  EXPECT_EQ(tesseraRtMemory().peak, before); // One state.
  // Not donated, it is copied.
  TesseraRtPlaced *other = execute(program, state, /*donated=*/false);
  ASSERT_TRUE(other) << tesseraRtLastError();
  EXPECT_EQ(join(state)[47], values[47] + 5);
  EXPECT_EQ(join(other)[47], values[47] + 6);
  for (TesseraRtPlaced *each : {state, other})
    tesseraRtReleasePlaced(each);
  tesseraRtUnload(program);
}

} // namespace
} // namespace tessera
