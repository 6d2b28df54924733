// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The body of tessera-opt.
#ifndef TESSERA_TOOLS_TESSERAOPTMAIN_H
#define TESSERA_TOOLS_TESSERAOPTMAIN_H

namespace tessera {
int tesseraOptMain(int argc, char **argv);
} // namespace tessera

#endif // TESSERA_TOOLS_TESSERAOPTMAIN_H
