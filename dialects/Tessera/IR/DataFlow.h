// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Which values of a region op are one and the same: the data-flow edges that
// passes walk control flow by.
#ifndef TESSERA_DIALECTS_TESSERA_IR_DATAFLOW_H
#define TESSERA_DIALECTS_TESSERA_IR_DATAFLOW_H

#include "tessera/Analysis/FactorRule.h"

#include "mlir/IR/Operation.h"
#include "mlir/IR/Value.h"

#include <optional>
#include <string>

namespace tessera {

/// One value as it passes into, through and out of an op: whatever flows from
/// any source reaches every target. All ends have one shape and element type,
/// up to a leading dimension, and in stage `reshards` one layout.
struct DataFlowEdge {
  enum class Kind {
    Carried,  ///< Initial value and yield to block arguments and result.
    Sequence, ///< A sequence to the slice of an iteration.
    Stacked,  ///< The yield of an iteration to the stack of all of them.
    Result,   ///< The yields of branches to a result.
    Identity, ///< An operand to a result.
  };
  Kind kind = Kind::Carried;
  unsigned number = 0; ///< Among the edges of this kind of the op.
  /// The op's operands come before those of terminators.
  llvm::SmallVector<mlir::OpOperand *> sources;
  llvm::SmallVector<mlir::Value> targets;

  /// Whether the sources have one dimension more, the leading one, than the
  /// targets.
  bool hasLeadingSource() const { return kind == Kind::Sequence; }
  /// Whether the targets have one dimension more than the sources.
  bool hasLeadingTarget() const { return kind == Kind::Stacked; }
  /// `carried value 1`, `sequence 0`.
  std::string describe() const;
  /// The rule of an op that gives the sources to the targets: a factor per
  /// dimension, and for the leading one a factor that must be whole, as
  /// iterations run one after another on every device.
  FactorRule getFactorRule() const;
};

/// The edge of the defining op, or of the op around the block, that `value` is
/// a target of; nullopt where it is none's.
std::optional<DataFlowEdge> findEdgeTo(mlir::Value value);

/// Whether the regions of `op` are understood by passes: a module, a function,
/// kernel or plan, or an op that states its data flow.
bool hasKnownRegions(mlir::Operation *op);

/// An error at the first op below `root` (or at it) whose regions `pass`, a
/// pass's flag, does not know. `isKnown` adds ops to the ones that
/// hasKnownRegions() accepts. Kernels and plans below `root` are left to the
/// passes that work on them.
mlir::LogicalResult verifyRegionsAreKnown(
    mlir::Operation *root, llvm::StringRef pass,
    llvm::function_ref<bool(mlir::Operation *)> isKnown = nullptr);

} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_IR_DATAFLOW_H
