// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// From kernels to the code of a target.
#ifndef TESSERA_LIB_PIPELINES_CODEGENERATION_H
#define TESSERA_LIB_PIPELINES_CODEGENERATION_H

#include "tessera/Pipelines/Compiler.h"
#include "tessera/Target/Artefact.h"

namespace tessera {

/// The CPU whose instructions kernels of `options` use: CPUOptions::cpu.
llvm::StringRef cpuOf(const CompileOptions &options);

/// The PTX of `module`, which is of stage `nvvm`.
llvm::FailureOr<std::string> generatePTX(mlir::ModuleOp module,
                                         const Target &target);

/// Compiles `module`, of stage `llvm` (cpu) or `nvvm` (the others), to the one
/// object of `code`, and describes its kernels there and in `report`.
llvm::LogicalResult generateCode(mlir::ModuleOp module,
                                 const CompileOptions &options,
                                 CodeObjects &code, Report &report);

} // namespace tessera

#endif // TESSERA_LIB_PIPELINES_CODEGENERATION_H
