// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Writes formulas on f32 scalars, or on vectors of one shape, in arith and math
// ops: what the expansions of functions share.
#ifndef TESSERA_LIB_CONVERSION_TILEKERNELS_FORMULAWRITER_H
#define TESSERA_LIB_CONVERSION_TILEKERNELS_FORMULAWRITER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/PatternMatch.h"

namespace tessera {

class FormulaWriter {
public:
  using Value = mlir::Value;

  /// `type` is that of the values: f32, or a vector of it.
  FormulaWriter(mlir::PatternRewriter &rewriter, mlir::Location loc,
                mlir::Type type)
      : rewriter(rewriter), loc(loc), type(type) {}

  Value constant(mlir::TypedAttr element) {
    mlir::TypedAttr attr = element;
    if (auto shaped = mlir::dyn_cast<mlir::ShapedType>(type))
      attr = mlir::DenseElementsAttr::get(shaped.clone(element.getType()),
                                          mlir::cast<mlir::Attribute>(element));
    return mlir::arith::ConstantOp::create(rewriter, loc, attr);
  }
  Value number(float value) {
    return constant(rewriter.getF32FloatAttr(value));
  }
  /// i64.
  Value integer(uint64_t value) {
    return constant(
        rewriter.getIntegerAttr(rewriter.getI64Type(), llvm::APInt(64, value)));
  }
  Value integer32(int32_t value) {
    return constant(rewriter.getI32IntegerAttr(value));
  }
  template <typename Op, typename... Operands>
  Value make(Operands... operands) {
    return Op::create(rewriter, loc, operands...);
  }
  template <typename Op> Value to(mlir::Type element, Value value) {
    return Op::create(rewriter, loc, like(element), value);
  }
  Value add(Value a, Value b) { return make<mlir::arith::AddFOp>(a, b); }
  Value subtract(Value a, Value b) { return make<mlir::arith::SubFOp>(a, b); }
  Value multiply(Value a, Value b) { return make<mlir::arith::MulFOp>(a, b); }
  Value divide(Value a, Value b) { return make<mlir::arith::DivFOp>(a, b); }
  /// a b + c, rounded once.
  Value multiplyAdd(Value a, Value b, Value c) {
    return make<mlir::math::FmaOp>(a, b, c);
  }
  Value negate(Value a) { return make<mlir::arith::NegFOp>(a); }
  Value magnitude(Value a) { return make<mlir::math::AbsFOp>(a); }
  Value copySign(Value a, Value sign) {
    return make<mlir::math::CopySignOp>(a, sign);
  }
  Value select(Value condition, Value a, Value b) {
    return make<mlir::arith::SelectOp>(condition, a, b);
  }
  Value compare(mlir::arith::CmpFPredicate predicate, Value a, Value b) {
    return make<mlir::arith::CmpFOp>(predicate, a, b);
  }
  Value compare(mlir::arith::CmpFPredicate predicate, Value a, float b) {
    return compare(predicate, a, number(b));
  }
  Value isNaN(Value a) {
    return compare(mlir::arith::CmpFPredicate::UNO, a, a);
  }
  /// coefficients[0] + x (coefficients[1] + x (...)).
  Value polynomial(Value x, llvm::ArrayRef<float> coefficients) {
    Value sum = number(coefficients.back());
    for (float coefficient : llvm::reverse(coefficients.drop_back()))
      sum = multiplyAdd(sum, x, number(coefficient));
    return sum;
  }

  mlir::PatternRewriter &rewriter;

protected:
  mlir::Type like(mlir::Type element) {
    auto shaped = mlir::dyn_cast<mlir::ShapedType>(type);
    return shaped ? mlir::Type(shaped.clone(element)) : element;
  }

  mlir::Location loc;
  mlir::Type type;
};

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TILEKERNELS_FORMULAWRITER_H
