// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Element-wise reductions of one run of elements over the members of a group.
#ifndef TESSERA_RUNTIME_COMMUNICATORS_INPROCESS_REDUCE_H
#define TESSERA_RUNTIME_COMMUNICATORS_INPROCESS_REDUCE_H

#include "tessera/ABI/PlanFormat.h"

namespace tessera::rt {

/// Elements that reduceRun takes at once.
constexpr int64_t maxReduceRun = 4096;

/// to[i] = from[0][offset + i] op from[1][offset + i] op ..., taken in that
/// order, for `count` (at most maxReduceRun) elements. bf16 and f16 are
/// accumulated in f32 and rounded once, to nearest even.
void reduceRun(abi::DType dtype, abi::Reduction reduction,
               const char *const *from, int64_t numMembers, int64_t offset,
               int64_t count, void *to);

} // namespace tessera::rt

#endif // TESSERA_RUNTIME_COMMUNICATORS_INPROCESS_REDUCE_H
