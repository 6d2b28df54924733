// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "LinkObject.h"
#include "tessera/Target/CPU.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdlib>

using namespace mlir;
using namespace tessera;

std::string tessera::findLinker(StringRef hint) {
  if (!hint.empty())
    return llvm::sys::fs::can_execute(hint) ? hint.str() : "";
  if (const char *path = std::getenv("TESSERA_LLD"))
    return llvm::sys::fs::can_execute(path) ? path : "";
  for (StringRef name : {"ld.lld-22", "ld.lld"}) {
    if (auto found = llvm::sys::findProgramByName(name))
      return *found;
    if (auto found =
            llvm::sys::findProgramByName(name, {"/usr/lib/llvm-22/bin"}))
      return *found;
  }
  return "";
}

static std::string readFile(StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  return buffer ? (*buffer)->getBuffer().str() : "";
}

FailureOr<SmallVector<char>>
tessera::linkSharedObject(StringRef object, StringRef hint, Location loc) {
  std::string linker = findLinker(hint);
  if (linker.empty()) {
    InFlightDiagnostic error = emitError(loc)
                               << "the linker ld.lld was not found";
    error.attachNote() << "it makes shared objects of CPU kernels; install it "
                          "(Debian: apt-get install lld-22) or set TESSERA_LLD";
    return failure();
  }
  SmallString<64> paths[3];
  const char *suffixes[] = {"o", "so", "log"};
  llvm::FileRemover removers[3];
  for (int i = 0; i < 3; ++i) {
    if (std::error_code error = llvm::sys::fs::createTemporaryFile(
            "tessera", suffixes[i], paths[i]))
      return emitError(loc) << "cannot create a temporary file for the linker: "
                            << error.message();
    removers[i].setFile(paths[i]);
  }
  {
    std::error_code error;
    llvm::raw_fd_ostream stream(paths[0], error);
    stream << object;
    stream.close();
    if (error || stream.has_error()) {
      stream.clear_error();
      return emitError(loc) << "cannot write " << paths[0].str().str()
                            << ": is the disk full?";
    }
  }
  // The C library is looked up in the process that loads the object.
  SmallVector<StringRef> args = {linker, "-shared", "--strip-debug",
                                 "-z",   "notext",  paths[0],
                                 "-o",   paths[1]};
  std::optional<StringRef> redirects[] = {std::nullopt, StringRef(paths[2]),
                                          StringRef(paths[2])};
  int status = llvm::sys::ExecuteAndWait(linker, args, std::nullopt, redirects,
                                         /*SecondsToWait=*/120);
  if (status != 0) {
    InFlightDiagnostic error = emitError(loc)
                               << linker << " failed (exit " << status << ")";
    error.attachNote() << readFile(paths[2]);
    return failure();
  }
  std::string bytes = readFile(paths[1]);
  return SmallVector<char>(bytes.begin(), bytes.end());
}
