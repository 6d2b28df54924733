// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The extensions of a CPU's instruction set that host kernels may use. The
// compiler uses no others, and names in the plan those that it did use; the
// runtime asks the machine for each before it loads a kernel. The names are
// LLVM's.
#ifndef TESSERA_ABI_CPUFEATURES_H
#define TESSERA_ABI_CPUFEATURES_H

#include <cstdint>

namespace tessera::abi {

/// Registers of cpuid's answer.
enum class CpuidRegister : uint8_t { EAX, EBX, ECX, EDX };

/// What the system must save for a thread: bits of XCR0.
enum class VectorState : uint8_t { None = 0, AVX = 0x06, AVX512 = 0xe6 };

struct X86Feature {
  const char *name;
  uint32_t leaf, subleaf;
  CpuidRegister reg;
  int bit;
  VectorState state;
};

/// On top of x86-64 as it was first (SSE2). Places as in Intel's Software
/// Developer's Manual, volume 2, CPUID.
constexpr X86Feature x86Features[] = {
    {"sse3", 1, 0, CpuidRegister::ECX, 0, VectorState::None},
    {"ssse3", 1, 0, CpuidRegister::ECX, 9, VectorState::None},
    {"fma", 1, 0, CpuidRegister::ECX, 12, VectorState::AVX},
    {"sse4.1", 1, 0, CpuidRegister::ECX, 19, VectorState::None},
    {"sse4.2", 1, 0, CpuidRegister::ECX, 20, VectorState::None},
    {"movbe", 1, 0, CpuidRegister::ECX, 22, VectorState::None},
    {"popcnt", 1, 0, CpuidRegister::ECX, 23, VectorState::None},
    {"avx", 1, 0, CpuidRegister::ECX, 28, VectorState::AVX},
    {"f16c", 1, 0, CpuidRegister::ECX, 29, VectorState::AVX},
    {"bmi", 7, 0, CpuidRegister::EBX, 3, VectorState::None},
    {"avx2", 7, 0, CpuidRegister::EBX, 5, VectorState::AVX},
    {"bmi2", 7, 0, CpuidRegister::EBX, 8, VectorState::None},
    {"avx512f", 7, 0, CpuidRegister::EBX, 16, VectorState::AVX512},
    {"avx512dq", 7, 0, CpuidRegister::EBX, 17, VectorState::AVX512},
    {"avx512ifma", 7, 0, CpuidRegister::EBX, 21, VectorState::AVX512},
    {"avx512cd", 7, 0, CpuidRegister::EBX, 28, VectorState::AVX512},
    {"avx512bw", 7, 0, CpuidRegister::EBX, 30, VectorState::AVX512},
    {"avx512vl", 7, 0, CpuidRegister::EBX, 31, VectorState::AVX512},
    {"avx512vbmi", 7, 0, CpuidRegister::ECX, 1, VectorState::AVX512},
    {"avx512vbmi2", 7, 0, CpuidRegister::ECX, 6, VectorState::AVX512},
    {"gfni", 7, 0, CpuidRegister::ECX, 8, VectorState::None},
    {"avx512vnni", 7, 0, CpuidRegister::ECX, 11, VectorState::AVX512},
    {"avx512bitalg", 7, 0, CpuidRegister::ECX, 12, VectorState::AVX512},
    {"avx512vpopcntdq", 7, 0, CpuidRegister::ECX, 14, VectorState::AVX512},
    {"avx512fp16", 7, 0, CpuidRegister::EDX, 23, VectorState::AVX512},
    {"avxvnni", 7, 1, CpuidRegister::EAX, 4, VectorState::AVX},
    {"avx512bf16", 7, 1, CpuidRegister::EAX, 5, VectorState::AVX512},
    {"lzcnt", 0x80000001, 0, CpuidRegister::ECX, 5, VectorState::None},
};

struct Arm64Feature {
  const char *name;
  int word; ///< 1: AT_HWCAP, 2: AT_HWCAP2.
  int bit;
};

/// On top of ARMv8-A with floating point and NEON; bits as in Linux'
/// arch/arm64/include/uapi/asm/hwcap.h.
constexpr Arm64Feature arm64Features[] = {
    {"lse", 1, 8},      {"fullfp16", 1, 10}, {"rdm", 1, 12},
    {"dotprod", 1, 20}, {"i8mm", 2, 13},     {"bf16", 2, 14},
};

} // namespace tessera::abi

#endif // TESSERA_ABI_CPUFEATURES_H
