// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Checks that a whole program states where values differ by device.
#ifndef TESSERA_DIALECTS_TESSERA_TRANSFORMS_VARYINGVALUES_H
#define TESSERA_DIALECTS_TESSERA_TRANSFORMS_VARYINGVALUES_H

#include "dialects/Tessera/IR/Tessera.h"

namespace tessera {

/// Emits an error where the types of `op` do not agree about varying axes: a
/// result varies along what the operands vary along, all ends of a data-flow
/// edge alike, and what decides about control along nothing.
mlir::LogicalResult verifyVarying(mlir::Operation *op, const Mesh &mesh);

} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_TRANSFORMS_VARYINGVALUES_H
