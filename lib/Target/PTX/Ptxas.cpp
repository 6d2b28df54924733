// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Runs ptxas and reads its report. A subprocess on whole programs, because the
// in-process assembler (nvJitLink) and relocatable objects ignore register
// hand-over and serialise asynchronous matrix instructions.
#include "tessera/Target/PTX.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/Regex.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdlib>

using namespace mlir;
using namespace tessera;

std::string tessera::findPtxas(StringRef hint) {
  if (!hint.empty())
    return llvm::sys::fs::can_execute(hint) ? hint.str() : "";
  if (const char *path = std::getenv("TESSERA_PTXAS"))
    return llvm::sys::fs::can_execute(path) ? path : "";
  if (auto found = llvm::sys::findProgramByName("ptxas"))
    return *found;
  if (auto found =
          llvm::sys::findProgramByName("ptxas", {"/usr/local/cuda/bin"}))
    return *found;
  return "";
}

/// The number before `what` in `line` ("4 bytes stack frame"), or 0.
static int numberBefore(StringRef line, StringRef what) {
  llvm::Regex pattern(("([0-9]+) " + what).str());
  SmallVector<StringRef> groups;
  int number = 0;
  if (pattern.match(line, &groups))
    (void)groups[1].getAsInteger(10, number);
  return number;
}

void tessera::parsePtxasReport(StringRef report, Cubin &cubin) {
  // Three lines a kernel: "Compiling entry function 'k' for 'sm_90a'",
  // "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads" and
  // "Used 32 registers, used 1 barriers, 16384 bytes smem".
  SmallVector<StringRef> lines;
  report.split(lines, '\n', -1, /*KeepEmpty=*/false);
  llvm::Regex entry("Compiling entry function '([^']+)'");
  for (StringRef line : lines) {
    SmallVector<StringRef> groups;
    if (entry.match(line, &groups)) {
      cubin.kernels.emplace_back().name = groups[1].str();
      continue;
    }
    if (line.contains("bytes stack frame") && !cubin.kernels.empty()) {
      KernelResources &kernel = cubin.kernels.back();
      kernel.stackBytes = numberBefore(line, "bytes stack frame");
      kernel.spillStoreBytes = numberBefore(line, "bytes spill stores");
      kernel.spillLoadBytes = numberBefore(line, "bytes spill loads");
      continue;
    }
    llvm::Regex used("Used ([0-9]+) registers");
    if (used.match(line, &groups) && !cubin.kernels.empty()) {
      (void)groups[1].getAsInteger(10, cubin.kernels.back().registers);
      cubin.kernels.back().sharedBytes = numberBefore(line, "bytes smem");
      continue;
    }
    bool isProgress = line.contains("Function properties for") ||
                      line.contains("Compile time =") ||
                      line.contains("bytes gmem");
    if (!isProgress)
      cubin.notes.push_back(line.trim().str());
  }
}

static std::string readFile(StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  return buffer ? (*buffer)->getBuffer().str() : "";
}

namespace {
/// A file with a unique name that is removed at the end of its scope.
struct TemporaryFile {
  SmallString<64> path;
  llvm::FileRemover remover;

  LogicalResult create(StringRef suffix, Location loc) {
    if (std::error_code error =
            llvm::sys::fs::createTemporaryFile("tessera", suffix, path))
      return emitError(loc)
             << "cannot create a temporary file for ptxas: " << error.message();
    remover.setFile(path);
    return success();
  }
};
} // namespace

LogicalResult tessera::checkPtxas(StringRef chip, Location loc,
                                  StringRef hint) {
  if (!findPtxas(hint).empty())
    return success();
  const char *variable = std::getenv("TESSERA_PTXAS");
  std::string place;
  if (!hint.empty())
    place = " at '" + hint.str() + "'";
  else if (variable)
    place = " at '" + std::string(variable) + "', which TESSERA_PTXAS names";
  InFlightDiagnostic error = emitError(loc) << "ptxas not found" << place;
  error.attachNote() << "it assembles kernels for " << chip
                     << "; install the CUDA toolkit or the Python package "
                        "nvidia-cuda-nvcc and put its bin folder on PATH, or "
                        "set TESSERA_PTXAS; the cpu target works without it";
  return error;
}

FailureOr<Cubin> tessera::assembleCubin(StringRef ptx, StringRef chip,
                                        Location loc, StringRef hint) {
  if (failed(checkPtxas(chip, loc, hint)))
    return failure();
  std::string ptxas = findPtxas(hint);
  TemporaryFile source, object, report;
  if (failed(source.create("ptx", loc)) ||
      failed(object.create("cubin", loc)) || failed(report.create("log", loc)))
    return failure();
  {
    std::error_code error;
    llvm::raw_fd_ostream stream(source.path, error);
    stream << ptx;
    stream.close();
    if (error || stream.has_error()) {
      stream.clear_error();
      return emitError(loc) << "cannot write " << source.path.str().str()
                            << ": is the disk full?";
    }
  }
  std::string arch = ("-arch=" + chip).str();
  SmallVector<StringRef> args = {ptxas,       "-v", arch,       "-O3",
                                 source.path, "-o", object.path};
  std::optional<StringRef> redirects[] = {std::nullopt, StringRef(report.path),
                                          StringRef(report.path)};
  std::string message;
  int status = llvm::sys::ExecuteAndWait(ptxas, args, std::nullopt, redirects,
                                         /*SecondsToWait=*/600,
                                         /*MemoryLimit=*/0, &message);
  std::string log = readFile(report.path);
  if (status != 0) {
    InFlightDiagnostic error = emitError(loc)
                               << "ptxas failed for " << chip << " (exit "
                               << status << ") " << message;
    error.attachNote() << log;
    return failure();
  }
  Cubin cubin;
  std::string bytes = readFile(object.path);
  if (!StringRef(bytes).starts_with("\x7f"
                                    "ELF")) {
    InFlightDiagnostic error = emitError(loc)
                               << "ptxas wrote no cubin for " << chip
                               << ", though it says that it succeeded";
    error.attachNote() << "it is '" << ptxas << "'"
                       << (log.empty() ? "" : "; it says: ") << log;
    return failure();
  }
  cubin.bytes.assign(bytes.begin(), bytes.end());
  parsePtxasReport(log, cubin);
  return cubin;
}
