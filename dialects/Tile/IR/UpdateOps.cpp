// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Verification.h"

using namespace mlir;
using namespace tessera::tile;

#define GET_OP_CLASSES
#include "dialects/Tile/IR/UpdateOps.cpp.inc"

//===----------------------------------------------------------------------===//
// scatter
//===----------------------------------------------------------------------===//

LogicalResult ScatterOp::verify() {
  size_t rank = shapeOf(getMemory()).size();
  if (failed(verifyRank(*this, getIndices(), "indices", 1)) ||
      failed(verifyRank(*this, getRows(), "rows", rank)))
    return failure();
  if (getOffsets().size() != rank - 1) {
    InFlightDiagnostic error =
        emitOpError() << "has " << getOffsets().size() << " offsets for "
                      << rank - 1 << " dimensions after the indexed one";
    error.attachNote(getMemory().getLoc())
        << "the memory has type " << getMemory().getType();
    return error;
  }
  SmallVector<int64_t> expected(shapeOf(getRows()));
  expected[0] = shapeOf(getIndices())[0];
  Type type = getElementTypeOrSelf(getMemory().getType());
  if (failed(verifyShape(*this, getRows(), "rows", expected)) ||
      failed(verifyElementType(*this, getRows(), "rows", type)))
    return failure();
  bool isUnsigned =
      getKind() == ScatterKind::umax || getKind() == ScatterKind::umin;
  if (isUnsigned && isa<FloatType>(type))
    return emitOpError() << "compares " << type
                         << " as unsigned integers; use max or min";
  return success();
}

//===----------------------------------------------------------------------===//
// argsort
//===----------------------------------------------------------------------===//

LogicalResult ArgsortOp::verify() {
  auto rank = static_cast<int64_t>(shapeOf(getMemory()).size());
  auto dim = static_cast<int64_t>(getDim());
  if (failed(verifyRank(*this, getKeys(), "keys", rank)) ||
      failed(verifyDim(*this, dim, rank)))
    return failure();
  if (static_cast<int64_t>(getOffsets().size()) != rank)
    return emitOpError() << "has " << getOffsets().size() << " offsets for "
                         << rank << " dimensions";
  int64_t length = shapeOf(getKeys())[dim];
  SmallVector<int64_t> row(rank, 1);
  row[dim] = length;
  Type i32 = IntegerType::get(getContext(), 32);
  Type keyType = getElementTypeOrSelf(getKeys());
  if (failed(verifyShape(*this, getKeys(), "keys", row)) ||
      failed(verifyElementType(*this, getMemory(), "memory", i32)) ||
      failed(
          verifyElementType(*this, getKeys0(), "scratch of keys", keyType)) ||
      failed(verifyElementType(*this, getOrder0(), "scratch of indices", i32)))
    return failure();
  if (shapeOf(getMemory())[dim] != length)
    return emitOpError() << "sorts " << length << " keys into dimension " << dim
                         << " of size " << shapeOf(getMemory())[dim]
                         << "; expected a whole row";
  for (Value scratch : {getKeys0(), getOrder0()})
    if (failed(verifyRank(*this, scratch, "scratch", 2)) ||
        failed(verifyShape(*this, scratch, "scratch",
                           {shapeOf(scratch)[0], length})))
      return failure();
  int64_t low = getLowBit(), high = getHighBit(),
          width = keyType.getIntOrFloatBitWidth();
  if (low < 0 || high <= low || high > width)
    return emitOpError() << "has keys of " << width
                         << " bits that differ in bits " << low << " to "
                         << high << "; expected 0 <= low < high <= " << width;
  return success();
}
