// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What a compilation tells about its program once that is one device's.
#ifndef TESSERA_LIB_PIPELINES_PROGRAMREPORT_H
#define TESSERA_LIB_PIPELINES_PROGRAMREPORT_H

#include "dialects/Dist/IR/Dist.h"
#include "tessera/Pipelines/Report.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace tessera {

/// Adds "collectives", "checkpoints", "arguments", "results", "flops" and
/// "bytes" of `entry`, which is of stage `local`.
void reportLocalProgram(mlir::func::FuncOp entry, Report &report);

/// The file and line of the first source location within `loc`, or "" and 0.
std::pair<std::string, int64_t> sourceOf(mlir::Location loc);

/// The ops of the dist dialect that send data, by name: "all_reduce", ...
llvm::SmallVector<llvm::StringRef> getCollectiveNames();
/// The name of such an op; "" for others.
llvm::StringRef collectiveName(mlir::Operation *op);

} // namespace tessera

#endif // TESSERA_LIB_PIPELINES_PROGRAMREPORT_H
