// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Compiles tile kernels for a CPU, and runs them.
#ifndef TESSERA_TEST_UNIT_LIB_TARGET_CPU_CPUKERNELTESTING_H
#define TESSERA_TEST_UNIT_LIB_TARGET_CPU_CPUKERNELTESTING_H

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace tessera::testing {

using Floats = std::vector<float>;

/// Between -1 and 1.
Floats random(size_t count, unsigned seed);

/// CPUs to compile for: this one, and what it has in common with others.
std::vector<std::string> targets();

/// Compiles `source` for `cpu` and runs all blocks of `kernel`. With vectors of
/// another width than the CPU's, if `vectorBits` is given: LLVM cuts wider
/// ones.
void runKernel(const std::string &source, const char *kernel, int64_t blocks,
               std::vector<Floats *> arguments, const std::string &cpu,
               int64_t vectorBits = 0);

inline std::string text(int64_t value) { return std::to_string(value); }

} // namespace tessera::testing

#endif // TESSERA_TEST_UNIT_LIB_TARGET_CPU_CPUKERNELTESTING_H
