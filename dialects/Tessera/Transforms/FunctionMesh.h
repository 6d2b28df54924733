// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The mesh that a function's values live on.
#ifndef TESSERA_DIALECTS_TESSERA_TRANSFORMS_FUNCTIONMESH_H
#define TESSERA_DIALECTS_TESSERA_TRANSFORMS_FUNCTIONMESH_H

#include "dialects/Tessera/IR/Tessera.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace tessera {

/// The mesh of a function's arguments, results and values; nullopt where none
/// of them is a mesh tensor. Emits an error where some are and others are not,
/// where they are on two meshes, and where the module does not declare theirs.
llvm::FailureOr<std::optional<Mesh>>
findFunctionMesh(mlir::func::FuncOp function);

} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_TRANSFORMS_FUNCTIONMESH_H
