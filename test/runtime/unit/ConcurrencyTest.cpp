// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Programs used by several threads, side by side, and in forked processes.
#include "runtime/core/DeviceLock.h"
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

TEST(ConcurrencyTest, ReleasingATensorWaitsForNoDevice) {
  std::atomic<int> freed{0};
  auto tensor = [&] {
    return std::shared_ptr<rt::PlacedTensor>(
        nullptr, [&](rt::PlacedTensor *) { ++freed; });
  };
  rt::DeviceLock lock;
  lock.release(tensor());
  EXPECT_EQ(freed, 1); // At rest: now.

  lock.lock();
  std::thread([&] { lock.release(tensor()); }).join();
  EXPECT_EQ(freed, 1);
  // The thread that holds it may take it again, as a print leads it to.
  lock.lock();
  lock.release(tensor());
  EXPECT_EQ(freed, 3);
  lock.unlock();
  std::thread([&] { lock.release(tensor()); }).join();
  EXPECT_EQ(freed, 3);
  lock.unlock();
  EXPECT_EQ(freed, 4);

  std::vector<std::thread> users;
  for (int user = 0; user < 4; ++user)
    users.emplace_back([&] {
      for (int round = 0; round < 1000; ++round) {
        std::lock_guard<rt::DeviceLock> guard(lock);
        lock.release(tensor());
      }
      for (int round = 0; round < 1000; ++round)
        lock.release(tensor());
    });
  for (std::thread &user : users)
    user.join();
  EXPECT_EQ(freed, 4 + 8000);
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
  EXPECT_EQ(inForkedProcess([&] {
              TesseraRtExecutable *own = loadAddOne();
              bool right = runsRight(own, 2) && runsRight(program, 3);
              tesseraRtUnload(own);
              tesseraRtUnload(program);
              return right;
            }),
            0);
  tesseraRtUnload(program);
}

TEST(ConcurrencyTest, SeveralForkedProcessesRunAtOnce) {
  TesseraRtExecutable *program = loadAddOne();
  ASSERT_TRUE(runsRight(program, 1));
  std::vector<pid_t> children;
  for (int child = 0; child < 4; ++child) {
    children.push_back(fork());
    if (children.back() != 0)
      continue;
    alarm(20);
    TesseraRtExecutable *own = loadAddOne();
    bool right = own != nullptr;
    for (int round = 0; round < 20; ++round)
      right &= runsRight(program, static_cast<float>(child)) &&
               runsRight(own, static_cast<float>(round));
    _exit(right ? 0 : 1);
  }
  EXPECT_TRUE(runsRight(program, 5));
  for (pid_t child : children) {
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  tesseraRtUnload(program);
}

/// y[x[0]] = x[1] on each of two emulated devices.
std::string storeAt() {
  PlanBuilder builder(2);
  builder.plan.target = "emulated:sm_90a";
  int32_t x = builder.addInput(abi::DType::F32, {2, 2}, 0);
  int32_t y = builder.addOutput(abi::DType::F32, {2, 4}, 0);
  builder.launch("store_at", x, y, 1);
  return abi::encodeArtefact(builder.artefact);
}

TEST(ConcurrencyTest, AFaultOnOneDeviceEndsItsRunAndNothingElse) {
  std::string bytes = storeAt();
  TesseraRtExecutable *faulty = tesseraRtLoad(bytes.data(), bytes.size(), "");
  TesseraRtExecutable *other = loadAddOne();
  ASSERT_TRUE(faulty && other) << tesseraRtLastError();
  std::atomic<bool> isRight{true};
  std::thread neighbour([&] {
    for (int round = 0; round < 200; ++round)
      isRight = isRight && runsRight(other, static_cast<float>(round));
  });
  // Device 1 alone stores outside; the next run stores inside.
  for (float index : {9.f, 2.f, 9.f, 2.f}) {
    std::vector<float> x = {1, 5, index, 6}, y(8, 0);
    TesseraRtInput input = {x.data(), nullptr};
    void *output = y.data();
    int failed = tesseraRtRun(faulty, &input, 1, &output, 1);
    if (index == 2) {
      EXPECT_EQ(failed, 0) << tesseraRtLastError();
      EXPECT_EQ(y, (std::vector<float>{0, 5, 0, 0, 0, 0, 6, 0}));
      continue;
    }
    EXPECT_NE(failed, 0);
    std::string error = tesseraRtLastError();
    for (const char *part :
         {"step 0 (launch of 'store_at_0')", "device 1", "thread 0",
          "write of 4 bytes at offset 36 of argument 1, which has 16 bytes"})
      EXPECT_NE(error.find(part), std::string::npos) << error;
  }
  neighbour.join();
  EXPECT_TRUE(isRight);
  tesseraRtUnload(faulty);
  tesseraRtUnload(other);
}

TEST(ConcurrencyTest, APlacedTensorOutlivesTheProgramThatPlacedIt) {
  TesseraRtExecutable *first = loadAddOne(), *second = loadAddOne();
  std::vector<float> x = countUp<float>(size), y(size);
  TesseraRtPlaced *placed =
      tesseraRtPlace(first, 0, x.data(), x.size() * sizeof(float));
  ASSERT_TRUE(placed) << tesseraRtLastError();
  tesseraRtUnload(first);
  TesseraRtInput input = {nullptr, placed};
  void *output = y.data();
  EXPECT_EQ(tesseraRtRun(second, &input, 1, &output, 1), 0)
      << tesseraRtLastError();
  EXPECT_EQ(y[size - 1], size + 1);
  tesseraRtUnload(second);
  tesseraRtReleasePlaced(placed);
}

} // namespace
} // namespace tessera
