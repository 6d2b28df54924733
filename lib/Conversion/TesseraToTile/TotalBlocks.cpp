// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Log-sum-exp and cross entropy: one pass over whole rows, chunk by chunk where
// a row is long, with an online sum of exponentials (Milakov and Gimelshein,
// 2018), so that rows may be of any length.
#include "BlockEmitter.h"

#include <limits>

using namespace mlir;
using namespace tessera;

/// What rows of logits come to: tiles of size 1 along the rows.
struct BlockEmitter::RowTotals {
  Value most;         ///< The largest element.
  Value sum;          ///< Of exp(x - shift of `most`).
  Value ofLabel, all; ///< The label's logit, and the sum; may be null.
};

/// Rows that are visited, and what of them is wanted.
struct BlockEmitter::RowScan {
  Value input;
  int64_t dim;
  BlockBox box; ///< Whole along `dim`.
  Value labels; ///< A tile of size 1 along `dim`, or null.
  bool wantsAll;
};

/// What is subtracted from rows before exponentials are taken: nothing where
/// the largest element is infinite or NaN.
Value BlockEmitter::shiftOf(Value most) {
  auto type = cast<RankedTensorType>(most.getType());
  auto number = [&](double value) {
    return splatNumber(type.getShape(), type.getElementType(), value);
  };
  Value isFinite =
      arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OLT,
                            math::AbsFOp::create(builder, loc, most),
                            number(std::numeric_limits<double>::infinity()));
  return arith::SelectOp::create(builder, loc, isFinite, most, number(0));
}

/// The element of each row that is at the row's label; 0 where there is none in
/// `tile`, which begins at `position` of the rows.
Value BlockEmitter::pickLabels(const RowScan &scan, Value tile,
                               Value position) {
  auto type = cast<RankedTensorType>(tile.getType());
  Value index = indicesAlong(type.getShape(), scan.dim, position);
  Value labels = broadcastTo(scan.labels, type.getShape());
  if (getElementTypeOrSelf(index.getType()) !=
      getElementTypeOrSelf(labels.getType())) {
    index = toI64(index);
    labels = toI64(labels);
  }
  Value isLabel = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                        index, labels);
  Value zero = splatNumber(type.getShape(), type.getElementType(), 0);
  Value picked = arith::SelectOp::create(builder, loc, isLabel, tile, zero);
  return reduce(tile::ReductionKind::sum, picked, scan.dim);
}

/// The totals of `box`, a piece of the rows at `position`, and of what is
/// before it, if anything. None, with a diagnostic, when the input cannot be
/// emitted.
std::optional<BlockEmitter::RowTotals>
BlockEmitter::addPiece(const RowScan &scan, const BlockBox &box, Value position,
                       std::optional<RowTotals> before) {
  Value input = emit(scan.input, box);
  if (!input)
    return std::nullopt;
  Value x = toF32(input);
  Type type = getElementTypeOrSelf(x.getType());
  int64_t length = scan.box.sizes[scan.dim];
  bool isRagged = length % box.sizes[scan.dim] != 0;
  auto inside = [&](double otherwise) -> Value {
    if (!isRagged)
      return x;
    return arith::SelectOp::create(
        builder, loc, insideAlong(box.sizes, scan.dim, position, length), x,
        splatNumber(box.sizes, type, otherwise));
  };
  auto add = [&](Value a, Value b) -> Value {
    return a ? arith::AddFOp::create(builder, loc, a, b).getResult() : b;
  };
  Value visible = inside(-std::numeric_limits<double>::infinity());
  RowTotals after;
  after.most = reduce(tile::ReductionKind::max, visible, scan.dim);
  if (before)
    after.most =
        arith::MaximumFOp::create(builder, loc, before->most, after.most);
  Value shift = shiftOf(after.most);
  Value raised =
      math::ExpOp::create(builder, loc,
                          arith::SubFOp::create(builder, loc, visible,
                                                broadcastTo(shift, box.sizes)));
  after.sum = reduce(tile::ReductionKind::sum, raised, scan.dim);
  if (before) {
    // Nothing is counted where the largest element so far is -inf.
    Value rescale = math::ExpOp::create(
        builder, loc, arith::SubFOp::create(builder, loc, before->most, shift));
    after.sum = add(arith::MulFOp::create(builder, loc, before->sum, rescale),
                    after.sum);
  }
  if (scan.labels)
    after.ofLabel =
        add(before ? before->ofLabel : Value(), pickLabels(scan, x, position));
  if (scan.wantsAll)
    after.all = add(before ? before->all : Value(),
                    reduce(tile::ReductionKind::sum, inside(0), scan.dim));
  return after;
}

std::optional<BlockEmitter::RowTotals>
BlockEmitter::totalsOf(const RowScan &scan) {
  BlockBox piece = scan.box;
  int64_t length = piece.sizes[scan.dim], elements = 1;
  for (int64_t size : piece.sizes)
    elements *= size;
  if (elements <= sizes.reduceElements)
    return addPiece(scan, piece, constantIndex(0), std::nullopt);
  int64_t perStep = elements / length;
  piece.sizes[scan.dim] =
      chooseChunk(length, std::max<int64_t>(1, sizes.reduceElements / perStep));
  SmallVector<int64_t> shape(piece.sizes);
  shape[scan.dim] = 1;
  Type type = accumulatorType(getElementTypeOrSelf(scan.input.getType()));
  auto number = [&](double value) { return splatNumber(shape, type, value); };
  SmallVector<Value> inits = {number(-std::numeric_limits<double>::infinity()),
                              number(0)};
  inits.resize(2 + (scan.labels ? 1 : 0) + (scan.wantsAll ? 1 : 0), inits[1]);
  auto unpack = [&](ValueRange values) {
    RowTotals totals = {values[0], values[1], {}, {}};
    if (scan.labels)
      totals.ofLabel = values[2];
    if (scan.wantsAll)
      totals.all = values.back();
    return totals;
  };
  bool failedInside = false;
  SmallVector<Value> results =
      forLoop(length, piece.sizes[scan.dim], inits,
              [&](Value position, ValueRange carried) -> SmallVector<Value> {
                piece.offsets[scan.dim] = position;
                std::optional<RowTotals> after =
                    addPiece(scan, piece, position, unpack(carried));
                if (!after) {
                  failedInside = true;
                  return llvm::to_vector(carried);
                }
                SmallVector<Value> values = {after->most, after->sum};
                if (after->ofLabel)
                  values.push_back(after->ofLabel);
                if (after->all)
                  values.push_back(after->all);
                return values;
              });
  if (failedInside)
    return std::nullopt;
  return unpack(results);
}

/// The box of `input` whose rows along `dim` are those of `box`, a box of a
/// value without that dimension.
BlockBox BlockEmitter::rowsBox(Value input, int64_t dim, const BlockBox &box) {
  BlockBox source;
  size_t next = 0;
  for (auto [d, size] : llvm::enumerate(shapeOf1(input))) {
    bool isRow = static_cast<int64_t>(d) == dim;
    source.offsets.push_back(isRow ? constantIndex(0) : box.offsets[next]);
    source.sizes.push_back(isRow ? size : box.sizes[next++]);
  }
  return source;
}

BlockEmitter::Key BlockEmitter::keyOf(const RowScan &scan) {
  Key key{scan.input.getAsOpaquePointer(), {{nullptr, scan.dim}}};
  for (auto [offset, size] : llvm::zip(scan.box.offsets, scan.box.sizes))
    key.second.emplace_back(offset.getAsOpaquePointer(), size);
  return key;
}

Value BlockEmitter::emitLogsumexp(LogsumexpOp op, const BlockBox &box) {
  auto dim = static_cast<int64_t>(op.getDim());
  RowScan scan = {
      op.getInput(), dim, rowsBox(op.getInput(), dim, box), {}, false};
  // A cross entropy of the same rows has visited them.
  Key key = keyOf(scan);
  LogSum sum = logSums.count(key) ? logSums[key] : LogSum();
  if (!sum.log) {
    std::optional<RowTotals> totals = totalsOf(scan);
    if (!totals)
      return {};
    logSums[key] = sum = {shiftOf(totals->most), emitLog(totals->sum)};
  }
  Value result = arith::AddFOp::create(builder, loc, sum.log, sum.shift);
  return reshape(result, box.sizes);
}

Value BlockEmitter::emitCrossEntropy(CrossEntropyOp op, const BlockBox &box) {
  Value labels = emit(op.getLabels(), box);
  if (!labels)
    return {};
  ArrayRef<int64_t> logits = shapeOf(op.getLogits());
  auto last = static_cast<int64_t>(logits.size()) - 1;
  double smoothing = op.getSmoothing().convertToDouble(),
         zLoss = op.getZLoss().convertToDouble();
  RowScan scan = {op.getLogits(),
                  last,
                  rowsBox(op.getLogits(), last, box),
                  {},
                  smoothing != 0};
  SmallVector<int64_t> shape(scan.box.sizes);
  shape[last] = 1;
  scan.labels = labels = reshape(labels, shape);
  std::optional<RowTotals> totals = totalsOf(scan);
  if (!totals)
    return {};
  LogSum sum = {shiftOf(totals->most), emitLog(totals->sum)};
  logSums[keyOf(scan)] = sum;

  Type type = getElementTypeOrSelf(sum.log.getType());
  auto number = [&](double value) { return splatNumber(shape, type, value); };
  auto add = [&](Value a, Value b) -> Value {
    return arith::AddFOp::create(builder, loc, a, b);
  };
  auto mul = [&](Value a, Value b) -> Value {
    return arith::MulFOp::create(builder, loc, a, b);
  };
  Value wanted = totals->ofLabel;
  if (smoothing != 0)
    wanted = add(mul(wanted, number(1 - smoothing)),
                 mul(totals->all,
                     number(smoothing / static_cast<double>(logits.back()))));
  Value loss =
      add(sum.log, arith::SubFOp::create(builder, loc, sum.shift, wanted));
  if (zLoss != 0) {
    Value total = add(sum.log, sum.shift);
    loss = add(loss, mul(mul(total, total), number(zLoss)));
  }
  // Unsigned: negative labels become large.
  Type labelType = getElementTypeOrSelf(labels.getType());
  auto compare = [&](arith::CmpIPredicate predicate, int64_t with) -> Value {
    Value other = splat(shape, builder.getIntegerAttr(labelType, with));
    return arith::CmpIOp::create(builder, loc, predicate, labels, other);
  };
  Value isClass = compare(arith::CmpIPredicate::ult, logits.back());
  loss =
      arith::SelectOp::create(builder, loc, isClass, loss,
                              number(std::numeric_limits<double>::quiet_NaN()));
  if (std::optional<uint64_t> ignored = op.getIgnore())
    loss = arith::SelectOp::create(
        builder, loc,
        compare(arith::CmpIPredicate::eq, static_cast<int64_t>(*ignored)),
        number(0), loss);
  return reshape(loss, box.sizes);
}
