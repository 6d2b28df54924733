// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What tells one build of the compiler from another.
#ifndef TESSERA_PIPELINES_VERSION_H
#define TESSERA_PIPELINES_VERSION_H

namespace tessera {

/// Names the compiler's build: equal strings compile equal programs alike for
/// any target that is named in full.
const char *getCompilerVersion();

/// With the machine's CPU, which the target "cpu" stands for.
const char *getVersionOnHost();

} // namespace tessera

#endif // TESSERA_PIPELINES_VERSION_H
