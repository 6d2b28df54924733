// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The tool on artefacts made by hand.
#include "tessera/ABI/PlanCodec.h"
#include "test/runtime/PlanBuilder.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <unistd.h>

namespace tessera {
using namespace test;
namespace {

class TesseraRunTest : public ::testing::Test {
protected:
  void SetUp() override {
    char name[] = "/tmp/tessera-run-test-XXXXXX";
    ASSERT_TRUE(mkdtemp(name));
    folder = name;
    PlanBuilder builder(2);
    int32_t x = builder.addInput(abi::DType::F32, {2, 4}, 0);
    int32_t y = builder.addOutput(abi::DType::F32, {2, 4}, 0);
    builder.launchAddOne(x, y, 4);
    write("model.tsr", abi::encodeArtefact(builder.artefact));
  }
  void TearDown() override {
    for (const char *name : {"model.tsr", "x.npy", "y0.npy", "bad.tsr"})
      unlink((folder + "/" + name).c_str());
    rmdir(folder.c_str());
  }

  void write(const std::string &name, const std::string &bytes) {
    std::ofstream(folder + "/" + name, std::ios::binary) << bytes;
  }
  std::string read(const std::string &name) {
    std::ostringstream text;
    text << std::ifstream(folder + "/" + name, std::ios::binary).rdbuf();
    return text.str();
  }
  /// What the tool prints; `status` gets its exit status.
  std::string run(const std::string &arguments) {
    std::string command =
        "cd " + folder + " && " TESSERA_RUN " " + arguments + " 2>&1";
    FILE *pipe = popen(command.c_str(), "r");
    std::string text;
    char buffer[4096];
    while (size_t got = fread(buffer, 1, sizeof buffer, pipe))
      text.append(buffer, got);
    status = WEXITSTATUS(pclose(pipe));
    return text;
  }
  void expectIn(const std::string &text, const std::string &part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }

  std::string folder;
  int status = 0;
};

/// As NumPy writes it.
std::string npy(const std::string &header, const std::vector<float> &values) {
  std::string text = header + std::string(117 - header.size(), ' ') + "\n";
  return std::string("\x93NUMPY\x01\0", 8) + static_cast<char>(118) +
         std::string(1, '\0') + text +
         std::string(reinterpret_cast<const char *>(values.data()),
                     values.size() * 4);
}

TEST_F(TesseraRunTest, InputFilesGoInAndOutputFilesComeOut) {
  std::string header =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }";
  std::vector<float> x = countUp<float>(8), y = x;
  for (float &value : y)
    ++value;
  write("x.npy", npy(header, x));
  std::string text =
      run("model.tsr --inputs=x.npy --outputs=y --print --profile");
  EXPECT_EQ(status, 0);
  expectIn(text, "output 0: [2, 3, 4, 5, 6, 7, 8, 9] min 2 max 9 mean 5.5");
  expectIn(text, "step 0 (launch of 'add_one_0')");
  EXPECT_EQ(read("y0.npy"), npy(header, y));
}

TEST_F(TesseraRunTest, RandomInputsFollowTheSeed) {
  auto output = [&](const std::string &options) {
    std::string text = run("model.tsr " + options);
    EXPECT_EQ(status, 0);
    size_t begin = text.find("output 0: ");
    return text.substr(begin, text.find('\n', begin) - begin);
  };
  EXPECT_EQ(output("--seed=1"), output("--seed 1 --threads=1 --repeat=3"));
  EXPECT_NE(output("--seed=1"), output("--seed=2"));
}

TEST_F(TesseraRunTest, InfoRunsNothing) {
  std::string text = run("model.tsr --info");
  EXPECT_EQ(status, 0);
  expectIn(text, "target cpu, compiler test, mesh tp=2");
  expectIn(text, "input 0 'x': 2x4xf32");
  expectIn(text, "add_one_0");
  EXPECT_EQ(text.find("time"), std::string::npos);
}

TEST_F(TesseraRunTest, MistakesAreNamed) {
  expectIn(run(""), "no artefact given");
  EXPECT_EQ(status, 1);
  expectIn(run("absent.tsr"), "cannot open 'absent.tsr'");
  expectIn(run("model.tsr --devise=cpu"), "unknown option '--devise=cpu'");
  expectIn(run("model.tsr --repeat=0"), "--repeat needs an integer");
  expectIn(run("model.tsr --threads=1025"),
           "--threads needs an integer from 0 to 1024, got '1025'");
  expectIn(run("model.tsr --device=tpu"), "unknown device 'tpu'");
  expectIn(run("model.tsr --inputs=a.npy,b.npy"), "has 1 inputs, got 2 files");
  expectIn(run("model.tsr --inputs=model.tsr"), "is not an .npy file");
  write("x.npy",
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (8,), }", {}));
  expectIn(run("model.tsr --inputs=x.npy"), "has shape (8,), expected (2, 4)");
  write("bad.tsr", read("model.tsr").substr(0, 100));
  expectIn(run("bad.tsr"), "'bad.tsr': the artefact is damaged");
  expectIn(run("."), "cannot read '.': it is a folder");
  expectIn(run("model.tsr --inputs=."), "cannot read '.': it is a folder");
  expectIn(run("model.tsr --device"), "--device needs a value");
  expectIn(run("model.tsr --info=1"), "--info takes no value");
  EXPECT_EQ(status, 1);
}

TEST_F(TesseraRunTest, ArraysOfAnotherFormAreNamedWithTheWayOut) {
  auto error = [&](const char *descriptor, const char *isFortran) {
    write("x.npy",
          npy(std::string("{'descr': ") + descriptor +
                  ", 'fortran_order': " + isFortran + ", 'shape': (2, 4), }",
              countUp<float>(8)));
    std::string text = run("model.tsr --inputs=x.npy");
    EXPECT_EQ(status, 1);
    return text.substr(text.find("tessera-run: error: "));
  };
  expectIn(error("'<f4'", "True"),
           "Fortran order (columns first), expected C order (rows first); save "
           "np.ascontiguousarray(a)");
  expectIn(error("'>f4'", "False"),
           "'>f4', which is big-endian, expected little-endian f32, '<f4'; "
           "save a.astype('<f4')");
  expectIn(error("'<f8'", "False"), "'<f8', expected little-endian f32");
  expectIn(error("'|V2'", "False"), "'|V2', expected little-endian f32");
  expectIn(error("[('a', '<f4')]", "False"), "holds fields, expected");
  expectIn(error("'\x1b[31m'", "False"), "'\\x1b[31m'");
}

TEST_F(TesseraRunTest, BitsOfBF16AreReadAsMlDtypesSavesThem) {
  PlanBuilder builder(1);
  int32_t x = builder.addInput(abi::DType::BF16, {3});
  builder.addOutput(abi::DType::BF16, {3});
  (void)x;
  write("bad.tsr", abi::encodeArtefact(builder.artefact));
  std::string bits("\x80\x3f\x00\x40\x40\x40", 6); // 1, 2 and 3.
  for (const char *descriptor : {"<V2", "|V2", "<u2"}) {
    write("x.npy", npy(std::string("{'descr': '") + descriptor +
                           "', 'fortran_order': False, 'shape': (3,), }",
                       {}) +
                       bits);
    expectIn(run("bad.tsr --inputs=x.npy"), "input 0: [1, 2, 3] min 1 max 3");
    EXPECT_EQ(status, 0);
  }
  write("x.npy",
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }",
            countUp<float>(3)));
  expectIn(run("bad.tsr --inputs=x.npy"), ".view(np.uint16)");
}

TEST_F(TesseraRunTest, FilesWithoutEndAreNotReadToTheEnd) {
  expectIn(run("/dev/zero"), "not a Tessera artefact");
  expectIn(run("model.tsr --inputs=/dev/zero"), "is not an .npy file");
  std::string header =
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }", {});
  write("x.npy", header);
  expectIn(run("model.tsr --inputs=x.npy"), "has 0 bytes of data, expected 32");
  write("x.npy", header + std::string(100000, 'x'));
  expectIn(run("model.tsr --inputs=x.npy"), "more than the 32 bytes of data");
}

TEST_F(TesseraRunTest, OutputThatIsLostIsAnError) {
  for (const char *options : {"model.tsr", "model.tsr --info", "--help"}) {
    std::string text = run(std::string(options) + " 2>&1 >/dev/full #");
    EXPECT_EQ(status, 1) << options;
    expectIn(text, "cannot write standard output: No space left on device");
    run(std::string(options) + " 2>x.npy >&- #");
    EXPECT_EQ(status, 1) << options;
    expectIn(read("x.npy"), "standard output is closed");
  }
}

TEST_F(TesseraRunTest, WhatIsReadIsNotOverwritten) {
  write("y0.npy",
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }",
            countUp<float>(8)));
  std::string input = read("y0.npy");
  expectIn(run("model.tsr --inputs=y0.npy --outputs=./y"),
           "output 0, './y0.npy', would overwrite 'y0.npy', which is read");
  EXPECT_EQ(status, 1);
  EXPECT_EQ(read("y0.npy"), input);
  write("y0.npy", read("model.tsr"));
  expectIn(run("y0.npy --outputs=y"), "would overwrite 'y0.npy'");
  EXPECT_EQ(read("y0.npy"), read("model.tsr"));
}

TEST_F(TesseraRunTest, ADeviceThatDoesNotRunAnArtefactSaysWhatItRuns) {
  // Whether there is a driver or not.
  expectIn(run("model.tsr --device=cuda"),
           "compiled for target 'cpu' and runs on device 'cpu'; to run it on "
           "'cuda', compile it for target 'cuda:sm_80', 'cuda:sm_90a' or");
  expectIn(run("model.tsr --device=emulated"),
           "compile it for target 'emulated'");
  EXPECT_EQ(status, 1);
}

TEST_F(TesseraRunTest, UnwritableOutputsAreFoundBeforeRunning) {
  std::string text = run("model.tsr --outputs=absent/y");
  EXPECT_EQ(status, 1);
  expectIn(text,
           "cannot write 'absent/y0.npy': folder 'absent' does not exist");
  EXPECT_EQ(text.find("output 0: ["), std::string::npos) << text;
  expectIn(run("model.tsr --outputs=/dev/full/y"),
           "folder '/dev/full' does not exist");
}

TEST_F(TesseraRunTest, OutputsReplaceFilesThroughLinksAndLeaveNothingElse) {
  namespace fs = std::filesystem;
  write("y0.npy", "old");
  fs::path link = fs::path(folder) / "link0.npy";
  fs::create_symlink("y0.npy", link);
  run("model.tsr --outputs=link");
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read("y0.npy").substr(1, 5), "NUMPY");
  EXPECT_TRUE(fs::is_symlink(link));
  std::set<std::string> names;
  for (const fs::directory_entry &entry : fs::directory_iterator(folder))
    names.insert(entry.path().filename());
  EXPECT_EQ(names, (std::set<std::string>{"link0.npy", "model.tsr", "y0.npy"}));
  fs::remove(link);
}

// The sanitizers' allocators end the process by themselves.
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
TEST_F(TesseraRunTest, TensorsLargerThanTheMachineAreAnError) {
  constexpr int64_t bytes = int64_t(1) << 45;
  void *volatile granted = std::malloc(bytes); // Else it is not asked for.
  std::free(granted);
  if (granted)
    GTEST_SKIP() << "this system promises memory that it does not have";
  PlanBuilder huge(1);
  huge.addOutput(abi::DType::F32, {bytes / 4});
  write("bad.tsr", abi::encodeArtefact(huge.artefact));
  expectIn(run("bad.tsr"), "too little memory");
  EXPECT_EQ(status, 1);
}
#endif

} // namespace
} // namespace tessera
