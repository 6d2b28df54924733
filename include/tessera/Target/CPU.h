// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// From a module of LLVM dialect functions to a shared object for the host.
#ifndef TESSERA_TARGET_CPU_H
#define TESSERA_TARGET_CPU_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SmallVector.h"
#include <string>

namespace tessera {

struct CPUOptions {
  /// "native", or a name that LLVM knows ("x86-64-v3", "x86-64-v4").
  std::string cpu = "native";
  /// Of LLVM's middle and back end, 0 to 3.
  unsigned optLevel = 3;
  /// The linker; empty to search (see findLinker).
  std::string linker;
};

/// Widest vector registers of `cpu`, in bits: what convert-tile-to-cpu is to be
/// told.
unsigned vectorBitsOf(llvm::StringRef cpu);

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
