// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Widening.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace tessera;

namespace {

class Widener {
public:
  Widener(FormulaBuilder &build, OpBuilder &builder, Type wide)
      : build(build), builder(builder), wide(wide) {}

  Value form(Value value) {
    Operation *op = value.getDefiningOp();
    if (auto convert = dyn_cast_or_null<ConvertOp>(op))
      if (getElementTypeOrSelf(convert.getInput().getType()) == wide)
        return convert.getInput();
    if (isa_and_nonnull<ContractOp>(op))
      return again(op, {});
    if (auto scatter = dyn_cast_or_null<ScatterOp>(op))
      return scatter.getKind() == ScatterKind::add
                 ? again(op, {scatter.getInput(), scatter.getUpdates()})
                 : build.convert(value, wide);
    if (auto reduce = dyn_cast_or_null<ReduceOp>(op))
      return reduce.getKind() == dist::ReductionKind::sum
                 ? again(op, {reduce.getInput()})
                 : build.convert(value, wide);
    if (isa_and_nonnull<AddOp, SubOp, NegOp, ReshapeOp, TransposeOp,
                        BroadcastOp, SliceOp>(op))
      return again(op, op->getOperands());
    return build.convert(value, wide);
  }

private:
  /// What only the narrow op uses is formed in the wide type; the narrow op is
  /// then of no use.
  Value operand(Value value) {
    return value.hasOneUse() ? form(value) : build.convert(value, wide);
  }

  /// `op` with a wide result, and these operands wide.
  Value again(Operation *op, ValueRange operands) {
    IRMapping mapping;
    for (Value value : operands)
      if (!mapping.contains(value))
        mapping.map(value, operand(value));
    Operation *copy = builder.clone(*op, mapping);
    Value result = copy->getResult(0);
    result.setType(build.typeOf(shapeOf(result), wide));
    return result;
  }

  FormulaBuilder &build;
  OpBuilder &builder;
  Type wide;
};

} // namespace

Value tessera::derivatives::widened(FormulaBuilder &build, OpBuilder &builder,
                                    Value value, Type wide) {
  return value.use_empty() ? Widener(build, builder, wide).form(value)
                           : build.convert(value, wide);
}
