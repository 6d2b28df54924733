// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// From a module of LLVM dialect functions to a shared object for the host.
#ifndef TESSERA_TARGET_CPU_H
#define TESSERA_TARGET_CPU_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SmallVector.h"
#include <optional>
#include <string>
#include <vector>

namespace tessera {

struct CPUOptions {
  /// "native", or a name that LLVM knows ("x86-64-v3", "x86-64-v4").
  std::string cpu = "native";
  /// Of LLVM's middle and back end, 0 to 3.
  unsigned optLevel = 3;
  /// Kernels compiled at once; 0: one per core that the process may use. The
  /// result does not depend on it.
  unsigned jobs = 0;
  /// The linker; empty to search (see findLinker).
  std::string linker;
};

/// A CPU of the host's architecture to compile for.
struct CPUDescription {
  std::string architecture; ///< "x86_64" or "aarch64".
  std::string model;        ///< What instructions are scheduled for.
  /// What kernels may use of include/tessera/ABI/CpuFeatures.h, in its order.
  std::vector<std::string> features;
  /// Widest vector registers: what convert-tile-to-cpu is to be told.
  unsigned vectorBits = 128;
};

/// Resolves CPUOptions::cpu. None, with `error` saying what is expected, when
/// there is no such CPU.
std::optional<CPUDescription> describeCPU(llvm::StringRef cpu,
                                          std::string &error);

/// The path of ld.lld: `hint` when given, else the environment variable
/// TESSERA_LLD, else the first of ld.lld-22 and ld.lld on PATH or in
/// /usr/lib/llvm-22/bin; empty when there is none.
std::string findLinker(llvm::StringRef hint = "");

/// Bytes of a position-independent shared object that exports the module's
/// functions and globals of external linkage. Errors are diagnostics at the
/// module.
llvm::FailureOr<llvm::SmallVector<char>>
emitSharedObject(mlir::ModuleOp module, const CPUOptions &options);

} // namespace tessera

#endif // TESSERA_TARGET_CPU_H
