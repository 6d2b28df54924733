// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/HostCpu.h"
#include "tessera/ABI/CpuFeatures.h"

#include <algorithm>
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

using namespace tessera;
using namespace tessera::rt;

#if defined(__x86_64__)
/// The vector registers that the system saves: XCR0.
static uint64_t savedState() {
  constexpr unsigned osxsave = 1u << 27;
  unsigned eax, ebx, ecx, edx;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & osxsave))
    return 0;
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t(high) << 32 | low;
}

static HostCpu detect() {
  HostCpu cpu;
  cpu.architecture = "x86_64";
  uint64_t saved = savedState();
  for (const abi::X86Feature &feature : abi::x86Features) {
    unsigned registers[4];
    auto state = static_cast<uint64_t>(feature.state);
    if (__get_cpuid_count(feature.leaf, feature.subleaf, &registers[0],
                          &registers[1], &registers[2], &registers[3]) &&
        (registers[static_cast<int>(feature.reg)] >> feature.bit & 1) &&
        (saved & state) == state)
      cpu.features.push_back(feature.name);
  }
  return cpu;
}
#elif defined(__aarch64__)
static HostCpu detect() {
  HostCpu cpu;
  cpu.architecture = "aarch64";
  const unsigned long words[] = {getauxval(AT_HWCAP), getauxval(AT_HWCAP2)};
  for (const abi::Arm64Feature &feature : abi::arm64Features)
    if (words[feature.word - 1] >> feature.bit & 1)
      cpu.features.push_back(feature.name);
  return cpu;
}
#else
static HostCpu detect() { return HostCpu(); }
#endif

const HostCpu &tessera::rt::hostCpu() {
  static const HostCpu cpu = detect();
  return cpu;
}

bool HostCpu::has(const std::string &feature) const {
  return std::find(features.begin(), features.end(), feature) != features.end();
}

/// The target that makes the most of `cpu` among those with a common name.
static const char *targetFor(const HostCpu &cpu) {
  if (cpu.architecture != "x86_64")
    return "cpu:generic";
  if (cpu.has("avx512vl") && cpu.has("avx512bw"))
    return "cpu:x86-64-v4";
  return cpu.has("avx2") && cpu.has("fma") ? "cpu:x86-64-v3" : "cpu:x86-64";
}

Status tessera::rt::checkCpu(const abi::Plan &plan, const HostCpu &cpu) {
  std::string wayOut = std::string("; compile the program on this machine, or "
                                   "elsewhere with --target=") +
                       targetFor(cpu);
  if (plan.architecture != cpu.architecture)
    return Status::error(
        "the artefact's kernels are for CPUs of architecture '" +
        plan.architecture + "', this one is '" + cpu.architecture + "'" +
        wayOut);
  std::string missing;
  for (const std::string &feature : plan.cpuFeatures)
    if (!cpu.has(feature))
      missing += (missing.empty() ? "" : ", ") + feature;
  if (missing.empty())
    return Status::success();
  return Status::error(
      "the artefact's kernels (target '" + plan.target +
      "') use instructions that this machine's CPU lacks: " + missing + wayOut);
}
