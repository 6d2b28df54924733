// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The collectives that carry out one tessera.reshard.
#ifndef TESSERA_DIALECTS_TESSERA_TRANSFORMS_RESHARDSTEPS_H
#define TESSERA_DIALECTS_TESSERA_TRANSFORMS_RESHARDSTEPS_H

#include "dialects/Tessera/IR/Tessera.h"

#include "mlir/IR/Builders.h"

namespace tessera {

/// Creates the cheapest collectives that bring `value`, each device's part of a
/// tensor of type `from`, into the layout of `op`'s result, and returns what
/// the last one gives. Each says why by the reason of `op`, with its own bytes
/// and time. An error at `op` where there is no way.
mlir::FailureOr<mlir::Value> createReshardSteps(mlir::OpBuilder &builder,
                                                ReshardOp op, mlir::Value value,
                                                MeshTensorType from,
                                                const Mesh &mesh);

} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_TRANSFORMS_RESHARDSTEPS_H
