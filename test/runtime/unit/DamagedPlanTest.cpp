// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Damage that no checksum reveals: a plan is refused with a sentence, or it
// loads and runs within its buffers (which the sanitizers watch).
#include "tessera-rt/Program.h"
#include "tessera/ABI/PlanCodec.h"
#include "test/runtime/SamplePlan.h"

#include <gtest/gtest.h>

#include <climits>
#include <cstring>
#include <random>

namespace tessera {
using namespace rt;
using namespace test;
namespace {

/// Visits a plan's values as PlanCodec does and changes the one that has number
/// `target`. A vector's length and a string are one value each.
class Damage {
public:
  Damage(int64_t target, int64_t value) : target(target), value(value) {}

  template <typename... T> void operator()(T &...values) {
    (change(values), ...);
  }
  /// Values seen.
  int64_t count = 0;

private:
  template <typename T> void change(T &field) {
    if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
      if (count++ == target)
        field = static_cast<T>(value);
    } else {
      field.visit(*this);
    }
  }
  void change(std::string &field) {
    if (count++ == target)
      field.resize(value & 7, '\xff');
  }
  template <typename T> void change(std::vector<T> &field) {
    if (count++ == target)
      field.resize(value & 7);
    for (T &item : field)
      change(item);
  }

  int64_t target, value;
};

/// Runs an accepted program on the null device, which does all but kernels.
void runWithoutKernels(const abi::Artefact &artefact) {
  const abi::Plan &plan = artefact.plan;
  ASSERT_LE(plan.arenaBytes, 1 << 20);
  ExecutableOptions options;
  options.device = "null";
  options.threads = 1;
  auto executable = Executable::create(artefact, options);
  if (!executable.ok()) {
    EXPECT_NE(executable.status().message(), "");
    return;
  }
  std::vector<std::vector<char>> memory;
  std::vector<Executable::Input> inputs;
  std::vector<void *> outputs;
  auto give = [&](const abi::Tensor &tensor) {
    int64_t bytes = abi::numElements(tensor.shape) * abi::sizeOf(tensor.dtype);
    memory.emplace_back(bytes + 1);
    return static_cast<void *>(memory.back().data());
  };
  for (const std::vector<abi::Tensor> *tensors : {&plan.inputs, &plan.outputs})
    for (const abi::Tensor &tensor : *tensors)
      if (abi::numElements(tensor.shape) > 1 << 24)
        return; // Takes no memory of its own: the caller would bring it.
  for (const abi::Block &block : plan.blocks)
    for (const abi::Step &step : block.steps)
      if (step.kind == abi::StepKind::Loop && step.count > 1000)
        return; // Runs, for hours.
  for (const abi::Tensor &tensor : plan.inputs) {
    inputs.emplace_back();
    if (tensor.captured < 0)
      inputs.back().data = give(tensor);
  }
  for (const abi::Tensor &tensor : plan.outputs)
    outputs.push_back(give(tensor));
  Status status = (*executable)->run(inputs.data(), outputs.data());
  if (!status.ok())
    EXPECT_NE(status.message(), "");
}

constexpr size_t header = sizeof(abi::ArtefactHeader);

/// As whoever damaged it on purpose would.
void writeChecksum(std::string &bytes) {
  uint64_t checksum =
      abi::checksumOf(bytes.data() + header, bytes.size() - header);
  bytes.replace(offsetof(abi::ArtefactHeader, checksum), 8,
                reinterpret_cast<const char *>(&checksum), 8);
}

/// Loads and, if that succeeds, runs.
void use(const std::string &bytes) {
  auto loaded = loadArtefact(bytes.data(), bytes.size());
  if (loaded.ok())
    runWithoutKernels(*loaded);
  else
    EXPECT_NE(loaded.status().message(), "");
}

class DamagedPlanTest : public ::testing::TestWithParam<abi::Artefact (*)()> {};

TEST_P(DamagedPlanTest, EveryValueMayBeWrong) {
  Damage counter(-1, 0);
  abi::Artefact sample = GetParam()();
  ASSERT_EQ(validatePlan(sample).message(), "");
  counter(sample.plan);
  ASSERT_GT(counter.count, 100);
  int accepted = 0;
  for (int64_t target = 0; target < counter.count; ++target)
    for (int64_t value :
         {int64_t(0), int64_t(1), int64_t(2), int64_t(3), int64_t(5),
          int64_t(6), int64_t(24), int64_t(64), int64_t(128), int64_t(255),
          int64_t(-1), int64_t(-64), int64_t(INT_MAX), int64_t(1) << 32,
          int64_t(1) << 40, INT64_MAX, INT64_MIN}) {
      abi::Artefact artefact = GetParam()();
      Damage damage(target, value);
      damage(artefact.plan);
      std::string bytes = abi::encodeArtefact(artefact);
      accepted += loadArtefact(bytes.data(), bytes.size()).ok();
      use(bytes);
    }
  EXPECT_GT(accepted, 0);
}

TEST_P(DamagedPlanTest, EveryTruncationBehindARightChecksumIsRefused) {
  const std::string bytes = abi::encodeArtefact(GetParam()());
  for (size_t length = header; length < bytes.size(); ++length) {
    std::string damaged = bytes.substr(0, length);
    writeChecksum(damaged);
    // Memory of its own size, so that reading past the end is seen.
    std::vector<char> exact(damaged.begin(), damaged.end());
    EXPECT_FALSE(loadArtefact(exact.data(), length).ok()) << length;
  }
}

TEST(DamagedSectionsTest, EveryNumberOfTheSectionTableMayBeWrong) {
  const std::string bytes = abi::encodeArtefact(samplePlan());
  constexpr size_t table = 3 * sizeof(abi::SectionHeader);
  for (size_t at = header; at < header + table; at += 4)
    for (uint64_t value :
         {uint64_t(0), uint64_t(1), uint64_t(2), uint64_t(3), uint64_t(4),
          uint64_t(96), uint64_t(bytes.size()), uint64_t(bytes.size()) + 1,
          uint64_t(UINT32_MAX), UINT64_MAX, UINT64_MAX - 95})
      for (size_t width : {4, 8}) {
        std::string damaged = bytes;
        damaged.replace(at, width, reinterpret_cast<const char *>(&value),
                        width);
        writeChecksum(damaged);
        use(damaged);
      }
}

TEST(DamagedSectionsTest, SectionsMayBeMissingDoubledOrMoved) {
  const std::string bytes = abi::encodeArtefact(samplePlan());
  abi::SectionHeader sections[3];
  std::memcpy(sections, bytes.data() + header, sizeof sections);
  // Every sequence of up to four of the three sections.
  int accepted = 0;
  for (int length = 0; length <= 4; ++length)
    for (int code = 0; code < (1 << 2 * length); ++code) {
      std::string table, content;
      uint64_t offset = header + length * sizeof(abi::SectionHeader);
      bool isSequence = true;
      for (int i = 0; i < length; ++i) {
        int which = code >> 2 * i & 3;
        isSequence &= which < 3;
        abi::SectionHeader section = sections[which % 3];
        content += bytes.substr(section.offset, section.size);
        section.offset = offset;
        offset += section.size;
        table.append(reinterpret_cast<const char *>(&section), sizeof section);
      }
      if (!isSequence)
        continue;
      auto count = static_cast<uint32_t>(length);
      std::string spliced = bytes.substr(0, header) + table + content;
      spliced.replace(offsetof(abi::ArtefactHeader, numSections), 4,
                      reinterpret_cast<const char *>(&count), 4);
      writeChecksum(spliced);
      accepted += loadArtefact(spliced.data(), spliced.size()).ok();
      use(spliced);
    }
  EXPECT_GT(accepted, 0);
}

TEST_P(DamagedPlanTest, SeveralRandomBytesMayBeWrong) {
  const std::string bytes = abi::encodeArtefact(GetParam()());
  std::mt19937 random(1);
  for (int round = 0; round < 30000; ++round) {
    std::string damaged = bytes;
    for (int change = 0; change < 1 + round % 3; ++change)
      damaged[header + random() % (bytes.size() - header)] =
          static_cast<char>(random());
    writeChecksum(damaged);
    use(damaged);
  }
}

INSTANTIATE_TEST_SUITE_P(Samples, DamagedPlanTest,
                         ::testing::Values(samplePlan, sampleRegions,
                                           samplePrograms));

} // namespace
} // namespace tessera
