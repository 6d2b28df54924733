// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// From a plan and compiled kernels to an artefact.
#ifndef TESSERA_TARGET_ARTEFACT_H
#define TESSERA_TARGET_ARTEFACT_H

#include "tessera/ABI/PlanFormat.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

namespace tessera {

/// Where a kernel of the plan is and what it takes; see abi::Kernel.
struct KernelCode {
  std::string symbol;
  int object = 0;
  int threads = 1;
  int64_t sharedBytes = 0;
  int64_t stackBytes = 0;
  int registers = 0;
  int64_t spillBytes = 0;
};

/// What was compiled for a target.
struct CodeObjects {
  std::string target;
  std::string compiler;
  std::string architecture; ///< See abi::Plan.
  std::vector<std::string> cpuFeatures;
  std::vector<std::string> objects;
  llvm::StringMap<KernelCode> kernels;
};

/// Resolves the `plan.program` @entry of `module` on its mesh: axes become
/// digits of device numbers, so that the result is as large for any number of
/// devices. Errors, such as a launch of a kernel that `code` lacks, are
/// diagnostics.
llvm::FailureOr<abi::Artefact> buildArtefact(mlir::ModuleOp module,
                                             llvm::StringRef entry,
                                             const CodeObjects &code);

} // namespace tessera

#endif // TESSERA_TARGET_ARTEFACT_H
