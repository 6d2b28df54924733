// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "LinkObject.h"
#include "tessera/Target/CPU.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
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

static LogicalResult writeFile(StringRef path, StringRef bytes, Location loc) {
  std::error_code error;
  llvm::raw_fd_ostream stream(path, error);
  stream << bytes;
  stream.close();
  if (!error && !stream.has_error())
    return success();
  stream.clear_error();
  return emitError(loc) << "cannot write " << path << ": is the disk full?";
}

FailureOr<SmallVector<char>>
tessera::linkSharedObject(ArrayRef<StringRef> objects, StringRef hint,
                          Location loc) {
  std::string linker = findLinker(hint);
  if (linker.empty()) {
    InFlightDiagnostic error = emitError(loc)
                               << "the linker ld.lld was not found";
    error.attachNote() << "it makes shared objects of CPU kernels; install it "
                          "(Debian: apt-get install lld-22) or set TESSERA_LLD";
    return failure();
  }

  // A folder of our own: the linker's output may depend on the names within.
  SmallString<64> folder;
  if (std::error_code error =
          llvm::sys::fs::createUniqueDirectory("tessera", folder))
    return emitError(loc) << "cannot create a temporary folder for the linker: "
                          << error.message();

  llvm::scope_exit cleanup([&] { llvm::sys::fs::remove_directories(folder); });
  auto pathOf = [&](const Twine &name) { return (folder + "/" + name).str(); };

  std::string output = pathOf("kernels.so"), log = pathOf("log");
  std::vector<std::string> inputs;
  for (auto [i, object] : llvm::enumerate(objects)) {
    inputs.push_back(pathOf(Twine(i) + ".o"));
    if (failed(writeFile(inputs.back(), object, loc)))
      return failure();
  }
  // The C library is looked up in the process that loads the object.
  SmallVector<StringRef> args = {linker,   "-shared", "--strip-debug", "-z",
                                 "notext", "-o",      output};
  args.append(inputs.begin(), inputs.end());
  std::optional<StringRef> redirects[] = {std::nullopt, StringRef(log),
                                          StringRef(log)};
  int status = llvm::sys::ExecuteAndWait(linker, args, std::nullopt, redirects,
                                         /*SecondsToWait=*/120);
  if (status != 0) {
    InFlightDiagnostic error = emitError(loc)
                               << linker << " failed (exit " << status << ")";
    error.attachNote() << readFile(log);
    return failure();
  }
  std::string bytes = readFile(output);
  return SmallVector<char>(bytes.begin(), bytes.end());
}
