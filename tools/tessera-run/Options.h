// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The command line of tessera-run.
#ifndef TESSERA_TOOLS_TESSERA_RUN_OPTIONS_H
#define TESSERA_TOOLS_TESSERA_RUN_OPTIONS_H

#include "tessera-rt/Executable.h"

namespace tessera::run {

struct Options {
  std::string artefact;
  rt::ExecutableOptions executable;
  std::vector<std::string> inputs; ///< Files; empty for random tensors.
  std::string outputPrefix;        ///< Empty: outputs are not written.
  uint64_t seed = 0;
  int64_t repeat = 1;
  size_t maxShown = 4; ///< Elements printed per tensor.
  bool info = false;   ///< Only say what the artefact holds.
  bool help = false;
};

rt::Result<Options> parseOptions(int argc, char **argv);
extern const char *const usage;

} // namespace tessera::run

#endif // TESSERA_TOOLS_TESSERA_RUN_OPTIONS_H
