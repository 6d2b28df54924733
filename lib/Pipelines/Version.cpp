// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Pipelines/Version.h"

#include "tessera/ABI/PlanFormat.h"
#include "tessera/Target/CPU.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MD5.h"
#include "llvm/Support/MemoryBuffer.h"

#include <dlfcn.h>
#include <string>

/// The code that compiles is the identity: the hash of the file this function
/// was loaded from.
static std::string hashOwnFile() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<void *>(&hashOwnFile), &info) || !info.dli_fname)
    return "unknown";
  // A program's own name has no folder where a shell found it on the PATH.
  llvm::StringRef path = info.dli_fname;
  if (!path.contains('/'))
    path = "/proc/self/exe";
  llvm::ErrorOr<std::unique_ptr<llvm::MemoryBuffer>> file =
      llvm::MemoryBuffer::getFile(path);
  if (!file)
    return "unknown";
  llvm::MD5 hash;
  hash.update((*file)->getBuffer());
  llvm::MD5::MD5Result result;
  hash.final(result);
  return result.digest().str().str();
}

const char *tessera::getCompilerVersion() {
  static const std::string version = "tessera-" + hashOwnFile() + "-llvm-" +
                                     LLVM_VERSION_STRING + "-plan-" +
                                     std::to_string(abi::planVersion);
  return version.c_str();
}

const char *tessera::getVersionOnHost() {
  static const std::string version = [] {
    std::string text = getCompilerVersion(), problem;
    if (std::optional<CPUDescription> cpu = describeCPU("native", problem))
      text += "-on-" + cpu->architecture + "-" + cpu->model + "-" +
              llvm::join(cpu->features, "+");
    return text;
  }();
  return version.c_str();
}
