// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What every communicator must do, against collectives written element by
// element.
#include "tessera-rt/Registry.h"
#include "test/runtime/PlanBuilder.h"
#include "test/runtime/RanksInThreads.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <thread>

namespace tessera {
using namespace rt;
using namespace test;
using abi::DType;
using abi::Step;
using abi::StepKind;
namespace {

int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Element type T, one vector per device.
template <typename T> using Values = std::vector<std::vector<T>>;

/// A collective with groups that no digits have to express.
struct TestStep : Step {
  std::vector<std::vector<int32_t>> groups;
  std::vector<int32_t> targets;
};

class CommunicatorTest : public ::testing::TestWithParam<std::string> {
protected:
  /// Each rank on a thread of its own, with the buffers of its devices only.
  template <typename T>
  Values<T> run(const TestStep &step, const Values<T> &inputs,
                int threads = 2) {
    Collective collective(step);
    collective.groups = step.groups;
    collective.targets = step.targets;
    Values<T> outputs(inputs.size());
    for (std::vector<T> &output : outputs)
      output.assign(abi::numElements(step.outputShape), T(77));
    CommunicatorOptions options;
    options.numDevices = static_cast<int>(inputs.size());
    options.pool = ThreadPool::shared(threads);
    RanksInThreads ranks(GetParam() == "two-ranks" ? 2 : 1);
    std::vector<std::thread> processes;
    for (int rank = 0; rank < ranks.numRanks(); ++rank)
      processes.emplace_back([&, rank] {
        auto communicator = GetParam() == "two-ranks"
                                ? ranks.create(rank, options)
                                : createCommunicator(GetParam(), options);
        ASSERT_TRUE(communicator.ok()) << communicator.status().message();
        std::vector<const void *> in;
        std::vector<void *> out;
        for (int32_t device : (*communicator)->localDevices()) {
          in.push_back(inputs[device].data());
          out.push_back(outputs[device].data());
        }
        CollectiveBuffers buffers;
        buffers.inputs = in.data();
        buffers.outputs = out.data();
        Status status = (*communicator)->run(collective, buffers);
        EXPECT_TRUE(status.ok()) << status.message();
      });
    for (std::thread &process : processes)
      process.join();
    return outputs;
  }
};

TestStep makeStep(StepKind kind, DType dtype, Shape in, Shape out,
                  std::vector<std::vector<int32_t>> groups) {
  TestStep step;
  step.kind = kind;
  step.dtype = dtype;
  step.inputShape = std::move(in);
  step.outputShape = std::move(out);
  step.groups = std::move(groups);
  return step;
}

Values<float> distinct(int devices, int64_t count) {
  Values<float> values(devices);
  for (int d = 0; d < devices; ++d)
    for (int64_t i = 0; i < count; ++i)
      values[d].push_back(static_cast<float>(1000 * d + i + 1));
  return values;
}

const std::vector<std::vector<int32_t>> twoGroups = {{0, 2, 4}, {5, 3, 1}};

TEST_P(CommunicatorTest, AllReduceSumsWithinEachGroup) {
  TestStep step = makeStep(StepKind::AllReduce, DType::F32, {5, 2000},
                           {5, 2000}, twoGroups);
  Values<float> in = distinct(6, 10000), out = run(step, in);
  for (const std::vector<int32_t> &group : twoGroups)
    for (int64_t i = 0; i < 10000; ++i) {
      float sum = in[group[0]][i] + in[group[1]][i] + in[group[2]][i];
      for (int32_t device : group)
        ASSERT_EQ(out[device][i], sum);
    }
}

TEST_P(CommunicatorTest, SumsHaveTheSameBitsForEveryNumberOfThreads) {
  TestStep step =
      makeStep(StepKind::AllReduce, DType::F32, {9000}, {9000}, {{0, 1, 2}});
  Values<float> in = distinct(3, 9000);
  for (std::vector<float> &values : in)
    for (float &value : values)
      value = 1 / value;
  Values<float> one = run(step, in, 1);
  EXPECT_EQ(one, run(step, in, 4));
  EXPECT_EQ(one[0], one[2]);
}

template <typename T>
void expectReductions(DType dtype, const Values<T> &in,
                      const std::vector<std::vector<T>> &expected,
                      const std::function<Values<T>(const TestStep &)> &run) {
  int64_t count = static_cast<int64_t>(in[0].size());
  for (int r = 0; r < 4; ++r) {
    if (expected[r].empty())
      continue;
    TestStep step =
        makeStep(StepKind::AllReduce, dtype, {count}, {count}, {{0, 1}});
    step.reduction = static_cast<abi::Reduction>(r);
    EXPECT_EQ(run(step)[1], expected[r])
        << abi::toString(dtype) << " reduction " << r;
  }
}

TEST_P(CommunicatorTest, EveryElementTypeIsReducedInItsOwnArithmetic) {
  auto check = [&](auto sample, DType dtype, auto in, auto expected) {
    using T = decltype(sample);
    expectReductions<T>(dtype, in, expected,
                        [&](const TestStep &step) { return run<T>(step, in); });
  };
  check(float(), DType::F32, Values<float>{{1.5, -2}, {2, 4}},
        Values<float>{{3.5, 2}, {2, 4}, {1.5, -2}, {3, -8}});
  check(double(), DType::F64, Values<double>{{1.5, -2}, {2, 4}},
        Values<double>{{3.5, 2}, {2, 4}, {1.5, -2}, {3, -8}});
  check(int32_t(), DType::I32, Values<int32_t>{{INT32_MAX, -2}, {1, 4}},
        Values<int32_t>{{INT32_MIN, 2}, {INT32_MAX, 4}, {1, -2}, {}});
  check(int64_t(), DType::I64, Values<int64_t>{{1LL << 40, -2}, {1, 4}},
        Values<int64_t>{
            {(1LL << 40) + 1, 2}, {1LL << 40, 4}, {1, -2}, {1LL << 40, -8}});
  check(uint32_t(), DType::UI32, Values<uint32_t>{{4000000000u}, {1}},
        Values<uint32_t>{{4000000001u}, {4000000000u}, {1}, {4000000000u}});
  check(uint8_t(), DType::I1, Values<uint8_t>{{0, 1, 1}, {0, 0, 1}},
        Values<uint8_t>{{}, {0, 1, 1}, {0, 0, 1}, {0, 0, 1}});
  // 0x3f80 is 1 and 0x3c00 is 2^-7, one unit in the last place of 1; 0x4000 is
  // 2 and 0xff80 minus infinity.
  check(uint16_t(), DType::BF16,
        Values<uint16_t>{{0x3f80, 0xff80}, {0x3c00, 0x4000}},
        Values<uint16_t>{{0x3f81, 0xff80},
                         {0x3f80, 0x4000},
                         {0x3c00, 0xff80},
                         {0x3c00, 0xff80}});
  // 0x3c00 is 1, 0x4200 is 3, 0xc000 is -2 and 0x7c00 infinity.
  check(uint16_t(), DType::F16,
        Values<uint16_t>{{0x3c00, 0x7c00}, {0x4200, 0xc000}},
        Values<uint16_t>{{0x4400, 0x7c00},
                         {0x4200, 0x7c00},
                         {0x3c00, 0xc000},
                         {0x4200, 0xfc00}});
}

TEST_P(CommunicatorTest, HalvesAreRoundedOnceAfterAllTerms) {
  // 1 + 2^-8 + 2^-8 = 1 + 2^-7: each term alone would be lost in bf16.
  Values<uint16_t> in = {{0x3f80}, {0x3b80}, {0x3b80}};
  TestStep step =
      makeStep(StepKind::AllReduce, DType::BF16, {1}, {1}, {{0, 1, 2}});
  EXPECT_EQ(run(step, in)[0][0], 0x3f81);
}

TEST_P(CommunicatorTest, NaNSurvivesEveryReduction) {
  Values<float> in = {{1}, {NAN}};
  for (int r = 0; r < 4; ++r) {
    TestStep step =
        makeStep(StepKind::AllReduce, DType::F32, {1}, {1}, {{0, 1}});
    step.reduction = static_cast<abi::Reduction>(r);
    EXPECT_TRUE(std::isnan(run(step, in)[0][0])) << r;
  }
}

TEST_P(CommunicatorTest, AllGatherJoinsInGroupOrderAndDropsPadding) {
  // 7 elements in chunks of 3: the last chunk has 1.
  TestStep step = makeStep(StepKind::AllGather, DType::F32, {2, 3, 5},
                           {2, 7, 5}, twoGroups);
  step.dim = 1;
  Values<float> in = distinct(6, 30), out = run(step, in);
  for (const std::vector<int32_t> &group : twoGroups)
    for (int32_t device : group)
      for (int64_t a = 0; a < 2; ++a)
        for (int64_t b = 0; b < 7; ++b)
          for (int64_t c = 0; c < 5; ++c)
            ASSERT_EQ(out[device][(a * 7 + b) * 5 + c],
                      in[group[b / 3]][(a * 3 + b % 3) * 5 + c]);
}

TEST_P(CommunicatorTest, AllSliceKeepsOwnChunkAndPadsWithZeros) {
  TestStep step =
      makeStep(StepKind::AllSlice, DType::F32, {2, 4, 3}, {2, 2, 3}, twoGroups);
  step.dim = 1;
  Values<float> in = distinct(6, 24), out = run(step, in);
  for (const std::vector<int32_t> &group : twoGroups)
    for (int64_t m = 0; m < 3; ++m)
      for (int64_t a = 0; a < 2; ++a)
        for (int64_t b = 0; b < 2; ++b)
          for (int64_t c = 0; c < 3; ++c) {
            int64_t from = m * 2 + b;
            ASSERT_EQ(out[group[m]][(a * 2 + b) * 3 + c],
                      from < 4 ? in[group[m]][(a * 4 + from) * 3 + c] : 0);
          }
}

TEST_P(CommunicatorTest, ReduceScatterEqualsAllReduceThenAllSlice) {
  for (int64_t size : {3, 6, 7, 8}) {
    Shape whole = {2, size, 3000}, part = {2, ceilDiv(size, 3), 3000};
    TestStep scatter =
        makeStep(StepKind::ReduceScatter, DType::F32, whole, part, twoGroups);
    TestStep reduce =
        makeStep(StepKind::AllReduce, DType::F32, whole, whole, twoGroups);
    TestStep slice =
        makeStep(StepKind::AllSlice, DType::F32, whole, part, twoGroups);
    scatter.dim = slice.dim = 1;
    Values<float> in = distinct(6, abi::numElements(whole));
    EXPECT_EQ(run(scatter, in), run(slice, run(reduce, in))) << size;
  }
}

TEST_P(CommunicatorTest, AllToAllEqualsAllGatherThenAllSlice) {
  for (int64_t whole : {5, 6, 7}) {
    // Dimension 0 is whole and gets cut, 2 is cut from `whole` and joined.
    Shape in = {4, 2, ceilDiv(whole, 3)}, joined = {4, 2, whole},
          out = {2, 2, whole};
    TestStep exchange =
        makeStep(StepKind::AllToAll, DType::F32, in, out, twoGroups);
    exchange.dim = 0;
    exchange.joinDim = 2;
    TestStep gather =
        makeStep(StepKind::AllGather, DType::F32, in, joined, twoGroups);
    gather.dim = 2;
    TestStep slice =
        makeStep(StepKind::AllSlice, DType::F32, joined, out, twoGroups);
    slice.dim = 0;
    Values<float> values = distinct(6, abi::numElements(in));
    EXPECT_EQ(run(exchange, values), run(slice, run(gather, values))) << whole;
  }
}

TEST_P(CommunicatorTest, PermuteSendsEachValueToItsTarget) {
  TestStep step = makeStep(StepKind::Permute, DType::F32, {2}, {2}, {});
  step.targets = {2, 0, 1};
  Values<float> in = distinct(3, 2), out = run(step, in);
  for (int d = 0; d < 3; ++d)
    EXPECT_EQ(out[step.targets[d]], in[d]);
}

TEST_P(CommunicatorTest, EveryDeviceIsLocalOnOneRankInAscendingOrder) {
  CommunicatorOptions options;
  options.numDevices = 5;
  options.pool = ThreadPool::shared(1);
  RanksInThreads ranks(GetParam() == "two-ranks" ? 2 : 1);
  std::vector<int> seen(5, 0);
  for (int rank = 0; rank < ranks.numRanks(); ++rank) {
    auto communicator = GetParam() == "two-ranks"
                            ? ranks.create(rank, options)
                            : createCommunicator(GetParam(), options);
    ASSERT_TRUE(communicator.ok()) << communicator.status().message();
    EXPECT_EQ((*communicator)->rank(), rank);
    EXPECT_EQ((*communicator)->numRanks(), ranks.numRanks());
    const std::vector<int32_t> &local = (*communicator)->localDevices();
    EXPECT_TRUE(std::is_sorted(local.begin(), local.end()));
    for (int32_t device : local)
      ++seen[device];
  }
  EXPECT_EQ(seen, std::vector<int>(5, 1));
}

/// The registered ones, and the test's own of several ranks.
std::vector<std::string> allCommunicators() {
  std::vector<std::string> names = communicatorNames();
  names.push_back("two-ranks");
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, CommunicatorTest,
                         ::testing::ValuesIn(allCommunicators()),
                         [](const auto &info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

} // namespace
} // namespace tessera
