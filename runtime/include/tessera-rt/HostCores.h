// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// How many threads are worth having.
#ifndef TESSERA_RT_HOSTCORES_H
#define TESSERA_RT_HOSTCORES_H

#include "tessera-rt/Status.h"

#include <string>

namespace tessera::rt {

/// Cores that the process may use: those of its affinity mask, no more than
/// the CPU quota of its control groups (containers). At least 1.
int usableCores();

/// Threads for an executable that asks for none in particular: the value of
/// TESSERA_NUM_THREADS where that is set and not empty, else usableCores().
Result<int> defaultThreads();

/// The cores, rounded up, that the text of a control group's `cpu.max` grants
/// ("150000 100000": 2); 0 when it sets no limit.
int coresOfQuota(const std::string &text);

} // namespace tessera::rt

#endif // TESSERA_RT_HOSTCORES_H
