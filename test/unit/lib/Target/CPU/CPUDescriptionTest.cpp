// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/HostCpu.h"
#include "tessera/Target/CPU.h"

#include "llvm/ADT/STLExtras.h"
#include <gtest/gtest.h>

using namespace tessera;

TEST(CPUDescription, TheRuntimeFindsAllThatTheCompilerUses) {
  std::string error;
  std::optional<CPUDescription> cpu = describeCPU("native", error);
  ASSERT_TRUE(cpu) << error;
  EXPECT_EQ(cpu->architecture, rt::hostCpu().architecture);
  for (const std::string &feature : cpu->features)
    EXPECT_TRUE(rt::hostCpu().has(feature)) << feature;
}

TEST(CPUDescription, VectorsAreAsWideAsTheRegisters) {
  std::string error;
  if (describeCPU("native", error)->architecture != "x86_64")
    GTEST_SKIP() << "names of x86";
  EXPECT_EQ(describeCPU("x86-64", error)->vectorBits, 128u);
  EXPECT_EQ(describeCPU("x86-64", error)->features, std::vector<std::string>());
  EXPECT_EQ(describeCPU("x86-64-v3", error)->vectorBits, 256u);
  EXPECT_EQ(describeCPU("haswell", error)->vectorBits, 256u);
  EXPECT_EQ(describeCPU("x86-64-v4", error)->vectorBits, 512u);
  std::vector<std::string> v3 = describeCPU("x86-64-v3", error)->features;
  EXPECT_TRUE(llvm::is_contained(v3, "fma"));
  EXPECT_FALSE(llvm::is_contained(v3, "avx512f"));
}

TEST(CPUDescription, UnknownCPUsAreRefusedWithNames) {
  for (const char *name : {"", "x86-65", "NATIVE"}) {
    std::string error;
    EXPECT_FALSE(describeCPU(name, error)) << name;
    EXPECT_NE(error.find("unknown CPU '" + std::string(name) + "'"),
              std::string::npos)
        << error;
  }
}
