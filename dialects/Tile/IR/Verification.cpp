// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Verification.h"

using namespace mlir;
using namespace tessera::tile;

std::string tessera::tile::shapeToString(ArrayRef<int64_t> shape) {
  std::string text = "[";
  for (auto [i, size] : llvm::enumerate(shape))
    text += (i ? ", " : "") + std::to_string(size);
  return text + "]";
}

ArrayRef<int64_t> tessera::tile::shapeOf(Value value) {
  return cast<ShapedType>(value.getType()).getShape();
}

/// Says where a value that breaks a rule comes from, unless it is the op's own.
static LogicalResult withCause(InFlightDiagnostic error, Operation *op,
                               Value value, StringRef name) {
  if (value.getDefiningOp() != op)
    error.attachNote(value.getLoc()) << name << " has type " << value.getType();
  return error;
}

LogicalResult tessera::tile::verifyShape(Operation *op, Value value,
                                         StringRef name,
                                         ArrayRef<int64_t> shape) {
  if (shapeOf(value) == shape)
    return success();
  return withCause(op->emitOpError() << "expects " << name << " of shape "
                                     << shapeToString(shape) << ", got "
                                     << shapeToString(shapeOf(value)),
                   op, value, name);
}

LogicalResult tessera::tile::verifyRank(Operation *op, Value value,
                                        StringRef name, int64_t rank) {
  auto got = static_cast<int64_t>(shapeOf(value).size());
  if (got == rank)
    return success();
  return withCause(op->emitOpError() << "expects " << name << " of rank "
                                     << rank << ", got rank " << got,
                   op, value, name);
}

LogicalResult tessera::tile::verifyElementType(Operation *op, Value value,
                                               StringRef name, Type type) {
  Type got = getElementTypeOrSelf(value.getType());
  if (got == type)
    return success();
  InFlightDiagnostic error = op->emitOpError()
                             << "expects " << name << " of element type "
                             << type << ", got " << got;
  error.attachNote() << "elements are never converted silently; use "
                        "arith.extf, arith.truncf or their like";
  return withCause(std::move(error), op, value, name);
}

LogicalResult tessera::tile::verifyDim(Operation *op, int64_t dim,
                                       int64_t rank) {
  if (dim >= 0 && dim < rank)
    return success();
  return op->emitOpError() << "names dimension " << dim << " of a tile of rank "
                           << rank << "; dimensions count from 0 to "
                           << rank - 1;
}
