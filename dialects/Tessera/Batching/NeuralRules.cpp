// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Softmax, norms and attention, as the ops that have kernels of their own.
#include "Rules.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::batching;

//===----------------------------------------------------------------------===//
// Norms
//===----------------------------------------------------------------------===//

/// `value`, of one element per column, repeated over the rows of `shape`;
/// where it has the batch, that is the first dimension of both.
static Value overRows(BatchedOp &b, Value value, bool isBatched,
                      ArrayRef<int64_t> shape) {
  SmallVector<int64_t> dims;
  if (isBatched)
    dims.push_back(0);
  dims.push_back(static_cast<int64_t>(shape.size()) - 1);
  return b.build.broadcast(value, shape, dims);
}

/// Factors and summands that all entries share stay with the op; else it
/// normalises alone, and they are applied behind it.
template <typename Norm>
static void batchNorm(Norm op, BatchedOp &b, Value bias) {
  ValueRange columns = op->getOperands().drop_front();
  if (!b.isAnyBatched(columns)) {
    b.copyWith(b.getAll(op->getOperands()));
    return;
  }
  Type wide = wideTypeOf(op);
  FormulaBuilder &build = b.build;
  Value input = build.convert(b.get(op.getInput()), wide);
  ArrayRef<int64_t> width = shapeOf(op.getScale());
  Value one = build.number(1, width, wide);
  Value normal;
  if constexpr (std::is_same_v<Norm, LayerNormOp>)
    normal = build.create<Norm>(input, one, build.number(0, width, wide),
                                op.getEpsilonAttr());
  else
    normal = build.create<Norm>(input, one, op.getEpsilonAttr());
  SmallVector<int64_t> shape = withFront(b.size(), shapeOf(op));
  if (!b.isBatched(op.getInput()))
    normal = build.repeat(normal, shape, 0);
  auto spread = [&](Value column) {
    return overRows(b, build.convert(b.get(column), wide), b.isBatched(column),
                    shape);
  };
  normal = build.create<MulOp>(normal, spread(op.getScale()));
  if (bias)
    normal = build.create<AddOp>(normal, spread(bias));
  b.set(op, build.convert(normal, getElementTypeOrSelf(op.getType())));
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

/// Entries that share keys and values are further queries of theirs:
/// [batch, B, S, ...] is [B, batch*S, ...].
static void batchAsQueries(AttentionOp op, BatchedOp &b) {
  FormulaBuilder &build = b.build;
  SmallVector<int64_t> shape(shapeOf(op.getQuery())), result(shapeOf(op));
  shape[1] *= b.size();
  SmallVector<Value> operands = b.getAll(op->getOperands());
  operands.front() =
      build.reshape(build.transpose(operands.front(), {1, 0, 2, 3, 4}), shape);
  Operation *copy = b.copyWith(operands);
  result[1] *= b.size();
  copy->getResult(0).setType(
      build.typeOf(result, getElementTypeOrSelf(op.getType())));
  ArrayRef<int64_t> one = shapeOf(op);
  Value apart = build.reshape(copy->getResult(0),
                              {one[0], b.size(), one[1], one[2], one[3]});
  b.set(op, build.transpose(apart, {1, 0, 2, 3, 4}));
}

/// [batch, B, ...] as [batch * B, ...], the op's own batch.
static Value joined(FormulaBuilder &build, Value value) {
  ArrayRef<int64_t> shape = shapeOf(value);
  SmallVector<int64_t> result = {shape[0] * shape[1]};
  llvm::append_range(result, shape.drop_front(2));
  return build.reshape(value, result);
}

/// The batch becomes part of the op's own.
template <typename Op> static void batchByJoining(Op op, BatchedOp &b) {
  FormulaBuilder &build = b.build;
  Value bias = op.getBias();
  SmallVector<Value> operands;
  for (Value operand : op->getOperands().drop_back(bias ? 1 : 0))
    operands.push_back(joined(build, b.batched(operand)));
  if (bias && !b.isBatched(bias) && shapeOf(bias)[0] == 1) {
    operands.push_back(b.get(bias));
  } else if (bias) {
    Value whole = b.batched(bias);
    SmallVector<int64_t> shape(shapeOf(whole));
    shape[1] = shapeOf(op.getQuery())[0];
    if (ArrayRef<int64_t>(shape) != shapeOf(whole))
      whole = build.broadcast(whole, shape, {0, 1, 2, 3, 4});
    operands.push_back(joined(build, whole));
  }
  Operation *copy = b.copyWith(operands);
  SmallVector<int64_t> shape(shapeOf(op));
  shape[0] *= b.size();
  copy->getResult(0).setType(
      build.typeOf(shape, getElementTypeOrSelf(op.getType())));
  b.set(op,
        build.reshape(copy->getResult(0), withFront(b.size(), shapeOf(op))));
}

static void batchAttention(AttentionOp op, BatchedOp &b) {
  Value bias = op.getBias();
  bool isSharedBias = !bias || !b.isBatched(bias);
  if (!b.isBatched(op.getKey()) && !b.isBatched(op.getValue()) &&
      isSharedBias && !op.getCausal() && (!bias || shapeOf(bias)[2] == 1))
    return batchAsQueries(op, b);
  batchByJoining(op, b);
}

void tessera::batching::addNeuralRules(BatchingRules &rules) {
  rules.add<SoftmaxOp>([](SoftmaxOp op, BatchedOp &b) {
    cast<SoftmaxOp>(b.copy()).setDim(op.getDim() + 1);
  });
  rules.add<LayerNormOp>(
      [](LayerNormOp op, BatchedOp &b) { batchNorm(op, b, op.getBias()); });
  rules.add<RmsNormOp>(
      [](RmsNormOp op, BatchedOp &b) { batchNorm(op, b, Value()); });
  rules.add<AttentionOp>(batchAttention);
  rules.add<AttentionLogsumexpOp>(batchByJoining<AttentionLogsumexpOp>);
  rules.add<AttentionGradientOp>(batchByJoining<AttentionGradientOp>);
  rules.refuse<AttentionTangentOp>("only its transpose is computed");
}
