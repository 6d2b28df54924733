// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Derivatives of gather and scatter: each is the other's transposed map.
#include "Rules.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::derivatives;

using Build = FormulaBuilder;

static Value gather(Build &b, Value source, ValueRange indices, GatherOp like) {
  return b.create<GatherOp>(source, indices, like.getDimsAttr(),
                            like.getSourceBatchAttr(),
                            like.getIndicesBatchAttr());
}

/// What a scatter of these dimensions reads where it writes.
static Value gatherUpdated(Build &b, Value source, ValueRange indices,
                           ScatterOp like) {
  return b.create<GatherOp>(source, indices, like.getDimsAttr(),
                            like.getInputBatchAttr(),
                            like.getIndicesBatchAttr());
}

static Value scatter(Build &b, ScatterKind kind, Value input,
                     ValueRange indices, Value updates, ScatterOp like) {
  return b.create<ScatterOp>(
      ScatterKindAttr::get(like.getContext(), kind), input, indices, updates,
      like.getDimsAttr(), like.getInputBatchAttr(), like.getIndicesBatchAttr());
}

/// max, min: elements of the input and updates that equal the result share the
/// cotangent.
static void differentiateExtremum(ScatterOp op, Tangents &t) {
  Build &b = t.primal;
  Value input = op.getInput(), updates = op.getUpdates();
  auto weightOf = [&](Value value, Value result) {
    return b.select(b.compare(CompareDirection::eq, value, result),
                    b.numberLike(1, value), b.numberLike(0, value));
  };
  Value kept = weightOf(input, op);
  Value taken = weightOf(updates, gatherUpdated(b, op, op.getIndices(), op));
  Value count = scatter(b, ScatterKind::add, kept, op.getIndices(), taken, op);
  Build &l = t.linear;
  Value sum = scatter(
      l, ScatterKind::add, l.create<MulOp>(t.ofOrZeros(input), kept),
      op.getIndices(), l.create<MulOp>(t.ofOrZeros(updates), taken), op);
  t.set(op, l.create<DivOp>(sum, count));
}

static void differentiateScatter(ScatterOp op, Tangents &t) {
  if (op.getKind() == ScatterKind::max || op.getKind() == ScatterKind::min)
    return differentiateExtremum(op, t);
  // The update that `set` leaves is the same one for values and tangents.
  t.set(op, scatter(t.linear, op.getKind(), t.ofOrZeros(op.getInput()),
                    op.getIndices(), t.ofOrZeros(op.getUpdates()), op));
}

/// 1 for each update that `set` leaves in the result, 0 for those that a later
/// one replaces: each update writes its number, and looks which one is there.
static Value lastUpdates(Build &b, ValueRange indices, ScatterOp op,
                         Type element) {
  ArrayRef<int64_t> shape = shapeOf(op.getUpdates());
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  Value numbers = b.reshape(b.iota({count}, 0), shape);
  Value none = b.number(-1, shapeOf(op.getInput()),
                        getElementTypeOrSelf(numbers.getType()));
  Value last = gatherUpdated(
      b, scatter(b, ScatterKind::set, none, indices, numbers, op), indices, op);
  return b.select(b.compare(CompareDirection::eq, last, numbers),
                  b.number(1, shape, element), b.number(0, shape, element));
}

static void transposeScatter(ScatterOp op, Cotangents &c) {
  SmallVector<Value> indices = llvm::map_to_vector(
      op.getIndices(), [&](Value v) { return c.residual(v); });
  Build &b = c.build;
  Value ct = c.of(op);
  bool isSet = op.getKind() == ScatterKind::set;
  if (c.isLinear(op.getInput())) {
    Value zeros = zerosLike(b, op.getUpdates());
    c.add(op.getInput(),
          isSet ? scatter(b, ScatterKind::set, ct, indices, zeros, op) : ct);
  }
  if (!c.isLinear(op.getUpdates()))
    return;
  Value read = gatherUpdated(b, ct, indices, op);
  if (isSet)
    read = b.create<MulOp>(
        read, lastUpdates(b, indices, op, getElementTypeOrSelf(op.getType())));
  c.add(op.getUpdates(), read);
}

static void transposeGather(GatherOp op, Cotangents &c) {
  SmallVector<Value> indices = llvm::map_to_vector(
      op.getIndices(), [&](Value v) { return c.residual(v); });
  c.add(op.getSource(),
        c.build.create<ScatterOp>(
            ScatterKindAttr::get(op.getContext(), ScatterKind::add),
            zerosLike(c.build, op.getSource()), ValueRange(indices), c.of(op),
            op.getDimsAttr(), op.getSourceBatchAttr(),
            op.getIndicesBatchAttr()));
}

void tessera::derivatives::addIndexingRules(DerivativeRules &rules) {
  rules.none<ArgsortOp>();
  rules.jvp<GatherOp>([](GatherOp op, Tangents &t) {
    t.set(op, gather(t.linear, t.of(op.getSource()), op.getIndices(), op));
  });
  rules.transpose<GatherOp>(transposeGather);
  rules.jvp<ScatterOp>(differentiateScatter);
  rules.transpose<ScatterOp>(transposeScatter);
}
