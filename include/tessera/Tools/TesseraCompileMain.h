// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The body of tessera-compile.
#ifndef TESSERA_TOOLS_TESSERACOMPILEMAIN_H
#define TESSERA_TOOLS_TESSERACOMPILEMAIN_H

namespace tessera {

/// The whole of tessera-compile.
int tesseraCompileMain(int argc, char **argv);

} // namespace tessera

#endif // TESSERA_TOOLS_TESSERACOMPILEMAIN_H
