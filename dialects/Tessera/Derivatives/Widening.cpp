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
    if (auto scan = dyn_cast_or_null<ScanOp>(op))
      if (value.use_empty() && widenResult(scan, cast<OpResult>(value)))
        return value;
    return build.convert(value, wide);
  }

private:
  /// Widens in place what iterations stack, or add to a carried value that they
  /// do not use otherwise.
  bool widenResult(ScanOp scan, OpResult result) {
    unsigned number = result.getResultNumber();
    bool isCarried = number < scan.getNumCarried();
    Operation *yield = scan.getYield();
    Value yielded = yield->getOperand(number);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(yield);
    if (!isCarried) {
      if (isa<BlockArgument>(yielded))
        return false;
      yield->setOperand(number, operand(yielded));
    } else {
      BlockArgument sum = scan.getCarried(number);
      auto add = yielded.getDefiningOp<AddOp>();
      if (!add || add.getLhs() != sum || !sum.hasOneUse() ||
          !yielded.hasOneUse())
        return false;
      Value term = operand(add.getRhs());
      sum.setType(build.typeOf(shapeOf(sum), wide));
      yield->setOperand(number, build.create<AddOp>(sum, term));
      add.erase();
      builder.setInsertionPoint(scan);
      scan->setOperand(number, build.convert(scan.getInits()[number], wide));
    }
    result.setType(build.typeOf(shapeOf(result), wide));
    return true;
  }

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
