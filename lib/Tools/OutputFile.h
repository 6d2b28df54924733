// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Files that are there whole or not at all.
#ifndef TESSERA_LIB_TOOLS_OUTPUTFILE_H
#define TESSERA_LIB_TOOLS_OUTPUTFILE_H

#include "llvm/ADT/StringRef.h"

#include <string>

namespace tessera {

/// Why nothing can be written to `path`, or "". What is found here is found
/// before the work whose result goes there.
std::string checkWritable(llvm::StringRef path);

/// Whether two paths are one file, now or once it is written: by what they
/// lead to, not by their spelling. "-" and devices do not count.
bool isSameFile(llvm::StringRef a, llvm::StringRef b);

/// Writes `data` to a temporary file beside `path` and renames it; "-" is
/// standard output. Links are followed; devices and pipes are written directly.
/// Returns why it failed, or "". A signal leaves no temporary file.
std::string writeFile(llvm::StringRef path, llvm::StringRef data);

} // namespace tessera

#endif // TESSERA_LIB_TOOLS_OUTPUTFILE_H
