// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// From a module of NVVM kernels to PTX text, and from there to a cubin by
// ptxas, with what ptxas reports about each kernel.
#ifndef TESSERA_TARGET_PTX_H
#define TESSERA_TARGET_PTX_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include <string>
#include <vector>

namespace tessera {

/// The chips that `cuda:<chip>` names, oldest first.
llvm::ArrayRef<llvm::StringRef> getCudaChips();

/// What one kernel takes on one multiprocessor, as ptxas reports it.
struct KernelResources {
  std::string name;
  int registers = 0;       ///< Per thread.
  int spillStoreBytes = 0; ///< Per thread, to local memory.
  int spillLoadBytes = 0;  ///< Per thread, from local memory.
  int stackBytes = 0;      ///< Per thread.
  int sharedBytes = 0;     ///< Static, per block; a launch may give more.
};

struct Cubin {
  llvm::SmallVector<char> bytes;
  std::vector<KernelResources> kernels;
  /// Notes and warnings of ptxas that are not about resources.
  std::vector<std::string> notes;
};

/// Compiles the LLVM and NVVM dialect functions of `kernels` to PTX for `chip`
/// ("sm_90a"). Errors are diagnostics at the module.
llvm::FailureOr<std::string> translateToPTX(mlir::gpu::GPUModuleOp kernels,
                                            llvm::StringRef chip);

/// Assembles `ptx` for `chip` by running ptxas as a subprocess on the whole
/// program. `ptxas` is the program's path; empty to search for it (see
/// findPtxas). Errors are diagnostics at `loc`.
llvm::FailureOr<Cubin> assembleCubin(llvm::StringRef ptx, llvm::StringRef chip,
                                     mlir::Location loc,
                                     llvm::StringRef ptxas = "");

/// The path of ptxas: `hint` when given, else the environment variable
/// TESSERA_PTXAS, else the first one on PATH or in /usr/local/cuda/bin; empty
/// when there is none.
std::string findPtxas(llvm::StringRef hint = "");

/// Fails, saying how to get it, unless ptxas is found (see findPtxas).
llvm::LogicalResult checkPtxas(llvm::StringRef chip, mlir::Location loc,
                               llvm::StringRef hint = "");

/// Reads the report that `ptxas -v` prints.
void parsePtxasReport(llvm::StringRef report, Cubin &cubin);

} // namespace tessera

#endif // TESSERA_TARGET_PTX_H
