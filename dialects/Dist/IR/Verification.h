// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the verifiers of the dist ops share.
#ifndef TESSERA_DIALECTS_DIST_IR_VERIFICATION_H
#define TESSERA_DIALECTS_DIST_IR_VERIFICATION_H

#include "dialects/Dist/IR/Dist.h"

namespace tessera::dist {

/// The mesh that `op` names, or an error that says how to declare one.
mlir::FailureOr<Mesh> findMesh(mlir::Operation *op,
                               mlir::SymbolTableCollection &symbols,
                               mlir::FlatSymbolRefAttr name);

/// The mesh, and that `axes` exist on it and share no device digit.
mlir::FailureOr<Mesh> findMeshOfAxes(mlir::Operation *op,
                                     mlir::SymbolTableCollection &symbols,
                                     mlir::FlatSymbolRefAttr name,
                                     AxesAttr axes);

} // namespace tessera::dist

#endif // TESSERA_DIALECTS_DIST_IR_VERIFICATION_H
