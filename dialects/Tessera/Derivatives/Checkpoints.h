// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// How the ops of a checkpointed call are marked while a function is
// differentiated, and what keeping and computing values takes.
#ifndef TESSERA_DIALECTS_TESSERA_DERIVATIVES_CHECKPOINTS_H
#define TESSERA_DIALECTS_TESSERA_DERIVATIVES_CHECKPOINTS_H

#include "dialects/Tessera/IR/Calls.h"

namespace tessera::derivatives {

/// Attribute of the ops of a checkpointed call, its mark as makeCheckpointMark
/// makes it: the ops that the backward pass may compute again.
inline constexpr llvm::StringLiteral checkpointAttrName =
    "tessera.checkpoint_region";

/// Unit attribute of the ops that rules add to the program meanwhile. What they
/// compute element by element is computed again instead of kept.
inline constexpr llvm::StringLiteral derivedAttrName = "tessera.derived";

/// Unit attribute of ops that compute a value again from a barrier's results.
/// They belong to no phase: it is the barrier that keeps them apart.
inline constexpr llvm::StringLiteral recomputedAttrName = "tessera.recomputed";

/// The mark of the ops of `call`, a checkpoint, of which `number` is the only
/// one in its function.
mlir::Attribute makeCheckpointMark(CallOp call, int64_t number);
llvm::StringRef policyTextOf(mlir::Attribute mark);
CheckpointPolicy policyOf(mlir::Attribute mark);
/// Where the call is.
mlir::Location locationOf(mlir::Attribute mark);

/// Whether `policy` keeps the results of `op` by what they are.
bool isKeptBy(const CheckpointPolicy &policy, mlir::Operation *op);

/// Of the whole tensor.
int64_t bytesOf(mlir::Value value);
/// Operations of one execution, of regions with all their iterations; those of
/// a while loop count as one.
double flopsOf(mlir::Operation *op);

/// Whether `op` does nothing else than compute values, its callee included.
bool isFreeOfEffects(mlir::Operation *op);
/// What computing `op` again takes: operations, and elements that it writes.
double workOf(mlir::Operation *op);

/// `32768 bytes: 256x32xf32 of tessera.add`.
std::string describeKept(mlir::Value value);
/// ` at model.py:12`, or empty where the place is unknown.
std::string describePlace(mlir::Location loc);

} // namespace tessera::derivatives

#endif // TESSERA_DIALECTS_TESSERA_DERIVATIVES_CHECKPOINTS_H
