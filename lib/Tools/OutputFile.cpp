// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "OutputFile.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <fcntl.h>
#include <unistd.h>

using namespace llvm;
namespace fs = llvm::sys::fs;

static std::string cannotWrite(StringRef path, const Twine &why) {
  std::string name = path == "-" ? "standard output" : ("'" + path + "'").str();
  return ("cannot write " + name + ": " + why).str();
}

/// Whether `path` is there and is neither a file nor a folder.
static bool isSpecial(StringRef path) {
  fs::file_status status;
  return !fs::status(path, status) && fs::exists(status) &&
         !fs::is_regular_file(status) && !fs::is_directory(status);
}

static StringRef folderOf(StringRef path) {
  StringRef folder = sys::path::parent_path(path);
  return folder.empty() ? "." : folder;
}

bool tessera::isSameFile(StringRef a, StringRef b) {
  if (a == "-" || b == "-" || isSpecial(a) || isSpecial(b))
    return false;
  if (fs::exists(a) && fs::exists(b))
    return fs::equivalent(a, b);
  return sys::path::filename(a) == sys::path::filename(b) &&
         fs::equivalent(folderOf(a), folderOf(b));
}

std::string tessera::checkWritable(StringRef path) {
  if (path == "-" && fcntl(STDOUT_FILENO, F_GETFD) == -1)
    return cannotWrite(path, "it is closed; name a file with -o");
  if (path == "-" || isSpecial(path))
    return "";
  if (fs::is_directory(path))
    return cannotWrite(path, "it is a folder; name a file in it");
  StringRef folder = folderOf(path);
  if (!fs::is_directory(folder))
    return cannotWrite(path, "folder '" + folder + "' does not exist");
  if (std::error_code error = fs::access(folder, fs::AccessMode::Write))
    return cannotWrite(path, "folder '" + folder + "': " + error.message());
  return "";
}

/// Writes to what is open; returns why it failed, or "".
static std::string writeTo(raw_fd_ostream &os, StringRef path, StringRef data) {
  os << data;
  os.flush();
  std::error_code error = os.error();
  os.clear_error();
  return error ? cannotWrite(path, error.message()) : "";
}

std::string tessera::writeFile(StringRef path, StringRef data) {
  if (path == "-")
    return writeTo(outs(), path, data);
  if (isSpecial(path)) {
    std::error_code error;
    raw_fd_ostream os(path, error);
    return error ? cannotWrite(path, error.message()) : writeTo(os, path, data);
  }
  SmallString<128> target;
  if (fs::real_path(path, target))
    target = path; // It does not exist yet.
  Expected<fs::TempFile> file = fs::TempFile::create(target + ".%%%%%%.tmp");
  if (!file)
    return cannotWrite(path, toString(file.takeError()));
  raw_fd_ostream os(file->FD, /*shouldClose=*/false);
  std::string problem = writeTo(os, path, data);
  if (!problem.empty()) {
    consumeError(file->discard());
    return problem;
  }
  if (Error error = file->keep(target))
    return cannotWrite(path, toString(std::move(error)));
  return "";
}
