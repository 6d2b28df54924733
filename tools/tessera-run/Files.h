// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Files as whole strings: read with a reason for every failure, written
// completely or not at all.
#ifndef TESSERA_TOOLS_TESSERA_RUN_FILES_H
#define TESSERA_TOOLS_TESSERA_RUN_FILES_H

#include "tessera-rt/Status.h"

#include <string>

namespace tessera::run {

/// Reads a file, but no more than `limit` bytes, and of one that does not begin
/// with `start` the first ones only: a device may have no end.
rt::Result<std::string> readFile(const std::string &path,
                                 const std::string &start, size_t limit);

/// Whether two paths are one file, by what they lead to; devices are none.
bool isSameFile(const std::string &a, const std::string &b);

/// Whether a file can be put at `path`: its folder is there and writable.
rt::Status checkWritable(const std::string &path);

/// Writes a temporary file beside `path` and renames it. Links are followed;
/// devices and pipes are written directly.
rt::Status writeFile(const std::string &path, const std::string &bytes);

/// Fails if standard output is closed, and keeps files that are opened later
/// from taking the place of the other standard streams.
rt::Status checkStandardStreams();

/// Fails if what was printed did not get out.
rt::Status flushOutput();

} // namespace tessera::run

#endif // TESSERA_TOOLS_TESSERA_RUN_FILES_H
