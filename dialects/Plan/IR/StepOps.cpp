// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Plan/IR/Plan.h"

#include "tessera/ABI/Format.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace tessera::plan;

#define GET_OP_CLASSES
#include "dialects/Plan/IR/StepOps.cpp.inc"

/// Ends `error` with a note where each of `buffers` gets its size.
static LogicalResult explain(InFlightDiagnostic error, ValueRange buffers) {
  for (Value buffer : buffers)
    error.attachNote(buffer.getLoc())
        << "this buffer has " << cast<BufferType>(buffer.getType()).getBytes()
        << " bytes";
  return error;
}

LogicalResult LaunchOp::verify() {
  ArrayRef<int64_t> grid = getGrid();
  if (grid.empty() || grid.size() > 3 ||
      llvm::any_of(grid, [](int64_t blocks) { return blocks < 1; })) {
    InFlightDiagnostic error = emitOpError() << "has a grid of [";
    llvm::interleaveComma(grid, error);
    return error << "]; expected 1 to 3 dimensions of 1 block or more";
  }
  if (getOutputs().empty())
    return emitOpError() << "writes nothing";
  return success();
}

LogicalResult CopyOp::verify() {
  if (getInput().getType() == getOutput().getType())
    return success();
  return explain(emitOpError() << "copies " << getInput().getType().getBytes()
                               << " bytes into a buffer of "
                               << getOutput().getType().getBytes(),
                 {getInput(), getOutput()});
}

LogicalResult FillOp::verify() {
  Type type = getValue().getType();
  if (!type.isIntOrFloat())
    return emitOpError() << "fills with " << getValue()
                         << "; expected a number";
  int64_t element = (type.getIntOrFloatBitWidth() + 7) / 8;
  int64_t bytes = getOutput().getType().getBytes();
  if (bytes % element == 0)
    return success();
  return explain(emitOpError() << "fills a buffer of " << bytes
                               << " bytes with elements of " << element,
                 getOutput());
}

LogicalResult DeviceValueOp::verify() {
  if (getOutput().getType().getBytes() != 4)
    return explain(emitOpError() << "writes one i32, 4 bytes, into a buffer of "
                                 << getOutput().getType().getBytes(),
                   getOutput());
  bool needsSize = getQuery() != DeviceQuery::axis_index;
  if (needsSize ? getSize() >= 1 : getSize() == 0)
    return success();
  return emitOpError() << "asks for " << stringifyDeviceQuery(getQuery())
                       << " of size " << getSize() << "; expected "
                       << (needsSize ? "the logical size" : "0");
}

static LogicalResult verifyTensor(CollectiveOp op, Type tensor,
                                  TypedValue<BufferType> buffer,
                                  StringRef side) {
  auto ranked = dyn_cast<RankedTensorType>(tensor);
  if (!ranked || !ranked.hasStaticShape())
    return op.emitOpError()
           << "expects a tensor of static shape, got " << tensor;
  if (byteSizeOf(ranked) == buffer.getType().getBytes())
    return success();
  return explain(op.emitOpError()
                     << side << " " << tensor << " of " << byteSizeOf(ranked)
                     << " bytes in a buffer of " << buffer.getType().getBytes(),
                 buffer);
}

LogicalResult CollectiveOp::verify() {
  if (failed(verifyTensor(*this, getInputType(), getInput(), "reads")) ||
      failed(verifyTensor(*this, getOutputType(), getOutput(), "writes")))
    return failure();
  using Kind = CollectiveKind;
  Kind kind = getKind();
  auto verifyPresence = [&](StringRef name, bool isThere,
                            bool isNeeded) -> LogicalResult {
    if (isThere == isNeeded)
      return success();
    return emitOpError() << (kind == Kind::permute ||
                                     kind == Kind::reduce_scatter
                                 ? "is a "
                                 : "is an ")
                         << stringifyCollectiveKind(kind)
                         << (isNeeded ? " and needs '" : " and has no '")
                         << name << "'";
  };
  bool reduces = kind == Kind::all_reduce || kind == Kind::reduce_scatter;
  bool hasDim = kind != Kind::all_reduce && kind != Kind::permute;
  if (failed(
          verifyPresence("reduction", getReduction().has_value(), reduces)) ||
      failed(verifyPresence("dim", getDim().has_value(), hasDim)) ||
      failed(verifyPresence("concat_dim", getConcatDim().has_value(),
                            kind == Kind::all_to_all)) ||
      failed(verifyPresence("targets", getTargets().has_value(),
                            kind == Kind::permute && !getTo())) ||
      failed(verifyPresence("to", getTo().has_value(),
                            kind == Kind::permute && !getTargets())))
    return failure();
  int64_t rank = cast<RankedTensorType>(getInputType()).getRank();
  for (IntegerAttr dim : {getDimAttr(), getConcatDimAttr()})
    if (dim && (dim.getInt() < 0 || dim.getInt() >= rank))
      return emitOpError() << "names dimension " << dim.getInt() << " of "
                           << getInputType() << "; dimensions count from 0";
  return success();
}

/// Each operand holds a tensor of its type, and each place {} of the format
/// stands for one of the last `places` operands.
static LogicalResult verifyEffect(Operation *op, StringRef format,
                                  ArrayAttr types, size_t places) {
  std::optional<std::vector<std::string>> parts =
      tessera::abi::splitFormat(format);
  if (!parts)
    return op->emitOpError() << "has a single brace in \"" << format
                             << "\"; {} stands for a value, {{ and }} for "
                                "braces";
  if (parts->size() - 1 != places)
    return op->emitOpError()
           << "has " << parts->size() - 1 << " places {} in \"" << format
           << "\", but " << places << " values";
  if (types.size() != op->getNumOperands())
    return op->emitOpError() << "has " << op->getNumOperands()
                             << " operands, but " << types.size() << " types";
  for (auto [buffer, type] :
       llvm::zip_equal(op->getOperands(), types.getAsValueRange<TypeAttr>())) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor || !tensor.hasStaticShape())
      return op->emitOpError()
             << "expects a tensor of static shape, got " << type;
    int64_t bytes = cast<BufferType>(buffer.getType()).getBytes();
    if (byteSizeOf(tensor) != bytes)
      return explain(op->emitOpError()
                         << "reads " << tensor << " of " << byteSizeOf(tensor)
                         << " bytes in a buffer of " << bytes,
                     buffer);
  }
  return success();
}

LogicalResult PrintOp::verify() {
  return verifyEffect(*this, getFormat(), getTypes(), getValues().size());
}

LogicalResult CheckOp::verify() {
  if (failed(verifyEffect(*this, getMessage(), getTypes(), getValues().size())))
    return failure();
  auto type = cast<TypeAttr>(getTypes()[0]).getValue();
  if (!cast<RankedTensorType>(type).getElementType().isInteger(1))
    return emitOpError() << "expects a predicate of i1, got " << type;
  return success();
}
