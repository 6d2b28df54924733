// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Values that tell a device which part of a whole it holds, and keep padding
// away from real elements.
#ifndef TESSERA_DIALECTS_TESSERA_IR_LOCALPART_H
#define TESSERA_DIALECTS_TESSERA_IR_LOCALPART_H

#include "tessera/Analysis/FactorRule.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

namespace tessera {

class MeshTensorType;

/// Builds ops on local values at the builder's insertion point. `axes` and
/// `size` are how a dimension of the whole is split, and its logical size.
class LocalPart {
public:
  LocalPart(mlir::OpBuilder &builder, const Mesh &mesh)
      : builder(builder), mesh(mesh) {}

  /// True when some device holds padding.
  bool isUneven(int64_t size, const std::vector<AxisRef> &axes) const;
  /// Logical index of the first local element: an i32 scalar.
  mlir::Value offset(mlir::Location loc, const std::vector<AxisRef> &axes,
                     int64_t size);
  mlir::Value broadcast(mlir::Location loc, mlir::Value scalar,
                        mlir::RankedTensorType like);
  /// `value` with the neutral element of `kind` where dimension `dim` is
  /// padding.
  mlir::Value maskPadding(mlir::Value value, size_t dim, int64_t size,
                          const std::vector<AxisRef> &axes, ReduceKind kind);
  /// Logical `indices` counted from the first local element; -1 for elements of
  /// other devices.
  mlir::Value localIndices(mlir::Location loc, mlir::Value indices,
                           const std::vector<AxisRef> &axes, int64_t size);
  /// Where logical `indices` name an element that other devices hold and this
  /// one does not: an i1 for each.
  mlir::Value isElsewhere(mlir::Location loc, mlir::Value indices,
                          const std::vector<AxisRef> &axes, int64_t size);
  /// A constant of `type`: the neutral element of `kind`.
  mlir::Value neutralLike(mlir::Location loc, mlir::RankedTensorType type,
                          ReduceKind kind);
  /// `value` on the device whose index along `axes` is 0, the neutral element
  /// of a sum on the others.
  mlir::Value onFirstDevice(mlir::Value value,
                            const std::vector<AxisRef> &axes);

protected:
  mlir::OpBuilder &builder;
  const Mesh &mesh;

private:
  mlir::Value extent(mlir::Location loc, const std::vector<AxisRef> &axes,
                     int64_t size);
  /// The i32 scalar `index` in the shape and element type of `like`.
  mlir::Value broadcastIndex(mlir::Location loc, mlir::Value index,
                             mlir::RankedTensorType like);
  mlir::Value isBelow(mlir::Location loc, mlir::Value lhs, mlir::Value rhs);
};

/// The values of a function that is being partitioned: their types are local,
/// and the logical ones are kept here.
class LocalValues : public LocalPart {
public:
  using LocalPart::LocalPart;

  /// The logical type of a local value; null for one that never was logical.
  MeshTensorType logicalType(mlir::Value value) const;
  void setLogicalType(mlir::Value value, MeshTensorType type);
  /// Shapes of `op`'s operands and results, logical where they have such.
  OpShapes logicalShapes(mlir::Operation *op) const;

  /// Before an op that combines elements along an unevenly split dimension, the
  /// padding becomes the neutral element.
  void maskReducedPadding(mlir::Operation *op, const FactorRule &rule);
  /// The part of `whole`, a value in logical shape that every device holds.
  mlir::Value cut(mlir::Value whole, MeshTensorType logical);

  mlir::OpBuilder &getBuilder() { return builder; }
  const Mesh &getMesh() const { return mesh; }

private:
  llvm::DenseMap<mlir::Value, mlir::Type> logicalTypes;
};

} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_IR_LOCALPART_H
