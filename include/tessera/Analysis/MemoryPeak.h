// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// When a program holds most.
#ifndef TESSERA_ANALYSIS_MEMORYPEAK_H
#define TESSERA_ANALYSIS_MEMORYPEAK_H

#include "tessera/Analysis/ArenaPlanner.h"

namespace tessera {

struct MemoryPeak {
  int64_t bytes = 0;         ///< That live at once; no arena is smaller.
  int64_t step = 0;          ///< The first at which they do.
  std::vector<size_t> alive; ///< Which requests do then, in their order.
};

/// The step at which the requests that live, each rounded up to `alignment`,
/// are most.
MemoryPeak findMemoryPeak(const std::vector<ArenaRequest> &requests,
                          int64_t alignment);

} // namespace tessera

#endif // TESSERA_ANALYSIS_MEMORYPEAK_H
