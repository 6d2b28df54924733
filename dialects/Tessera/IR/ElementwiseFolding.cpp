// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Folding.h"

using namespace mlir;
using namespace tessera;

/// Whether `attr` is a splat of the number `value`.
static bool isSplatOf(Attribute attr, int64_t value) {
  auto splat = dyn_cast_or_null<SplatElementsAttr>(attr);
  if (!splat)
    return false;
  Type type = splat.getElementType();
  if (isa<FloatType>(type))
    return splat.getSplatValue<APFloat>().isExactlyValue(value);
  return !type.isInteger(1) &&
         splat.getSplatValue<APInt>().getSExtValue() == value;
}

/// Whether every bit of the splat `attr` is `bit`.
static bool isSplatOfBit(Attribute attr, bool bit) {
  auto splat = dyn_cast_or_null<SplatElementsAttr>(attr);
  if (!splat || !isa<IntegerType>(splat.getElementType()))
    return false;
  APInt value = splat.getSplatValue<APInt>();
  return bit ? value.isAllOnes() : value.isZero();
}

/// Whether `constant` leaves the other operand of `op` as it is, standing on
/// the right or, where `onLeft`, on the left. -0 + 0 is 0, so adding 0 changes
/// the sign of a zero: as everywhere in machine learning, that is accepted.
static bool isNeutral(Operation *op, Attribute constant, bool onLeft) {
  if (isa<AddOp>(op) || (isa<SubOp>(op) && !onLeft))
    return isSplatOf(constant, 0);
  if (isa<MulOp>(op) || (isa<DivOp>(op) && !onLeft))
    return isSplatOf(constant, 1);
  if (isa<AndOp>(op))
    return isSplatOfBit(constant, true);
  if (isa<OrOp, XorOp>(op))
    return isSplatOfBit(constant, false);
  return false;
}

OpFoldResult tessera::foldElementwise(Operation *op,
                                      ArrayRef<Attribute> constants) {
  if (Attribute splat = foldSplats(op, constants))
    return splat;
  Type type = op->getResult(0).getType();
  auto isLikeResult = [&](Value value) { return value.getType() == type; };
  if (op->getNumOperands() == 2) {
    Value lhs = op->getOperand(0), rhs = op->getOperand(1);
    if (isLikeResult(lhs) && isNeutral(op, constants[1], /*onLeft=*/false))
      return lhs;
    if (isLikeResult(rhs) && isNeutral(op, constants[0], /*onLeft=*/true))
      return rhs;
    if (isa<MaxOp, MinOp, AndOp, OrOp>(op) && lhs == rhs && isLikeResult(lhs))
      return lhs;
    return {};
  }
  if (isa<NegOp, NotOp>(op))
    if (Operation *inner = op->getOperand(0).getDefiningOp())
      if (inner->getName() == op->getName() &&
          isLikeResult(inner->getOperand(0)))
        return inner->getOperand(0);
  return {};
}

//===----------------------------------------------------------------------===//
// compare, select, convert
//===----------------------------------------------------------------------===//

OpFoldResult CompareOp::fold(FoldAdaptor adaptor) {
  return foldSplats(*this, adaptor.getOperands());
}

OpFoldResult SelectOp::fold(FoldAdaptor adaptor) {
  if (Attribute splat = foldSplats(*this, adaptor.getOperands()))
    return splat;
  if (getOnTrue() == getOnFalse() && getOnTrue().getType() == getType())
    return getOnTrue();
  auto splat = dyn_cast_or_null<SplatElementsAttr>(adaptor.getPredicate());
  if (!splat)
    return {};
  Value picked = splat.getSplatValue<bool>() ? getOnTrue() : getOnFalse();
  return picked.getType() == getType() ? OpFoldResult(picked) : OpFoldResult();
}

OpFoldResult ConvertOp::fold(FoldAdaptor adaptor) {
  if (getInput().getType() == getType())
    return getInput();
  if (Attribute splat = foldSplats(*this, adaptor.getOperands()))
    return splat;
  // Widened and narrowed back.
  auto inner = getInput().getDefiningOp<ConvertOp>();
  if (inner && inner.getInput().getType() == getType() &&
      isExactRoundTrip(getElementTypeOrSelf(getType()),
                       getElementTypeOrSelf(getInput().getType())))
    return inner.getInput();
  return {};
}
