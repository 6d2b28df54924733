// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Where programs print.
#ifndef TESSERA_RT_PRINTSINK_H
#define TESSERA_RT_PRINTSINK_H

#include "tessera-rt/Status.h"

#include <cstddef>
#include <string>

namespace tessera::rt {

/// Takes a line of text without its end; not 0 where it cannot be written.
using PrintSink = int (*)(const char *line, size_t size);

/// Of the whole process; null: standard output. Any thread may set it at any
/// time.
void setPrintSink(PrintSink sink);

/// Called by the thread that runs the program.
Status printLine(const std::string &line);

} // namespace tessera::rt

#endif // TESSERA_RT_PRINTSINK_H
