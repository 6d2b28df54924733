// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/OpFormulas.h"

#include "dialects/Tessera/IR/FormulaBuilder.h"
#include "dialects/Tessera/IR/RowFormulas.h"

#include "llvm/ADT/TypeSwitch.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace tessera;

namespace {

/// Writes the formula that replaces an op, in f32, or f64 for f64.
class OpFormula : public FormulaBuilder {
public:
  OpFormula(Operation *op, OpBuilder &builder)
      : FormulaBuilder(builder, op->getLoc(), op->getResult(0).getType()),
        op(op), computeType(wideTypeOf(op->getOperand(0))) {}

  /// In the type that formulas compute in.
  Value widen(Value x) { return convert(x, computeType); }
  Value wideNumber(double value, ArrayRef<int64_t> shape) {
    return number(value, shape, computeType);
  }

  /// The result, rounded once to the op's type.
  Value finish(Value result) {
    Type type = op->getResult(0).getType();
    // Also where only the layouts differ: converting a type to itself is the
    // identity, and elementwise ops may join layouts.
    return result.getType() == type
               ? result
               : ConvertOp::create(builder, loc, type, result);
  }

private:
  Operation *op;
  Type computeType;
};

constexpr double minusInfinity = -std::numeric_limits<double>::infinity();

Value formulaOf(GeluOp op, OpFormula &f) {
  Value x = f.widen(op.getInput());
  Value inner;
  if (op.getApproximation() == GeluApproximation::none) {
    inner = f.create<ErfOp>(f.create<MulOp>(x, f.numberLike(M_SQRT1_2, x)));
  } else {
    // sqrt(2 / pi) (x + 0.044715 x^3)
    Value cube = f.create<MulOp>(x, f.create<MulOp>(x, x));
    Value sum =
        f.create<AddOp>(x, f.create<MulOp>(cube, f.numberLike(0.044715, x)));
    inner = f.create<TanhOp>(
        f.create<MulOp>(sum, f.numberLike(M_2_SQRTPI * M_SQRT1_2, x)));
  }
  Value half = f.create<MulOp>(x, f.numberLike(0.5, x));
  return f.finish(
      f.create<MulOp>(half, f.create<AddOp>(inner, f.numberLike(1, x))));
}

Value formulaOf(SiluOp op, OpFormula &f) {
  Value x = f.widen(op.getInput());
  return f.finish(f.create<MulOp>(x, f.create<LogisticOp>(x)));
}

Value formulaOf(SoftmaxOp op, OpFormula &f) {
  Value x = f.widen(op.getInput());
  int64_t dim = op.getDim();
  ArrayRef<int64_t> shape = shapeOf(x);
  Value most = f.repeat(f.reduce(dist::ReductionKind::max, x, dim), shape, dim);
  Value weights = f.create<ExpOp>(f.create<SubOp>(x, most));
  Value sum =
      f.repeat(f.reduce(dist::ReductionKind::sum, weights, dim), shape, dim);
  return f.finish(f.create<DivOp>(weights, sum));
}

Value formulaOf(LayerNormOp op, OpFormula &f) {
  Value x = f.widen(op.getInput());
  ArrayRef<int64_t> shape = shapeOf(x);
  int64_t last = shape.size() - 1, columns = shape.back();
  auto mean = [&](Value value) {
    Value sum = f.reduce(dist::ReductionKind::sum, value, last);
    return f.create<DivOp>(sum, f.numberLike(columns, sum));
  };
  Value centred = f.create<SubOp>(x, f.repeat(mean(x), shape, last));
  Value variance = mean(f.create<MulOp>(centred, centred));
  Value inverse = f.create<RsqrtOp>(f.create<AddOp>(
      variance, f.numberLike(op.getEpsilon().convertToDouble(), variance)));
  Value normal = f.create<MulOp>(centred, f.repeat(inverse, shape, last));
  Value scale = f.broadcast(f.widen(op.getScale()), shape, {last});
  Value bias = f.broadcast(f.widen(op.getBias()), shape, {last});
  return f.finish(f.create<AddOp>(f.create<MulOp>(normal, scale), bias));
}

Value formulaOf(RmsNormOp op, OpFormula &f) {
  Value x = f.widen(op.getInput());
  ArrayRef<int64_t> shape = shapeOf(x);
  int64_t last = shape.size() - 1;
  Value sum = f.reduce(dist::ReductionKind::sum, f.create<MulOp>(x, x), last);
  Value square = f.create<DivOp>(sum, f.numberLike(shape.back(), sum));
  Value inverse = f.create<RsqrtOp>(f.create<AddOp>(
      square, f.numberLike(op.getEpsilon().convertToDouble(), square)));
  Value scale = f.broadcast(f.widen(op.getScale()), shape, {last});
  return f.finish(f.create<MulOp>(
      f.create<MulOp>(x, f.repeat(inverse, shape, last)), scale));
}

/// Scores [B,K,G,S,T], of attention or an op of its gradients: G query heads
/// share each of K key heads. -inf where a query does not see a key.
template <typename Op> Value scoresOf(Op op, OpFormula &f) {
  ArrayRef<int64_t> q = shapeOf(op.getQuery()), k = shapeOf(op.getKey());
  int64_t batch = q[0], queries = q[1], heads = q[2], keys = k[1],
          groups = k[2], perGroup = heads / groups;
  SmallVector<int64_t> shape = {batch, groups, perGroup, queries, keys};
  Value query = f.reshape(f.widen(op.getQuery()),
                          {batch, queries, groups, perGroup, q[3]});
  Value scores = f.contract(query, f.widen(op.getKey()), "bskgd,btkd->bkgst");
  scores = f.create<MulOp>(
      scores, f.numberLike(op.getScale().convertToDouble(), scores));
  if (Value bias = op.getBias()) {
    bias =
        f.broadcast(f.widen(bias), {batch, heads, queries, keys}, {0, 1, 2, 3});
    scores = f.create<AddOp>(scores, f.reshape(bias, shape));
  }
  if (!op.getCausal())
    return scores;
  // Key t is visible to query s where t - s <= T - S.
  Value distance = f.create<SubOp>(f.iota(shape, 4), f.iota(shape, 3));
  Value visible = f.compare(CompareDirection::le, f.widen(distance),
                            f.wideNumber(keys - queries, shape));
  return f.select(visible, scores, f.wideNumber(minusInfinity, shape));
}

/// The softmax of scores, in parts: e^(score - most), and of each row
/// [B,K,G,S] the largest score, the sum of these, and whether it sees no key.
struct Softmax {
  Value exponentials, most, sum, isEmpty;
};

/// What the exponentials of a row without a visible key are.
enum class EmptyRows { NaN, Zero };

Softmax softmaxOf(Value scores, OpFormula &f, EmptyRows empty) {
  ArrayRef<int64_t> shape = shapeOf(scores), rows = shape.drop_back();
  Softmax parts;
  parts.most = f.reduce(dist::ReductionKind::max, scores, 4);
  parts.isEmpty = f.compare(CompareDirection::eq, parts.most,
                            f.wideNumber(minusInfinity, rows));
  if (empty == EmptyRows::Zero)
    parts.most = f.select(parts.isEmpty, f.wideNumber(0, rows), parts.most);
  parts.exponentials =
      f.create<ExpOp>(f.create<SubOp>(scores, f.repeat(parts.most, shape, 4)));
  parts.sum = f.reduce(dist::ReductionKind::sum, parts.exponentials, 4);
  return parts;
}

Value formulaOf(AttentionOp op, OpFormula &f) {
  Softmax parts = softmaxOf(scoresOf(op, f), f, EmptyRows::NaN);
  ArrayRef<int64_t> shape = shapeOf(parts.exponentials);
  Value weights =
      f.create<DivOp>(parts.exponentials, f.repeat(parts.sum, shape, 4));
  int64_t valueSize = shapeOf(op.getValue())[3];
  SmallVector<int64_t> sums(shape.drop_back());
  sums.push_back(valueSize);
  Value result =
      f.contract(weights, f.widen(op.getValue()), "bkgst,btke->bkgse");
  // A row without a visible key has the largest score -inf, and gives 0
  // whatever its weights and the values are.
  result =
      f.select(f.repeat(parts.isEmpty, sums, 4), f.wideNumber(0, sums), result);
  result = f.transpose(result, {0, 3, 1, 2, 4});
  return f.finish(
      f.reshape(result, {shape[0], shape[3], shape[1] * shape[2], valueSize}));
}

Value formulaOf(AttentionLogsumexpOp op, OpFormula &f) {
  Softmax parts = softmaxOf(scoresOf(op, f), f, EmptyRows::Zero);
  Value result = f.create<AddOp>(f.create<LogOp>(parts.sum), parts.most);
  return f.finish(f.reshape(result, shapeOf(op)));
}

Value formulaOf(AttentionGradientOp op, OpFormula &f, bool isForDerivatives) {
  Value scores = scoresOf(op, f);
  ArrayRef<int64_t> shape = shapeOf(scores), rows = shape.drop_back();
  auto overKeys = [&](Value row) { return f.repeat(row, shape, 4); };
  auto perHead = [&](Value value) {
    SmallVector<int64_t> split = {shape[0], shape[3], shape[1], shape[2],
                                  shapeOf(value)[3]};
    return f.reshape(f.widen(value), split);
  };
  // A row without a visible key has weights 0, not e^(-inf + inf).
  Value shift = f.reshape(op.getLogsumexp(), rows);
  Value isEmpty =
      f.compare(CompareDirection::eq, shift, f.wideNumber(minusInfinity, rows));
  shift = f.select(isEmpty, f.wideNumber(0, rows), shift);
  Value logs = f.create<SubOp>(scores, overKeys(shift));
  // A minimum's derivative is one half where both are equal.
  if (!isForDerivatives)
    logs = f.create<MinOp>(logs, f.numberLike(0, logs));
  Value weights = f.create<ExpOp>(logs);
  Value cotangent = perHead(op.getCotangent());
  if (op.getOf() == AttentionOperand::value)
    return f.finish(f.contract(weights, cotangent, "bkgst,bskge->btke"));
  Value change =
      f.contract(cotangent, f.widen(op.getValue()), "bskge,btke->bkgst");
  change = f.create<SubOp>(change, overKeys(f.reshape(op.getMean(), rows)));
  change = f.create<MulOp>(change, weights);
  change = f.create<MulOp>(
      change, f.numberLike(op.getScale().convertToDouble(), change));
  if (op.getOf() == AttentionOperand::key)
    return f.finish(
        f.contract(change, perHead(op.getQuery()), "bkgst,bskgd->btkd"));
  Value result = f.contract(change, f.widen(op.getKey()), "bkgst,btkd->bskgd");
  return f.finish(f.reshape(result, shapeOf(op)));
}

/// Zeros in rows without a visible key.
template <typename Op> Value weightsOf(Op op, OpBuilder &builder) {
  OpFormula f(op, builder);
  // Without NaN, which a select hides from the result and not from derivatives.
  Softmax parts = softmaxOf(scoresOf(op, f), f, EmptyRows::Zero);
  ArrayRef<int64_t> shape = shapeOf(parts.exponentials);
  Value sum =
      f.select(parts.isEmpty, f.wideNumber(1, shape.drop_back()), parts.sum);
  return f.create<DivOp>(parts.exponentials, f.repeat(sum, shape, 4));
}

} // namespace

Value tessera::writeFormula(Operation *op, OpBuilder &builder,
                            bool isForDerivatives) {
  OpFormula formula(op, builder);
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](AttentionGradientOp op) {
        return formulaOf(op, formula, isForDerivatives);
      })
      .Case<AttentionOp, AttentionLogsumexpOp, GeluOp, LayerNormOp, RmsNormOp,
            SiluOp, SoftmaxOp>([&](auto op) { return formulaOf(op, formula); })
      .Default([&](Operation *op) { return writeRowFormula(op, builder); });
}

Value tessera::writeAttentionWeights(AttentionOp op, OpBuilder &builder) {
  return weightsOf(op, builder);
}

Value tessera::writeAttentionWeights(AttentionLogsumexpOp op,
                                     OpBuilder &builder) {
  return weightsOf(op, builder);
}
