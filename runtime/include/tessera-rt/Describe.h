// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the runtime tells about programs and runs, as JSON.
#ifndef TESSERA_RT_DESCRIBE_H
#define TESSERA_RT_DESCRIBE_H

#include "tessera-rt/Executable.h"

namespace tessera::rt {

/// The object that tesseraRtDescribe documents.
std::string describeExecutable(const Executable &executable);
/// The object that tesseraRtRunReport documents.
std::string describeRun(const Executable &executable);
/// The object that tesseraRtTrace documents.
std::string describeTrace(const Executable &executable);

} // namespace tessera::rt

#endif // TESSERA_RT_DESCRIBE_H
