// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "PythonProgram.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

using namespace llvm;
namespace fs = llvm::sys::fs;

/// What Python executes. With -c, the current folder comes first in sys.path,
/// where a random.py of the user's would be taken for Python's; -P, which keeps
/// it out, is newer than Python 3.10.
static constexpr char launcher[] = R"(import sys
if sys.path and not sys.path[0]:
    del sys.path[0]
try:
    from tessera.compile import main
except ImportError as error:
    sys.exit(f"tessera-compile: error: {error}")
except KeyboardInterrupt:
    sys.exit(130)
sys.exit(main())
)";

/// How an interpreter ends that was asked to end so; nothing else does.
static constexpr int pythonStatus = 86;

/// Why `python` is not a Python interpreter, or "".
static std::string checkPython(StringRef python, StringRef name) {
  std::string status = std::to_string(pythonStatus), problem;
  std::string code = "raise SystemExit(" + status + ")";
  StringRef command[] = {python, "-I", "-S", "-c", code};
  std::optional<StringRef> redirects[] = {"", "", std::nullopt};
  int got =
      sys::ExecuteAndWait(python, command, std::nullopt, redirects,
                          /*SecondsToWait=*/0, /*MemoryLimit=*/0, &problem);
  if (got == pythonStatus)
    return "";
  problem = problem.empty() ? "" : " (" + problem + ")";
  return ("'" + name + "' is not a Python interpreter" + problem + ": '" +
          python + " -c \"" + code + "\"' ends with " + Twine(got) + ", not " +
          status + "; name another with --python")
      .str();
}

/// Puts the package of the build tree that this program is in first, if it is
/// in one. An empty entry in PYTHONPATH would be the current folder.
static void addBuiltPackage(const char *program) {
  std::string self = fs::getMainExecutable(
      program, reinterpret_cast<void *>(&addBuiltPackage));
  SmallString<128> package(
      sys::path::parent_path(sys::path::parent_path(self)));
  sys::path::append(package, "python");
  if (!fs::exists(package))
    return;
  std::string paths(package);
  const char *others = std::getenv("PYTHONPATH");
  if (others && *others)
    paths += std::string(":") + others;
  setenv("PYTHONPATH", paths.c_str(), /*overwrite=*/1);
}

std::string tessera::becomePython(StringRef python,
                                  ArrayRef<std::string> arguments,
                                  const char *program) {
  ErrorOr<std::string> path = sys::findProgramByName(python);
  if (!path || !fs::can_execute(*path))
    return ("cannot find '" + python +
            "', which traces Python programs; name it with --python")
        .str();
  std::string problem = checkPython(*path, python);
  if (!problem.empty())
    return problem;
  addBuiltPackage(program);
  SmallVector<const char *> command = {path->c_str(), "-c", launcher};
  for (const std::string &argument : arguments)
    command.push_back(argument.c_str());
  command.push_back(nullptr);
  execv(path->c_str(), const_cast<char *const *>(command.data()));
  return ("cannot run '" + python + "': " + std::strerror(errno)).str();
}
