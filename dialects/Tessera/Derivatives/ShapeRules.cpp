// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Derivatives of ops that move elements, all of them linear, and of those that
// make values of nothing.
#include "Rules.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::derivatives;

using Build = FormulaBuilder;

static DenseI64ArrayAttr array(Build &, MLIRContext *context,
                               ArrayRef<int64_t> values) {
  return DenseI64ArrayAttr::get(context, values);
}

static void transposeTranspose(TransposeOp op, Cotangents &c) {
  SmallVector<int64_t> inverse(op.getPermutation().size());
  for (auto [i, from] : llvm::enumerate(op.getPermutation()))
    inverse[from] = i;
  c.add(op.getInput(), c.build.transpose(c.of(op), inverse));
}

/// The sum over the dimensions along which elements were repeated.
static void transposeBroadcast(BroadcastOp op, Cotangents &c) {
  ArrayRef<int64_t> shape = shapeOf(op), from = shapeOf(op.getInput());
  SmallVector<int64_t> summed;
  for (int64_t d = 0, rank = shape.size(); d < rank; ++d) {
    auto found = llvm::find(op.getDims(), d);
    bool isRepeated = found == op.getDims().end() ||
                      from[found - op.getDims().begin()] != shape[d];
    if (isRepeated)
      summed.push_back(d);
  }
  Value ct = c.of(op);
  if (!summed.empty()) {
    MLIRContext *context = op.getContext();
    ct = c.build.create<ReduceOp>(
        dist::ReductionKindAttr::get(context, dist::ReductionKind::sum), ct,
        array(c.build, context, summed));
  }
  c.add(op.getInput(), c.build.reshape(ct, from));
}

/// Zeros around the box; between its elements where it has strides.
static void transposeSlice(SliceOp op, Cotangents &c) {
  ArrayRef<int64_t> shape = shapeOf(op.getInput());
  Value ct = c.of(op);
  SmallVector<int64_t> low, high;
  MLIRContext *context = op.getContext();
  auto zero = FloatAttr::get(getElementTypeOrSelf(op.getType()), 0.0);
  for (auto [d, size] : llvm::enumerate(shape)) {
    int64_t stride = op.getStrides()[d], count = shapeOf(ct)[d];
    if (stride > 1 && count > 1) {
      // [.., n, ..] to [.., n, 1, ..], padded to [.., n, stride, ..], and the
      // zeros behind the last element cut off.
      SmallVector<int64_t> apart(shapeOf(ct));
      apart.insert(apart.begin() + d + 1, 1);
      SmallVector<int64_t> none(apart.size(), 0), after(apart.size(), 0);
      after[d + 1] = stride - 1;
      Value spread = c.build.reshape(ct, apart);
      spread = c.build.create<PadOp>(spread, array(c.build, context, none),
                                     array(c.build, context, after), zero);
      SmallVector<int64_t> joined(shapeOf(ct));
      joined[d] = count * stride;
      spread = c.build.reshape(spread, joined);
      SmallVector<int64_t> starts(joined.size(), 0), steps(joined.size(), 1);
      joined[d] = (count - 1) * stride + 1;
      ct = c.build.create<SliceOp>(spread, array(c.build, context, starts),
                                   array(c.build, context, joined),
                                   array(c.build, context, steps));
    }
    low.push_back(op.getStarts()[d]);
    high.push_back(size - low.back() - shapeOf(ct)[d]);
  }
  c.add(op.getInput(),
        c.build.create<PadOp>(ct, array(c.build, context, low),
                              array(c.build, context, high), zero));
}

static void transposePad(PadOp op, Cotangents &c) {
  ArrayRef<int64_t> shape = shapeOf(op.getInput());
  SmallVector<int64_t> limits, steps(shape.size(), 1);
  for (auto [low, size] : llvm::zip(op.getLow(), shape))
    limits.push_back(low + size);
  MLIRContext *context = op.getContext();
  c.add(op.getInput(), c.build.create<SliceOp>(c.of(op), op.getLowAttr(),
                                               array(c.build, context, limits),
                                               array(c.build, context, steps)));
}

static void transposeConcatenate(ConcatenateOp op, Cotangents &c) {
  int64_t dim = op.getDim(), begin = 0;
  MLIRContext *context = op.getContext();
  for (Value input : op.getInputs()) {
    SmallVector<int64_t> starts(shapeOf(op).size(), 0), limits(shapeOf(op)),
        steps(shapeOf(op).size(), 1);
    starts[dim] = begin;
    begin += shapeOf(input)[dim];
    limits[dim] = begin;
    if (c.isLinear(input))
      c.add(input,
            c.build.create<SliceOp>(c.of(op), array(c.build, context, starts),
                                    array(c.build, context, limits),
                                    array(c.build, context, steps)));
  }
}

static SmallVector<Value> residuals(Cotangents &c, ValueRange values) {
  return llvm::map_to_vector(values, [&](Value v) { return c.residual(v); });
}

static void addDynamicRules(DerivativeRules &rules) {
  rules.jvp<DynamicSliceOp>([](DynamicSliceOp op, Tangents &t) {
    t.set(op,
          DynamicSliceOp::create(
              t.getLinearBuilder(), op.getLoc(),
              t.linear.typeOf(shapeOf(op), getElementTypeOrSelf(op.getType())),
              t.of(op.getInput()), op.getStarts()));
  });
  rules.jvp<DynamicUpdateSliceOp>([](DynamicUpdateSliceOp op, Tangents &t) {
    t.set(op, t.linear.create<DynamicUpdateSliceOp>(
                  t.ofOrZeros(op.getInput()), op.getStarts(),
                  t.ofOrZeros(op.getUpdate())));
  });
  rules.transpose<DynamicSliceOp>([](DynamicSliceOp op, Cotangents &c) {
    c.add(op.getInput(),
          c.build.create<DynamicUpdateSliceOp>(
              zerosLike(c.build, op.getInput()),
              ValueRange(residuals(c, op.getStarts())), c.of(op)));
  });
  rules.transpose<DynamicUpdateSliceOp>([](DynamicUpdateSliceOp op,
                                           Cotangents &c) {
    SmallVector<Value> starts = residuals(c, op.getStarts());
    Value ct = c.of(op);
    if (c.isLinear(op.getInput()))
      c.add(op.getInput(),
            c.build.create<DynamicUpdateSliceOp>(
                ct, ValueRange(starts), zerosLike(c.build, op.getUpdate())));
    if (c.isLinear(op.getUpdate()))
      c.add(op.getUpdate(),
            DynamicSliceOp::create(
                c.getTransposer().getBuilder(), op.getLoc(),
                c.build.typeOf(shapeOf(op.getUpdate()),
                               getElementTypeOrSelf(op.getType())),
                ct, starts));
  });
}

void tessera::derivatives::addShapeRules(DerivativeRules &rules) {
  rules.none<ConstantOp, IotaOp, RngOp>();
  rules.jvp<ReshapeOp>([](ReshapeOp op, Tangents &t) {
    t.set(op, t.linear.reshape(t.of(op.getInput()), shapeOf(op)));
  });
  rules.jvp<BroadcastOp>([](BroadcastOp op, Tangents &t) {
    t.set(op,
          t.linear.broadcast(t.of(op.getInput()), shapeOf(op), op.getDims()));
  });
  rules.jvp<PadOp>([](PadOp op, Tangents &t) {
    t.set(op, t.linear.create<PadOp>(
                  t.of(op.getInput()), op.getLowAttr(), op.getHighAttr(),
                  FloatAttr::get(getElementTypeOrSelf(op.getType()), 0.0)));
  });
  rules.linear<TransposeOp, SliceOp, ConcatenateOp>();
  rules.transpose<ReshapeOp>([](ReshapeOp op, Cotangents &c) {
    c.add(op.getInput(), c.build.reshape(c.of(op), shapeOf(op.getInput())));
  });
  rules.transpose<TransposeOp>(transposeTranspose);
  rules.transpose<BroadcastOp>(transposeBroadcast);
  rules.transpose<SliceOp>(transposeSlice);
  rules.transpose<PadOp>(transposePad);
  rules.transpose<ConcatenateOp>(transposeConcatenate);
  addDynamicRules(rules);
}
