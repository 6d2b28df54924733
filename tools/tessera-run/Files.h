// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Files as whole strings: read with a reason for every failure, written
// completely or not at all.
#ifndef TESSERA_TOOLS_TESSERA_RUN_FILES_H
#define TESSERA_TOOLS_TESSERA_RUN_FILES_H

#include "tessera-rt/Status.h"

#include <string>

namespace tessera::run {

rt::Result<std::string> readFile(const std::string &path);

/// Whether a file can be put at `path`: its folder is there and writable.
rt::Status checkWritable(const std::string &path);

/// Writes a temporary file beside `path` and renames it. Links are followed;
/// devices and pipes are written directly.
rt::Status writeFile(const std::string &path, const std::string &bytes);

} // namespace tessera::run

#endif // TESSERA_TOOLS_TESSERA_RUN_FILES_H
