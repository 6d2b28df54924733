// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tile/IR/Reductions.h"

using namespace mlir;
using namespace tessera::tile;

template <typename FloatOp, typename IntOp>
static Value combineBy(OpBuilder &builder, Location loc, Value a, Value b) {
  if (isa<FloatType>(getElementTypeOrSelf(a.getType())))
    return FloatOp::create(builder, loc, a, b);
  return IntOp::create(builder, loc, a, b);
}

Value tessera::tile::combine(OpBuilder &builder, Location loc,
                             ReductionKind kind, Value a, Value b) {
  switch (kind) {
  case ReductionKind::sum:
    return combineBy<arith::AddFOp, arith::AddIOp>(builder, loc, a, b);
  case ReductionKind::max:
    return combineBy<arith::MaximumFOp, arith::MaxSIOp>(builder, loc, a, b);
  case ReductionKind::min:
    return combineBy<arith::MinimumFOp, arith::MinSIOp>(builder, loc, a, b);
  case ReductionKind::prod:
    return combineBy<arith::MulFOp, arith::MulIOp>(builder, loc, a, b);
  }
  llvm_unreachable("unknown reduction");
}

TypedAttr tessera::tile::neutralElement(ReductionKind kind, Type type) {
  bool isMax = kind == ReductionKind::max;
  bool isExtremum = isMax || kind == ReductionKind::min;
  int64_t unit = kind == ReductionKind::prod;
  if (auto floatType = dyn_cast<FloatType>(type)) {
    if (!isExtremum)
      return FloatAttr::get(floatType, static_cast<double>(unit));
    return FloatAttr::get(
        floatType, APFloat::getInf(floatType.getFloatSemantics(), isMax));
  }
  if (!isExtremum)
    return IntegerAttr::get(type, unit);
  unsigned width = type.getIntOrFloatBitWidth();
  return IntegerAttr::get(type, isMax ? APInt::getSignedMinValue(width)
                                      : APInt::getSignedMaxValue(width));
}
