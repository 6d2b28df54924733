// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Programs of module.py:function, which the Python package traces and compiles.
#ifndef TESSERA_LIB_TOOLS_PYTHONPROGRAM_H
#define TESSERA_LIB_TOOLS_PYTHONPROGRAM_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <string>

namespace tessera {

/// Replaces this process by `python`, which runs the command of the Python
/// package with `arguments`: what is sent to this process then, a signal that
/// ends it too, reaches the one that works. The package beside the build tree's
/// `program` (argv[0]) comes first. Returns, with the reason, only on failure.
std::string becomePython(llvm::StringRef python,
                         llvm::ArrayRef<std::string> arguments,
                         const char *program);

} // namespace tessera

#endif // TESSERA_LIB_TOOLS_PYTHONPROGRAM_H
