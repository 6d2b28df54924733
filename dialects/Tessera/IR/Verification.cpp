// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Verification.h"

using namespace mlir;
using namespace tessera;

std::string tessera::shapeToString(ArrayRef<int64_t> shape) {
  std::string text = "[";
  for (auto [i, size] : llvm::enumerate(shape))
    text += (i ? ", " : "") + std::to_string(size);
  return text + "]";
}

LogicalResult tessera::verifyOneMesh(Operation *op) {
  std::optional<std::string> mesh;
  bool sawBuiltin = false;
  auto check = [&](Type type) -> LogicalResult {
    auto meshTensor = dyn_cast<MeshTensorType>(type);
    if (!meshTensor) {
      auto builtin = dyn_cast<RankedTensorType>(type);
      sawBuiltin |= builtin && builtin.getRank() > 0;
      return success();
    }
    const std::string &name = meshTensor.getLayout().mesh;
    if (!mesh)
      mesh = name;
    if (*mesh == name)
      return success();
    InFlightDiagnostic error = op->emitOpError()
                               << "mixes tensors of mesh @" << *mesh
                               << " and mesh @" << name;
    error.attachNote() << "an op works on one mesh; give its operands the same";
    return error;
  };
  for (Type type : op->getOperandTypes())
    if (failed(check(type)))
      return failure();
  for (Type type : op->getResultTypes())
    if (failed(check(type)))
      return failure();
  if (mesh && sawBuiltin)
    return op->emitOpError() << "mixes mesh tensors and builtin tensors; a "
                                "program holds mesh tensors before "
                                "partitioning and builtin tensors after it";
  return success();
}

LogicalResult tessera::verifyShape(Operation *op, Value value, StringRef name,
                                   ArrayRef<int64_t> shape, StringRef hint) {
  if (shapeOf(value) == shape)
    return success();
  InFlightDiagnostic error = op->emitOpError()
                             << "expects " << name << " of shape "
                             << shapeToString(shape) << ", got "
                             << shapeToString(shapeOf(value));
  if (value.getDefiningOp() != op)
    error.attachNote(value.getLoc()) << name << " has type " << value.getType();
  if (!hint.empty())
    error.attachNote() << hint;
  return error;
}

LogicalResult tessera::verifyElementType(Operation *op, Value value,
                                         StringRef name, Type type) {
  Type got = getElementTypeOrSelf(value.getType());
  if (got == type)
    return success();
  InFlightDiagnostic error = op->emitOpError()
                             << "expects " << name << " of element type "
                             << type << ", got " << got;
  error.attachNote() << "element types are never converted silently; use "
                        "tessera.convert";
  return error;
}

LogicalResult tessera::verifyDim(Operation *op, int64_t dim, int64_t rank) {
  if (dim >= 0 && dim < rank)
    return success();
  return op->emitOpError() << "has dimension " << dim
                           << ", but the tensor has rank " << rank
                           << "; dimensions count from 0";
}

LogicalResult tessera::verifyAscendingDims(Operation *op, StringRef name,
                                           ArrayRef<int64_t> dims,
                                           int64_t rank) {
  for (auto [i, dim] : llvm::enumerate(dims)) {
    if (dim < 0 || dim >= rank)
      return op->emitOpError()
             << name << " " << shapeToString(dims) << " holds " << dim
             << ", but the tensor has rank " << rank;
    if (i > 0 && dims[i - 1] >= dim)
      return op->emitOpError() << name << " " << shapeToString(dims)
                               << " must ascend without repetition";
  }
  return success();
}
