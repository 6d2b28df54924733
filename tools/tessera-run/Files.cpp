// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Files.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace tessera;
using rt::Result;
using rt::Status;
namespace fs = std::filesystem;

static Status cannotWrite(const std::string &path, const std::string &why) {
  return Status::error("cannot write '" + path + "': " + why);
}

Result<std::string> run::readFile(const std::string &path,
                                  const std::string &start, size_t limit) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored))
    return Status::error("cannot read '" + path +
                         "': it is a folder; name a file in it");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return Status::error("cannot open '" + path +
                         "': " + std::strerror(errno ? errno : ENOENT));
  std::string bytes;
  constexpr size_t chunk = 1 << 20;
  while (file && bytes.size() < limit) {
    size_t had = bytes.size(), more = std::min(chunk, limit - had);
    bytes.resize(had + more);
    file.read(&bytes[had], static_cast<std::streamsize>(more));
    bytes.resize(had + static_cast<size_t>(file.gcount()));
    if (bytes.compare(0, start.size(), start) != 0)
      break;
  }
  return bytes;
}

bool run::isSameFile(const std::string &a, const std::string &b) {
  std::error_code error;
  return fs::is_regular_file(a, error) && fs::equivalent(a, b, error) && !error;
}

Status run::checkWritable(const std::string &path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored))
    return cannotWrite(path, "it is a folder");
  fs::path folder = fs::path(path).parent_path();
  if (folder.empty())
    folder = ".";
  if (!fs::is_directory(folder, ignored))
    return cannotWrite(path, "folder '" + folder.string() + "' does not exist");
  if (access(folder.c_str(), W_OK) != 0)
    return cannotWrite(path,
                       "folder '" + folder.string() + "': " + strerror(errno));
  return Status::success();
}

static Status writeTo(const std::string &file, const std::string &path,
                      const std::string &bytes) {
  errno = 0;
  std::ofstream stream(file, std::ios::binary);
  stream << bytes;
  stream.close();
  if (stream)
    return Status::success();
  return cannotWrite(path, std::strerror(errno ? errno : EIO));
}

Status run::writeFile(const std::string &path, const std::string &bytes) {
  std::error_code error;
  if (fs::exists(path, error) && !fs::is_regular_file(path, error))
    return writeTo(path, path, bytes);
  fs::path target = fs::canonical(path, error);
  if (error)
    target = path; // It does not exist yet.
  std::string temporary =
      target.string() + "." + std::to_string(getpid()) + ".tmp";
  Status status = writeTo(temporary, path, bytes);
  if (status.ok()) {
    fs::rename(temporary, target, error);
    if (error)
      status = cannotWrite(path, error.message());
  }
  if (!status.ok())
    fs::remove(temporary, error);
  return status;
}

Status run::checkStandardStreams() {
  if (fcntl(STDOUT_FILENO, F_GETFD) == -1)
    return Status::error("standard output is closed");
  for (int stream : {STDIN_FILENO, STDERR_FILENO})
    if (fcntl(stream, F_GETFD) == -1) // The lowest that is free is opened.
      (void)!open("/dev/null", O_RDWR);
  return Status::success();
}

Status run::flushOutput() {
  errno = 0;
  if (std::fflush(stdout) == 0 && !std::ferror(stdout))
    return Status::success();
  return Status::error(std::string("cannot write standard output: ") +
                       std::strerror(errno ? errno : EIO));
}
