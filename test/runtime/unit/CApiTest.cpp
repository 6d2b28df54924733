// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The C interface as Python uses it.
#include "tessera-rt/tessera_rt.h"
#include "tessera/ABI/Capture.h"
#include "tessera/ABI/PlanCodec.h"
#include "test/runtime/PlanBuilder.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>

namespace tessera {
using namespace test;
namespace {

/// x + 1 of 24 floats in rows of 4, rows cut over the devices.
std::string addOneProgram(int devices) {
  PlanBuilder builder(devices);
  int32_t x = builder.addInput(abi::DType::F32, {6, 4}, 0);
  int32_t y = builder.addOutput(abi::DType::F32, {6, 4}, 0);
  builder.launchAddOne(x, y, 24 / devices);
  return abi::encodeArtefact(builder.artefact);
}

TesseraRtExecutable *load(const std::string &bytes, const char *options) {
  return tesseraRtLoad(bytes.data(), bytes.size(), options);
}

TEST(CApiTest, WholeTensorsGoInAndOut) {
  TesseraRtExecutable *program = load(addOneProgram(3), nullptr);
  ASSERT_TRUE(program) << tesseraRtLastError();
  std::vector<float> x = countUp<float>(24), y(24);
  TesseraRtInput input = {x.data(), nullptr};
  void *output = y.data();
  ASSERT_EQ(tesseraRtRun(program, &input, 1, &output, 1), 0)
      << tesseraRtLastError();
  for (int i = 0; i < 24; ++i)
    EXPECT_EQ(y[i], x[i] + 1);
  std::string report = tesseraRtRunReport(program);
  EXPECT_NE(report.find("\"launches\": 3"), std::string::npos) << report;
  tesseraRtUnload(program);
}

TEST(CApiTest, PlacedTensorsAreReusedAcrossExecutables) {
  std::string bytes = addOneProgram(2);
  TesseraRtExecutable *first = load(bytes, nullptr);
  TesseraRtExecutable *second = load(bytes, nullptr);
  std::vector<float> x = countUp<float>(24), y(24);
  TesseraRtPlaced *placed = tesseraRtPlace(first, 0, x.data(), 24 * 4);
  ASSERT_TRUE(placed) << tesseraRtLastError();
  tesseraRtUnload(first);
  x.assign(24, 0);
  TesseraRtInput input = {nullptr, placed};
  void *output = y.data();
  ASSERT_EQ(tesseraRtRun(second, &input, 1, &output, 1), 0);
  EXPECT_EQ(y[23], 25);
  tesseraRtReleasePlaced(placed);
  tesseraRtUnload(second);
}

TEST(CApiTest, PlacedTensorsOfAnotherLayoutAreRefused) {
  TesseraRtExecutable *two = load(addOneProgram(2), nullptr);
  TesseraRtExecutable *three = load(addOneProgram(3), nullptr);
  std::vector<float> x(24), y(24);
  TesseraRtPlaced *placed = tesseraRtPlace(two, 0, x.data(), 24 * 4);
  TesseraRtInput input = {nullptr, placed};
  void *output = y.data();
  EXPECT_NE(tesseraRtRun(three, &input, 1, &output, 1), 0);
  EXPECT_NE(std::string(tesseraRtLastError()).find("tp=2"), std::string::npos);
  tesseraRtReleasePlaced(placed);
  tesseraRtUnload(two);
  tesseraRtUnload(three);
}

TEST(CApiTest, DescribesItself) {
  TesseraRtExecutable *program = load(addOneProgram(2), R"({"device":"null"})");
  std::string text = tesseraRtDescribe(program);
  for (const char *part :
       {R"("mesh": [["tp", 2]])", R"("device": "null")", R"("target": "cpu")",
        R"("localShape": [3, 4])", R"("dtype": "f32")"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
  tesseraRtUnload(program);
}

TEST(CApiTest, ErrorsNameTheChoices) {
  std::string bytes = addOneProgram(1);
  auto errorOf = [&](const char *options) {
    EXPECT_FALSE(load(bytes, options));
    return std::string(tesseraRtLastError());
  };
  EXPECT_NE(errorOf(R"({"device": "tpu"})")
                .find("unknown device 'tpu'; this runtime has 'cpu'"),
            std::string::npos);
  EXPECT_NE(errorOf(R"({"communicator": "pigeon"})").find("'inprocess'"),
            std::string::npos);
  EXPECT_NE(errorOf(R"({"threads": "two"})").find("option 'threads'"),
            std::string::npos);
  EXPECT_NE(errorOf("{").find("not JSON"), std::string::npos);
  EXPECT_NE(errorOf(R"({"device": "emulated"})").find("target 'cpu'"),
            std::string::npos);
  EXPECT_FALSE(tesseraRtLoad("nonsense", 8, nullptr));
  EXPECT_NE(std::string(tesseraRtLastError()).find("not a Tessera artefact"),
            std::string::npos);
}

TEST(CApiTest, WrongCountsAndSizesAreRefused) {
  TesseraRtExecutable *program = load(addOneProgram(1), nullptr);
  std::vector<float> x(24);
  EXPECT_NE(tesseraRtRun(program, nullptr, 0, nullptr, 0), 0);
  EXPECT_STREQ(tesseraRtLastError(), "the program has 1 inputs, got 0");
  EXPECT_FALSE(tesseraRtPlace(program, 0, x.data(), 4));
  EXPECT_STREQ(tesseraRtLastError(), "input 0 ('x') has 96 bytes, got 4");
  EXPECT_FALSE(tesseraRtPlace(program, 1, x.data(), 4));
  tesseraRtUnload(program);
}

TEST(CApiTest, ProfilingMeasuresEachStep) {
  TesseraRtExecutable *program =
      load(addOneProgram(1), R"({"profile": true, "threads": 1})");
  std::vector<float> x(24), y(24);
  TesseraRtInput input = {x.data(), nullptr};
  void *output = y.data();
  ASSERT_EQ(tesseraRtRun(program, &input, 1, &output, 1), 0);
  std::string report = tesseraRtRunReport(program);
  EXPECT_NE(report.find("step 0 (launch of 'add_one_0')"), std::string::npos)
      << report;
  tesseraRtUnload(program);
}

TEST(CApiTest, TracingIsTurnedOnAndOff) {
  TesseraRtExecutable *program = load(addOneProgram(2), nullptr);
  std::vector<float> x(24), y(24);
  TesseraRtInput input = {x.data(), nullptr};
  void *output = y.data();
  ASSERT_EQ(tesseraRtSetTracing(program, 1), 0);
  ASSERT_EQ(tesseraRtRun(program, &input, 1, &output, 1), 0);
  std::string trace = tesseraRtTrace(program);
  for (const char *part :
       {"\"devices\": [0, 1]", "\"step\": \"step 0 (launch of 'add_one_0')\"",
        "\"kernel\": \"add_one_0\"", "\"bytes\": 96", "\"dropped\": 0",
        "\"events\": [[0, "})
    EXPECT_NE(trace.find(part), std::string::npos) << part << trace;
  ASSERT_EQ(tesseraRtSetTracing(program, 0), 0);
  ASSERT_EQ(tesseraRtRun(program, &input, 1, &output, 1), 0);
  EXPECT_EQ(trace, tesseraRtTrace(program));
  tesseraRtUnload(program);
}

TEST(CApiTest, RunningAOneKernelProgramIsCheap) {
  TesseraRtExecutable *program = load(addOneProgram(1), nullptr);
  std::vector<float> x(24), y(24);
  TesseraRtInput input = {x.data(), nullptr};
  void *output = y.data();
  constexpr int rounds = 20000;
  auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < rounds; ++i)
    ASSERT_EQ(tesseraRtRun(program, &input, 1, &output, 1), 0);
  double us = std::chrono::duration<double, std::micro>(
                  std::chrono::steady_clock::now() - begin)
                  .count() /
              rounds;
  std::printf("one run costs %.2f us\n", us);
  // The bar is 10 us; a busy machine gets leave.
  EXPECT_LT(us, 100);
  tesseraRtUnload(program);
}

TEST(CApiTest, ABoundInputHasItsValueInEveryRun) {
  std::string bytes = addOneProgram(2);
  TesseraRtExecutable *program =
      tesseraRtLoad(bytes.data(), bytes.size(), nullptr);
  ASSERT_TRUE(program) << tesseraRtLastError();
  std::vector<float> x = countUp<float>(24), y(24);
  EXPECT_NE(tesseraRtBind(program, 0, x.data(), 95), 0);
  EXPECT_STREQ(tesseraRtLastError(), "input 0 ('x') has 96 bytes, got 95");
  ASSERT_EQ(tesseraRtBind(program, 0, x.data(), 96), 0);
  TesseraRtInput none = {nullptr, nullptr};
  void *output = y.data();
  for (int round = 0; round < 2; ++round) {
    y.assign(24, 0);
    ASSERT_EQ(tesseraRtRun(program, &none, 1, &output, 1), 0)
        << tesseraRtLastError();
    for (int i = 0; i < 24; ++i)
      EXPECT_EQ(y[i], x[i] + 1);
  }
  tesseraRtUnload(program);
}

TEST(CApiTest, AnArtefactMayHaveTheValueOfAnInput) {
  std::string bytes = addOneProgram(2);
  abi::Artefact artefact;
  ASSERT_EQ(abi::decodeArtefact(bytes.data(), bytes.size(), artefact), "");
  std::vector<float> x = countUp<float>(24), y(24);
  EXPECT_EQ(abi::captureInput(artefact, 1, x.data(), 96),
            "the program has 1 inputs; it does not have input 1");
  EXPECT_EQ(abi::captureInput(artefact, 0, x.data(), 92),
            "input 0 ('x') has 96 bytes, got 92");
  ASSERT_EQ(abi::captureInput(artefact, 0, x.data(), 96), "");
  EXPECT_EQ(abi::captureInput(artefact, 0, x.data(), 96),
            "input 0 ('x') has a captured value already");
  bytes = abi::encodeArtefact(artefact);
  TesseraRtExecutable *program =
      tesseraRtLoad(bytes.data(), bytes.size(), nullptr);
  ASSERT_TRUE(program) << tesseraRtLastError();
  EXPECT_NE(std::string(tesseraRtDescribe(program)).find("\"captured\": true"),
            std::string::npos);
  TesseraRtInput none = {nullptr, nullptr};
  void *output = y.data();
  ASSERT_EQ(tesseraRtRun(program, &none, 1, &output, 1), 0)
      << tesseraRtLastError();
  EXPECT_EQ(y[23], x[23] + 1);
  tesseraRtUnload(program);
}

std::vector<std::string> printed;
TesseraRtExecutable *printing = nullptr;

int collect(const char *line, size_t size) {
  printed.emplace_back(line, size);
  return 0;
}

int refuse(const char *, size_t) { return 1; }

/// Uses the program whose print it writes.
int runAgain(const char *, size_t) {
  EXPECT_EQ(tesseraRtRun(printing, nullptr, 0, nullptr, 0), 1);
  printed.push_back(tesseraRtLastError());
  EXPECT_EQ(tesseraRtBind(printing, 0, nullptr, 0), 1);
  return 0;
}

TEST(CApiTest, PrintsGoToTheSink) {
  PlanBuilder builder(1);
  for (const char *format : {"{{one}}", "two"})
    builder.addStep(abi::StepKind::Print, {}).format = format;
  printing = load(abi::encodeArtefact(builder.artefact), nullptr);
  ASSERT_TRUE(printing) << tesseraRtLastError();
  printed.clear();

  tesseraRtSetPrint(collect);
  EXPECT_EQ(tesseraRtRun(printing, nullptr, 0, nullptr, 0), 0);
  EXPECT_EQ(printed, (std::vector<std::string>{"{one}", "two"}));

  tesseraRtSetPrint(refuse);
  EXPECT_EQ(tesseraRtRun(printing, nullptr, 0, nullptr, 0), 1);
  EXPECT_NE(
      std::string(tesseraRtLastError()).find("'{one}' could not be written"),
      std::string::npos)
      << tesseraRtLastError();

  printed.clear();
  tesseraRtSetPrint(runAgain);
  EXPECT_EQ(tesseraRtRun(printing, nullptr, 0, nullptr, 0), 0);
  ASSERT_EQ(printed.size(), 2u);
  EXPECT_NE(printed[0].find("the program is running"), std::string::npos);

  tesseraRtSetPrint(nullptr);
  testing::internal::CaptureStdout();
  EXPECT_EQ(tesseraRtRun(printing, nullptr, 0, nullptr, 0), 0);
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "{one}\ntwo\n");
  tesseraRtUnload(printing);
}

} // namespace
} // namespace tessera
