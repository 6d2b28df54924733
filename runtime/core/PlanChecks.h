// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the checks of a plan share.
#ifndef TESSERA_RUNTIME_CORE_PLANCHECKS_H
#define TESSERA_RUNTIME_CORE_PLANCHECKS_H

#include "tessera-rt/Status.h"
#include "tessera/ABI/PlanFormat.h"

namespace tessera::rt {

/// More than any machine has, and small enough that sums do not overflow.
constexpr int64_t maxBytes = int64_t(1) << 46;

inline std::string str(int64_t value) { return std::to_string(value); }

inline Status check(bool condition, const std::string &message) {
  return condition ? Status::success() : Status::error(message);
}

template <typename T>
bool isIndexOf(const std::vector<T> &items, int64_t index) {
  return index >= 0 && index < static_cast<int64_t>(items.size());
}

inline bool isDType(abi::DType type) { return type <= abi::DType::I1; }

/// Bytes of a tensor, or -1 when the shape makes no sense.
int64_t bytesOf(const std::vector<int64_t> &shape, abi::DType dtype);

/// Checks one step of a plan whose mesh, buffers and kernels are right. The
/// message goes on after the step's name: "has groups of different size".
Status checkStep(const abi::Plan &plan, const abi::Step &step);

} // namespace tessera::rt

#endif // TESSERA_RUNTIME_CORE_PLANCHECKS_H
