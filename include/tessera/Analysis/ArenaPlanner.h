// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Places buffers of known lifetimes in one arena.
#ifndef TESSERA_ANALYSIS_ARENAPLANNER_H
#define TESSERA_ANALYSIS_ARENAPLANNER_H

#include <cstdint>
#include <vector>

namespace tessera {

/// A buffer that is needed in the steps [begin, end], both included.
struct ArenaRequest {
  int64_t bytes = 0;
  int64_t begin = 0, end = 0;
};

struct ArenaPlan {
  std::vector<int64_t> offsets; ///< One per request; multiples of `alignment`.
  int64_t bytes = 0;            ///< Of the whole arena.
};

/// Largest buffer first, each at the lowest offset where it meets no buffer
/// that lives at the same time. The result does not depend on the order of
/// requests of different size. Source: Pisarchyk, Lee: Efficient memory
/// management for deep neural net inference, 2020 ("greedy by size"). Takes
/// n log n steps, and one more for each pair that lives at one time.
ArenaPlan planArena(const std::vector<ArenaRequest> &requests,
                    int64_t alignment);

} // namespace tessera

#endif // TESSERA_ANALYSIS_ARENAPLANNER_H
