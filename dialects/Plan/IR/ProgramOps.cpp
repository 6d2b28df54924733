// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Plan/IR/Plan.h"
#include "tessera/Syntax/RegionSyntax.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace tessera::plan;

#define GET_OP_CLASSES
#include "dialects/Plan/IR/ProgramOps.cpp.inc"

/// `buffer` has the bytes of `tensor`.
static LogicalResult verifyBytes(Operation *op, BufferType buffer,
                                 Type tensor) {
  auto ranked = dyn_cast<RankedTensorType>(tensor);
  if (!ranked || !ranked.hasStaticShape())
    return op->emitOpError()
           << "expects a tensor of static shape, got " << tensor;
  if (buffer.getBytes() == byteSizeOf(ranked))
    return success();
  return op->emitOpError() << "gives a buffer of " << buffer.getBytes()
                           << " bytes, but " << tensor << " takes "
                           << byteSizeOf(ranked);
}

template <typename BoundaryOp>
static LogicalResult verifyBoundary(BoundaryOp op) {
  auto global = dyn_cast<RankedTensorType>(op.getGlobalType());
  auto local = dyn_cast<RankedTensorType>(op.getLocalType());
  if (!global || !local || global.getRank() != local.getRank() ||
      global.getElementType() != local.getElementType())
    return op.emitOpError()
           << "expects tensors of one rank and element type, "
              "got "
           << op.getGlobalType() << " and " << op.getLocalType();
  if (op.getLayout().getValue().dims.size() !=
      static_cast<size_t>(global.getRank()))
    return op.emitOpError()
           << "has a layout of " << op.getLayout().getValue().dims.size()
           << " dimensions for a tensor of " << global.getRank();
  return verifyBytes(op, op.getBuffer().getType(), local);
}

LogicalResult InputOp::verify() { return verifyBoundary(*this); }
LogicalResult OutputOp::verify() { return verifyBoundary(*this); }

LogicalResult TiedOutputOp::verify() {
  if (failed(verifyBoundary(*this)))
    return failure();
  auto input = getBuffer().getDefiningOp<InputOp>();
  if (!input || !input.getDonated())
    return emitOpError() << "is in a buffer that is not a donated plan.input";
  if (input.getGlobalType() == getGlobalType() &&
      input.getLocalType() == getLocalType() &&
      input.getLayout() == getLayout())
    return success();
  InFlightDiagnostic error = emitOpError()
                             << "is " << getGlobalType() << " as "
                             << getLayout().getValue().str()
                             << ", but the input whose memory it is in is "
                             << input.getGlobalType() << " as "
                             << input.getLayout().getValue().str();
  error.attachNote(input.getLoc()) << "the input is here";
  return error;
}

LogicalResult ConstantOp::verify() {
  BufferType type = getBuffer().getType();
  if (failed(verifyBytes(*this, type, getValue().getType())))
    return failure();
  auto resource = dyn_cast<DenseResourceElementsAttr>(getValue());
  if (!resource)
    return success();
  AsmResourceBlob *blob = resource.getRawHandle().getBlob();
  if (blob && static_cast<int64_t>(blob->getData().size()) == type.getBytes())
    return success();
  InFlightDiagnostic error =
      emitOpError() << "takes " << type.getBytes() << " bytes from resource '"
                    << resource.getRawHandle().getKey() << "', which ";
  if (blob)
    return error << "has " << blob->getData().size();
  return error << "does not exist";
}

LogicalResult AllocateOp::verify() {
  std::optional<uint64_t> offset = getOffset();
  if (!offset || *offset % 64 == 0)
    return success();
  return emitOpError() << "is at offset " << *offset
                       << "; offsets are multiples of 64";
}
