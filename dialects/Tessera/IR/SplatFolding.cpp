// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Elementwise arithmetic on splat constants, with the ops' exact semantics.
#include "Folding.h"

#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;
using namespace tessera;

bool tessera::isDroppable(Type type) {
  const Layout *layout = layoutOf(type);
  return !layout || layout->isFullyOpen();
}

bool tessera::canBeConstant(Type type) {
  const Layout *layout = layoutOf(type);
  return !layout || (layout->partial.empty() && layout->varying.empty());
}

static RankedTensorType attrType(Type type) {
  auto shaped = cast<ShapedType>(type);
  return RankedTensorType::get(shaped.getShape(), shaped.getElementType());
}

Attribute tessera::reshapeSplat(Attribute attr, Type type) {
  auto splat = dyn_cast_or_null<SplatElementsAttr>(attr);
  if (!splat || !canBeConstant(type))
    return {};
  return splat.resizeSplat(attrType(type));
}

Attribute tessera::splatOf(Type type, int64_t value) {
  if (!canBeConstant(type))
    return {};
  Type element = getElementTypeOrSelf(type);
  Attribute number =
      isa<FloatType>(element)
          ? Attribute(FloatAttr::get(element, static_cast<double>(value)))
          : IntegerAttr::get(element,
                             APInt(element.getIntOrFloatBitWidth(), value,
                                   /*isSigned=*/true, /*implicitTrunc=*/true));
  return DenseElementsAttr::get(attrType(type), number);
}

//===----------------------------------------------------------------------===//
// Floats
//===----------------------------------------------------------------------===//

/// Exact for every format no wider than double: its root has more than twice
/// the digits that the narrower formats keep, so rounding twice is rounding
/// once.
static APFloat squareRoot(APFloat x) {
  const llvm::fltSemantics &format = x.getSemantics();
  bool losesInfo;
  x.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
  APFloat root(std::sqrt(x.convertToDouble()));
  root.convert(format, APFloat::rmNearestTiesToEven, &losesInfo);
  return root;
}

static APFloat signOf(const APFloat &x) {
  if (x.isNaN() || x.isZero())
    return x;
  return APFloat::getOne(x.getSemantics(), x.isNegative());
}

static APFloat floorOf(APFloat x) {
  x.roundToIntegral(APFloat::rmTowardNegative);
  return x;
}

static APFloat remainder(APFloat x, const APFloat &y) {
  x.mod(y);
  return x;
}

static std::optional<APFloat> foldFloats(Operation *op, ArrayRef<APFloat> x) {
  using Result = std::optional<APFloat>;
  return llvm::TypeSwitch<Operation *, Result>(op)
      .Case<NegOp>([&](auto) { return llvm::neg(x[0]); })
      .Case<AbsOp>([&](auto) { return llvm::abs(x[0]); })
      .Case<SignOp>([&](auto) { return signOf(x[0]); })
      .Case<SqrtOp>([&](auto) { return squareRoot(x[0]); })
      .Case<FloorOp>([&](auto) { return floorOf(x[0]); })
      .Case<AddOp>([&](auto) { return x[0] + x[1]; })
      .Case<SubOp>([&](auto) { return x[0] - x[1]; })
      .Case<MulOp>([&](auto) { return x[0] * x[1]; })
      .Case<DivOp>([&](auto) { return x[0] / x[1]; })
      .Case<RemOp>([&](auto) { return remainder(x[0], x[1]); })
      .Case<MaxOp>([&](auto) { return llvm::maximum(x[0], x[1]); })
      .Case<MinOp>([&](auto) { return llvm::minimum(x[0], x[1]); })
      .Default([](Operation *) { return Result(); });
}

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

/// Quotient or remainder, where there is one.
static std::optional<APInt> divide(Operation *op, const APInt &x,
                                   const APInt &y, bool isSigned) {
  if (y.isZero() || (isSigned && x.isMinSignedValue() && y.isAllOnes()))
    return std::nullopt;
  if (isa<DivOp>(op))
    return isSigned ? x.sdiv(y) : x.udiv(y);
  return isSigned ? x.srem(y) : x.urem(y);
}

static APInt signOf(const APInt &x, bool isSigned) {
  if (x.isZero())
    return x;
  return isSigned && x.isNegative() ? APInt::getAllOnes(x.getBitWidth())
                                    : APInt(x.getBitWidth(), 1);
}

static std::optional<APInt> foldIntegers(Operation *op, ArrayRef<APInt> x,
                                         bool isSigned) {
  using Result = std::optional<APInt>;
  auto smaller = [&](bool wantMin) {
    bool firstIsLess = isSigned ? x[0].slt(x[1]) : x[0].ult(x[1]);
    return firstIsLess == wantMin ? x[0] : x[1];
  };
  return llvm::TypeSwitch<Operation *, Result>(op)
      .Case<NegOp>([&](auto) { return -x[0]; })
      .Case<AbsOp>([&](auto) { return isSigned ? x[0].abs() : x[0]; })
      .Case<SignOp>([&](auto) { return signOf(x[0], isSigned); })
      .Case<NotOp>([&](auto) { return ~x[0]; })
      .Case<AddOp>([&](auto) { return x[0] + x[1]; })
      .Case<SubOp>([&](auto) { return x[0] - x[1]; })
      .Case<MulOp>([&](auto) { return x[0] * x[1]; })
      .Case<DivOp, RemOp>(
          [&](auto) { return divide(op, x[0], x[1], isSigned); })
      .Case<MaxOp>([&](auto) { return smaller(false); })
      .Case<MinOp>([&](auto) { return smaller(true); })
      .Case<AndOp>([&](auto) { return x[0] & x[1]; })
      .Case<OrOp>([&](auto) { return x[0] | x[1]; })
      .Case<XorOp>([&](auto) { return x[0] ^ x[1]; })
      .Default([](Operation *) { return Result(); });
}

//===----------------------------------------------------------------------===//
// Comparisons and conversions
//===----------------------------------------------------------------------===//

static bool holds(CompareDirection direction, bool less, bool equal) {
  switch (direction) {
  case CompareDirection::eq:
    return equal;
  case CompareDirection::ne:
    return !equal;
  case CompareDirection::lt:
    return less;
  case CompareDirection::le:
    return less || equal;
  case CompareDirection::gt:
    return !less && !equal;
  case CompareDirection::ge:
    return !less;
  }
  llvm_unreachable("unknown comparison");
}

static bool compare(CompareDirection direction, const APFloat &x,
                    const APFloat &y) {
  APFloat::cmpResult order = x.compare(y);
  if (order == APFloat::cmpUnordered)
    return direction == CompareDirection::ne;
  return holds(direction, order == APFloat::cmpLessThan,
               order == APFloat::cmpEqual);
}

/// i1 and ui32 are compared without sign.
static bool isSignedNumber(Type type) {
  return !type.isInteger(1) && !type.isUnsignedInteger();
}

/// `value` of type `from` as a `to`; see the op's description.
static Attribute convertNumber(TypedAttr value, Type to) {
  Type from = value.getType();
  bool losesInfo;
  if (auto number = dyn_cast<FloatAttr>(value)) {
    APFloat x = number.getValue();
    if (auto format = dyn_cast<FloatType>(to)) {
      x.convert(format.getFloatSemantics(), APFloat::rmNearestTiesToEven,
                &losesInfo);
      return FloatAttr::get(to, x);
    }
    if (to.isInteger(1))
      return IntegerAttr::get(to, x.isZero() ? 0 : 1);
    llvm::APSInt result(to.getIntOrFloatBitWidth(), to.isUnsignedInteger());
    // Saturates, and gives 0 for NaN.
    x.convertToInteger(result, APFloat::rmTowardZero, &losesInfo);
    return IntegerAttr::get(to, result);
  }
  APInt x = cast<IntegerAttr>(value).getValue();
  bool isSigned = isSignedNumber(from);
  if (auto format = dyn_cast<FloatType>(to)) {
    APFloat result(format.getFloatSemantics());
    result.convertFromAPInt(x, isSigned, APFloat::rmNearestTiesToEven);
    return FloatAttr::get(to, result);
  }
  if (to.isInteger(1))
    return IntegerAttr::get(to, x.isZero() ? 0 : 1);
  unsigned width = to.getIntOrFloatBitWidth();
  return IntegerAttr::get(to, isSigned ? x.sextOrTrunc(width)
                                       : x.zextOrTrunc(width));
}

bool tessera::isExactRoundTrip(Type from, Type through) {
  if (from.isInteger(1))
    return true;
  auto fromFloat = dyn_cast<FloatType>(from);
  auto throughFloat = dyn_cast<FloatType>(through);
  if (fromFloat && throughFloat)
    return APFloat::isRepresentableBy(fromFloat.getFloatSemantics(),
                                      throughFloat.getFloatSemantics());
  if (fromFloat)
    return false;
  unsigned width = from.getIntOrFloatBitWidth();
  if (throughFloat)
    return APFloat::semanticsPrecision(throughFloat.getFloatSemantics()) >=
           width;
  return through.getIntOrFloatBitWidth() > width;
}

//===----------------------------------------------------------------------===//
// foldSplats
//===----------------------------------------------------------------------===//

/// The element that `op` gives for one element of each operand, or null.
static Attribute foldNumbers(Operation *op, ArrayRef<TypedAttr> elements,
                             Type type) {
  if (auto compareOp = dyn_cast<CompareOp>(op)) {
    CompareDirection direction = compareOp.getDirection();
    bool result;
    if (auto lhs = dyn_cast<FloatAttr>(elements[0])) {
      result = compare(direction, lhs.getValue(),
                       cast<FloatAttr>(elements[1]).getValue());
    } else {
      APInt x = cast<IntegerAttr>(elements[0]).getValue();
      APInt y = cast<IntegerAttr>(elements[1]).getValue();
      bool isSigned = isSignedNumber(elements[0].getType());
      result = holds(direction, isSigned ? x.slt(y) : x.ult(y), x == y);
    }
    return IntegerAttr::get(type, result ? 1 : 0);
  }
  if (isa<SelectOp>(op))
    return cast<IntegerAttr>(elements[0]).getValue().isZero() ? elements[2]
                                                              : elements[1];
  if (isa<ConvertOp>(op))
    return convertNumber(elements[0], type);
  if (isa<FloatType>(type)) {
    SmallVector<APFloat> numbers;
    for (TypedAttr element : elements)
      numbers.push_back(cast<FloatAttr>(element).getValue());
    std::optional<APFloat> result = foldFloats(op, numbers);
    return result ? FloatAttr::get(type, *result) : FloatAttr();
  }
  SmallVector<APInt> numbers;
  for (TypedAttr element : elements)
    numbers.push_back(cast<IntegerAttr>(element).getValue());
  std::optional<APInt> result = foldIntegers(op, numbers, isSignedNumber(type));
  return result ? IntegerAttr::get(type, *result) : IntegerAttr();
}

Attribute tessera::foldSplats(Operation *op, ArrayRef<Attribute> constants) {
  Type type = op->getResult(0).getType();
  if (!canBeConstant(type))
    return {};
  SmallVector<TypedAttr> elements;
  for (Attribute constant : constants) {
    auto splat = dyn_cast_or_null<SplatElementsAttr>(constant);
    if (!splat)
      return {};
    elements.push_back(cast<TypedAttr>(splat.getSplatValue<Attribute>()));
  }
  Attribute element = foldNumbers(op, elements, getElementTypeOrSelf(type));
  return element ? DenseElementsAttr::get(attrType(type), element)
                 : DenseElementsAttr();
}
