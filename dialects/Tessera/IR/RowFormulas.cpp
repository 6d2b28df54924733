// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/RowFormulas.h"

#include "llvm/ADT/TypeSwitch.h"

#include <limits>

using namespace mlir;
using namespace tessera;

using dist::ReductionKind;

constexpr double infinity = std::numeric_limits<double>::infinity();

Value tessera::meanOfRows(FormulaBuilder &f, Value x) {
  ArrayRef<int64_t> shape = shapeOf(x);
  auto columns = static_cast<double>(shape.back());
  Value sum =
      f.reduce(ReductionKind::sum, x, static_cast<int64_t>(shape.size()) - 1);
  return f.create<MulOp>(sum, f.numberLike(1.0 / columns, sum));
}

Value tessera::overRows(FormulaBuilder &f, Value row, Value like) {
  ArrayRef<int64_t> shape = shapeOf(like);
  return f.repeat(row, shape, static_cast<int64_t>(shape.size()) - 1);
}

Value tessera::rateOfRows(FormulaBuilder &f, Value x, double epsilon) {
  Value square = meanOfRows(f, f.create<MulOp>(x, x));
  return f.create<RsqrtOp>(
      f.create<AddOp>(square, f.numberLike(epsilon, square)));
}

namespace {
/// log(sum(exp(x))) is `shift + log`.
struct LogSum {
  Value shift, log;
};
} // namespace

static LogSum logSumOf(FormulaBuilder &f, Value x, int64_t dim) {
  ArrayRef<int64_t> shape = shapeOf(x);
  Value most = f.reduce(ReductionKind::max, x, dim);
  Value isFinite = f.compare(CompareDirection::lt, f.create<AbsOp>(most),
                             f.numberLike(infinity, most));
  Value shift = f.select(isFinite, most, f.numberLike(0, most));
  Value raised =
      f.create<ExpOp>(f.create<SubOp>(x, f.repeat(shift, shape, dim)));
  return {shift, f.create<LogOp>(f.reduce(ReductionKind::sum, raised, dim))};
}

static Value formulaOf(LogsumexpOp op, FormulaBuilder &f) {
  Value x = f.convert(op.getInput(), getElementTypeOrSelf(op.getType()));
  LogSum sum = logSumOf(f, x, static_cast<int64_t>(op.getDim()));
  return f.create<AddOp>(sum.log, sum.shift);
}

//===----------------------------------------------------------------------===//
// cross_entropy
//===----------------------------------------------------------------------===//

Value tessera::isOfLabel(FormulaBuilder &f, CrossEntropyOp op) {
  ArrayRef<int64_t> shape = shapeOf(op.getLogits());
  auto last = static_cast<int64_t>(shape.size()) - 1;
  Value labels = op.getLabels();
  Value classes = f.iota(shape, last, getElementTypeOrSelf(labels));
  return f.compare(CompareDirection::eq, classes,
                   f.repeat(labels, shape, last));
}

/// Compares labels with the one that is ignored.
static Value compareIgnored(FormulaBuilder &f, CrossEntropyOp op,
                            CompareDirection direction) {
  Value labels = op.getLabels();
  return f.compare(
      direction, labels,
      f.integerLike(static_cast<int64_t>(*op.getIgnore()), labels));
}

Value tessera::dependsOnLogits(FormulaBuilder &f, CrossEntropyOp op) {
  Value labels = op.getLabels();
  int64_t classes = shapeOf(op.getLogits()).back();
  Value counts = f.create<AndOp>(
      f.compare(CompareDirection::ge, labels, f.integerLike(0, labels)),
      f.compare(CompareDirection::lt, labels, f.integerLike(classes, labels)));
  if (!op.getIgnore())
    return counts;
  return f.create<AndOp>(counts, compareIgnored(f, op, CompareDirection::ne));
}

static Value formulaOf(CrossEntropyOp op, FormulaBuilder &f) {
  Type wide = getElementTypeOrSelf(op.getType());
  Value x = f.convert(op.getLogits(), wide);
  ArrayRef<int64_t> shape = shapeOf(x);
  auto last = static_cast<int64_t>(shape.size()) - 1;
  LogSum sum = logSumOf(f, x, last);
  // A product with weights would make NaN of infinite logits.
  Value wanted =
      f.reduce(ReductionKind::sum,
               f.select(isOfLabel(f, op), x, f.numberLike(0, x)), last);
  double smoothing = op.getSmoothing().convertToDouble();
  if (smoothing != 0) {
    auto classes = static_cast<double>(shape.back());
    Value all = f.reduce(ReductionKind::sum, x, last);
    wanted = f.create<AddOp>(
        f.create<MulOp>(wanted, f.numberLike(1 - smoothing, wanted)),
        f.create<MulOp>(all, f.numberLike(smoothing / classes, all)));
  }
  Value loss = f.create<AddOp>(sum.log, f.create<SubOp>(sum.shift, wanted));
  double zLoss = op.getZLoss().convertToDouble();
  if (zLoss != 0) {
    Value total = f.create<AddOp>(sum.log, sum.shift);
    loss = f.create<AddOp>(loss, f.create<MulOp>(f.create<MulOp>(total, total),
                                                 f.numberLike(zLoss, total)));
  }
  Value otherwise =
      f.numberLike(std::numeric_limits<double>::quiet_NaN(), loss);
  if (op.getIgnore())
    otherwise = f.select(compareIgnored(f, op, CompareDirection::eq),
                         f.numberLike(0, loss), otherwise);
  return f.select(dependsOnLogits(f, op), loss, otherwise);
}

//===----------------------------------------------------------------------===//
// norm_tangent
//===----------------------------------------------------------------------===//

static Value formulaOf(NormTangentOp op, FormulaBuilder &f) {
  Type wide = wideTypeOf(op);
  Value d = f.convert(op.getChange(), wide);
  Value x = f.convert(op.getInput(), wide);
  if (op.getCentred())
    x = f.create<SubOp>(x, overRows(f, meanOfRows(f, x), x));
  Value rate =
      overRows(f, rateOfRows(f, x, op.getEpsilon().convertToDouble()), x);
  Value normal = f.create<MulOp>(x, rate);
  Value along = overRows(f, meanOfRows(f, f.create<MulOp>(normal, d)), x);
  Value rest = f.create<SubOp>(d, f.create<MulOp>(normal, along));
  if (op.getCentred())
    rest = f.create<SubOp>(rest, overRows(f, meanOfRows(f, d), x));
  return f.create<MulOp>(rest, rate);
}

Value tessera::writeRowFormula(Operation *op, OpBuilder &builder) {
  Type type = op->getResult(0).getType();
  FormulaBuilder f(builder, op->getLoc(), type);
  Value result = llvm::TypeSwitch<Operation *, Value>(op)
                     .Case<CrossEntropyOp, LogsumexpOp, NormTangentOp>(
                         [&](auto op) { return formulaOf(op, f); })
                     .Default(Value());
  // Also where only the layouts differ, as in OpFormulas.cpp.
  if (result && result.getType() != type)
    result = ConvertOp::create(builder, op->getLoc(), type, result);
  return result;
}
