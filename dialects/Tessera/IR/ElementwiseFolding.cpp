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

static bool isSplatOfNegativeZero(Attribute attr) {
  auto splat = dyn_cast_or_null<SplatElementsAttr>(attr);
  return splat && isa<FloatType>(splat.getElementType()) &&
         splat.getSplatValue<APFloat>().isNegZero();
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
/// the sign of a zero, which compares as equal: that is accepted, since
/// Python's sum() begins with 0, which would stand between partial terms and
/// their sum.
static bool isNeutral(Operation *op, Attribute constant, bool onLeft) {
  if (isa<AddOp>(op) || (isa<SubOp>(op) && !onLeft))
    return isSplatOf(constant, 0) || isSplatOfNegativeZero(constant);
  if (isa<MulOp>(op) || (isa<DivOp, PowOp>(op) && !onLeft))
    return isSplatOf(constant, 1);
  if (isa<AndOp>(op))
    return isSplatOfBit(constant, true);
  if (isa<OrOp, XorOp>(op))
    return isSplatOfBit(constant, false);
  return false;
}

/// Whether `constant` decides the result of `op` alone, being that result.
/// Floats have NaN and infinity, which 0 does not absorb.
static bool isAbsorbing(Operation *op, Attribute constant) {
  if (isa<MulOp>(op))
    return isa<IntegerType>(getElementTypeOrSelf(op->getResult(0).getType())) &&
           isSplatOf(constant, 0);
  if (isa<AndOp>(op))
    return isSplatOfBit(constant, false);
  return isa<OrOp>(op) && isSplatOfBit(constant, true);
}

/// op(op(x)) is op(x), or for abs also op(-x).
static bool isIdempotentOn(Operation *op, Operation *inner) {
  if (isa<AbsOp, SignOp, FloorOp>(op) && inner->getName() == op->getName())
    return true;
  return isa<FloorOp>(op) && isa<SignOp>(inner);
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
    for (Attribute constant : constants)
      if (isAbsorbing(op, constant))
        return reshapeSplat(constant, type);
    bool isInteger = isa<IntegerType>(getElementTypeOrSelf(type));
    if (isa<SubOp, XorOp>(op) && lhs == rhs && isInteger)
      return splatOf(type, 0);
    return {};
  }
  Value input = op->getOperand(0);
  Operation *inner = input.getDefiningOp();
  if (!inner)
    return {};
  if (isa<NegOp, NotOp>(op) && inner->getName() == op->getName() &&
      isLikeResult(inner->getOperand(0)))
    return inner->getOperand(0);
  if (isIdempotentOn(op, inner) && isLikeResult(input))
    return input;
  if (isa<AbsOp>(op) && isa<NegOp>(inner) && isDroppable(input.getType())) {
    op->setOperand(0, inner->getOperand(0));
    return op->getResult(0);
  }
  return {};
}

//===----------------------------------------------------------------------===//
// compare, select, convert
//===----------------------------------------------------------------------===//

OpFoldResult CompareOp::fold(FoldAdaptor adaptor) {
  if (Attribute splat = foldSplats(*this, adaptor.getOperands()))
    return splat;
  // NaN differs from itself.
  bool isInteger = isa<IntegerType>(getElementTypeOrSelf(getLhs().getType()));
  if (getLhs() != getRhs() || !isInteger)
    return {};
  using Direction = CompareDirection;
  bool holds = getDirection() == Direction::eq ||
               getDirection() == Direction::le ||
               getDirection() == Direction::ge;
  return splatOf(getType(), holds);
}

OpFoldResult SelectOp::fold(FoldAdaptor adaptor) {
  if (Attribute splat = foldSplats(*this, adaptor.getOperands()))
    return splat;
  if (getOnTrue() == getOnFalse() && getOnTrue().getType() == getType())
    return getOnTrue();
  // p ? true : false is p.
  if (isSplatOfBit(adaptor.getOnTrue(), true) &&
      isSplatOfBit(adaptor.getOnFalse(), false) &&
      getPredicate().getType() == getType())
    return getPredicate();
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
  auto inner = getInput().getDefiningOp<ConvertOp>();
  if (!inner)
    return {};
  Type from = getElementTypeOrSelf(inner.getInput().getType());
  Type through = getElementTypeOrSelf(getInput().getType());
  Type to = getElementTypeOrSelf(getType());
  if (!isExactRoundTrip(from, through))
    return {};
  // Widened and narrowed back.
  if (inner.getInput().getType() == getType())
    return inner.getInput();
  // Numbers that stayed the same on the way are converted at once. From float
  // to integer saturates, from integer to integer wraps.
  bool wouldWrap =
      isa<IntegerType>(from) && isa<FloatType>(through) && isa<IntegerType>(to);
  if (wouldWrap || !isDroppable(getInput().getType()))
    return {};
  setOperand(inner.getInput());
  return getResult();
}
