// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Programs used by several threads, side by side, and in forked processes.
#include "tessera-rt/tessera_rt.h"
#include "tessera/ABI/PlanCodec.h"
#include "test/runtime/PlanBuilder.h"

#include <gtest/gtest.h>

#include <atomic>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace tessera {
using namespace test;
namespace {

constexpr int64_t size = 4096;

/// x + 1, rows cut over two devices, on two threads.
TesseraRtExecutable *loadAddOne() {
  PlanBuilder builder(2);
  int32_t x = builder.addInput(abi::DType::F32, {size / 4, 4}, 0);
  int32_t y = builder.addOutput(abi::DType::F32, {size / 4, 4}, 0);
  builder.launchAddOne(x, y, size / 2);
  std::string bytes = abi::encodeArtefact(builder.artefact);
  return tesseraRtLoad(bytes.data(), bytes.size(), R"({"threads": 2})");
}

/// Whether a run on inputs that begin at `first` gives what it should.
bool runsRight(TesseraRtExecutable *program, float first) {
  std::vector<float> x(size), y(size);
  for (int64_t i = 0; i < size; ++i)
    x[i] = first + static_cast<float>(i);
  TesseraRtInput input = {x.data(), nullptr};
  void *output = y.data();
  if (!program || tesseraRtRun(program, &input, 1, &output, 1) != 0)
    return false;
  for (int64_t i = 0; i < size; ++i)
    if (y[i] != x[i] + 1)
      return false;
  return true;
}

TEST(ConcurrencyTest, SeveralThreadsMayRunOneProgram) {
  TesseraRtExecutable *program = loadAddOne();
  ASSERT_TRUE(program) << tesseraRtLastError();
  std::atomic<int> right{0};
  std::vector<std::thread> users;
  for (int user = 0; user < 4; ++user)
    users.emplace_back([&, user] {
      for (int round = 0; round < 100; ++round)
        right += runsRight(program, static_cast<float>(user * 1000 + round));
    });
  for (std::thread &user : users)
    user.join();
  EXPECT_EQ(right, 400);
  tesseraRtUnload(program);
}

TEST(ConcurrencyTest, ProgramsMayComeAndGoWhileOthersRun) {
  TesseraRtExecutable *lasting = loadAddOne();
  std::atomic<int> right{0};
  std::vector<std::thread> users;
  for (int user = 0; user < 3; ++user)
    users.emplace_back([&, user] {
      for (int round = 0; round < 20; ++round) {
        TesseraRtExecutable *program = loadAddOne();
        right += runsRight(program, static_cast<float>(user));
        right += runsRight(lasting, static_cast<float>(round));
        tesseraRtUnload(program);
      }
    });
  for (std::thread &user : users)
    user.join();
  EXPECT_EQ(right, 120);
  tesseraRtUnload(lasting);
}

/// Exit code of a forked process that does `work`, killed after ten seconds.
template <typename Work> int inForkedProcess(Work work) {
  pid_t child = fork();
  if (child == 0) {
    alarm(10);
    _exit(work() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

TEST(ConcurrencyTest, AForkedProcessRunsItsParentsProgram) {
  TesseraRtExecutable *program = loadAddOne();
  ASSERT_TRUE(runsRight(program, 1));
  EXPECT_EQ(inForkedProcess([&] {
              bool right = runsRight(program, 2);
              tesseraRtUnload(program);
              return right;
            }),
            0);
  EXPECT_TRUE(runsRight(program, 3));
  tesseraRtUnload(program);
}

TEST(ConcurrencyTest, AProcessForkedWhileWorkersSleepLoadsItsOwn) {
  TesseraRtExecutable *program = loadAddOne();
  ASSERT_TRUE(runsRight(program, 1));
  usleep(20000);
  EXPECT_EQ(inForkedProcess([] {
              TesseraRtExecutable *own = loadAddOne();
              bool right = runsRight(own, 2) && runsRight(own, 3);
              tesseraRtUnload(own);
              return right;
            }),
            0);
  tesseraRtUnload(program);
}

} // namespace
} // namespace tessera
