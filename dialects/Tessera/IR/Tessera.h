// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The tessera dialect: tensor programs on logical tensors.
#ifndef TESSERA_DIALECTS_TESSERA_IR_TESSERA_H
#define TESSERA_DIALECTS_TESSERA_IR_TESSERA_H

#include "dialects/Dist/IR/Dist.h"
#include "dialects/Tessera/IR/DataFlow.h"
#include "tessera/Analysis/FactorRule.h"
#include "tessera/Analysis/IndexedDims.h"
#include "tessera/Analysis/LayoutPropagation.h"

#include "mlir/IR/BuiltinTypeInterfaces.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"

#include "dialects/Tessera/IR/KernelRole.h"
#include "dialects/Tessera/IR/LocalPart.h"

#include "dialects/Tessera/IR/TesseraDialect.h.inc"
#include "dialects/Tessera/IR/TesseraEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Tessera/IR/TesseraAttrs.h.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/Tessera/IR/TesseraTypes.h.inc"

namespace tessera {

/// A mesh tensor, or a statically shaped builtin tensor, of an element type
/// that programs compute on.
bool isProgramTensor(mlir::Type type);
/// Shape of a program tensor.
llvm::ArrayRef<int64_t> shapeOf(mlir::Value value);
std::vector<int64_t> shapeVector(mlir::Type type);
/// Layout of a mesh tensor, or null for a builtin tensor.
const Layout *layoutOf(mlir::Type type);
/// The axes along which some operand of `op` varies, and so its results.
std::vector<AxisRef> varyingOfOperands(mlir::Operation *op, const Mesh &mesh);
/// Shapes of the types of `op`'s operands and results.
OpShapes opShapesOf(mlir::Operation *op);

/// What an op's operands and attributes say of its result's type.
struct InferredType {
  /// Absent where the op may have a result of another shape, as `reshape`.
  std::optional<llvm::SmallVector<int64_t>> shape;
  /// Null where it may have another element type, as `convert`. Where several
  /// are allowed, as for products of bf16, that of the operands.
  mlir::Type elementType;
};

/// A value that an op moves between the devices by itself, in place of a
/// reshard of an operand.
struct Exchange {
  MeshTensorType from, to;
};

} // namespace tessera

#include "dialects/Tessera/IR/TesseraInterfaces.h.inc"

namespace tessera {

/// Whether each user of `value` may have it in a layout of its own at no cost:
/// it is cheap to clone and made of whole scalars at most.
bool isFreeInAnyLayout(mlir::Value value);

/// The number of element type `type` that changes nothing when it is combined;
/// of a sum of floats that is -0.0, which keeps the sign of a zero.
mlir::TypedAttr neutralElement(ReduceKind kind, mlir::Type type);
/// Whether `value` is a constant of neutral elements, or for a sum of 0.0. Such
/// a constant may be partial: each device holds it, and so do all together.
bool isNeutralSplat(mlir::Value value, ReduceKind kind);

} // namespace tessera

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/ElementwiseOps.h.inc"
#define GET_OP_CLASSES
#include "dialects/Tessera/IR/ContractionOps.h.inc"
#define GET_OP_CLASSES
#include "dialects/Tessera/IR/ReductionOps.h.inc"
#define GET_OP_CLASSES
#include "dialects/Tessera/IR/ShapeOps.h.inc"
#define GET_OP_CLASSES
#include "dialects/Tessera/IR/IndexingOps.h.inc"
#define GET_OP_CLASSES
#include "dialects/Tessera/IR/DynamicSliceOps.h.inc"
#define GET_OP_CLASSES
#include "dialects/Tessera/IR/CreationOps.h.inc"
#define GET_OP_CLASSES
#include "dialects/Tessera/IR/NNOps.h.inc"
#define GET_OP_CLASSES
#include "dialects/Tessera/IR/RowOps.h.inc"
#define GET_OP_CLASSES
#include "dialects/Tessera/IR/LayoutOps.h.inc"
#define GET_OP_CLASSES
#include "dialects/Tessera/IR/ControlOps.h.inc"

#endif // TESSERA_DIALECTS_TESSERA_IR_TESSERA_H
