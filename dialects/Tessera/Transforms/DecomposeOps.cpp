// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/Transforms/Passes.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "llvm/ADT/TypeSwitch.h"

#include <limits>

namespace tessera {
#define GEN_PASS_DEF_DECOMPOSEOPS
#include "dialects/Tessera/Transforms/Passes.h.inc"
} // namespace tessera

using namespace mlir;
using namespace tessera;

namespace {

/// Writes formulas at an op: every value is a mesh tensor of the op's mesh with
/// an open layout, or a builtin tensor where the op computes on these.
class FormulaBuilder {
public:
  FormulaBuilder(Operation *op, PatternRewriter &rewriter)
      : op(op), rewriter(rewriter), loc(op->getLoc()) {
    Type type = getElementTypeOrSelf(op->getOperand(0).getType());
    computeType = type.isF64() ? type : rewriter.getF32Type();
  }

  Type like(ArrayRef<int64_t> shape, Type element) {
    auto meshTensor = dyn_cast<MeshTensorType>(op->getResult(0).getType());
    if (!meshTensor)
      return RankedTensorType::get(shape, element);
    return MeshTensorType::get(
        rewriter.getContext(), shape, element,
        Layout::open(meshTensor.getLayout().mesh, shape.size()));
  }

  template <typename Op> Value unary(Value x) {
    return Op::create(rewriter, loc, x.getType(), x);
  }
  template <typename Op> Value binary(Value x, Value y) {
    return Op::create(rewriter, loc, x.getType(), x, y);
  }
  Value number(double value, ArrayRef<int64_t> shape) {
    auto type = RankedTensorType::get(shape, computeType);
    return ConstantOp::create(
        rewriter, loc, like(shape, computeType),
        DenseElementsAttr::get(type,
                               rewriter.getFloatAttr(computeType, value)));
  }
  Value numberLike(double value, Value x) { return number(value, shapeOf(x)); }
  /// In the type that formulas compute in: f32, f64 for f64.
  Value widen(Value x) {
    if (getElementTypeOrSelf(x.getType()) == computeType)
      return x;
    return ConvertOp::create(rewriter, loc, like(shapeOf(x), computeType), x);
  }
  Value reduce(dist::ReductionKind kind, Value x, int64_t dim) {
    SmallVector<int64_t> shape(shapeOf(x));
    shape.erase(shape.begin() + dim);
    return ReduceOp::create(
        rewriter, loc, like(shape, computeType),
        dist::ReductionKindAttr::get(rewriter.getContext(), kind), x,
        rewriter.getDenseI64ArrayAttr(dim));
  }
  /// Undoes `reduce`: repeats `x` along `dim` of `shape`.
  Value repeat(Value x, ArrayRef<int64_t> shape, int64_t dim) {
    SmallVector<int64_t> dims;
    for (int64_t d = 0, rank = shape.size(); d < rank; ++d)
      if (d != dim)
        dims.push_back(d);
    return broadcast(x, shape, dims);
  }
  Value broadcast(Value x, ArrayRef<int64_t> shape, ArrayRef<int64_t> dims) {
    return BroadcastOp::create(rewriter, loc,
                               like(shape, getElementTypeOrSelf(x.getType())),
                               x, rewriter.getDenseI64ArrayAttr(dims));
  }
  Value reshape(Value x, ArrayRef<int64_t> shape) {
    if (shapeOf(x) == shape)
      return x;
    return ReshapeOp::create(rewriter, loc,
                             like(shape, getElementTypeOrSelf(x.getType())), x);
  }
  Value transpose(Value x, ArrayRef<int64_t> permutation) {
    SmallVector<int64_t> shape;
    for (int64_t dim : permutation)
      shape.push_back(shapeOf(x)[dim]);
    return TransposeOp::create(rewriter, loc,
                               like(shape, getElementTypeOrSelf(x.getType())),
                               x, rewriter.getDenseI64ArrayAttr(permutation));
  }
  Value contract(Value x, Value y, StringRef spec, ArrayRef<int64_t> shape) {
    return ContractOp::create(rewriter, loc, like(shape, computeType), x, y,
                              rewriter.getStringAttr(spec));
  }
  Value compare(CompareDirection direction, Value x, Value y) {
    return CompareOp::create(
        rewriter, loc, like(shapeOf(x), rewriter.getI1Type()),
        CompareDirectionAttr::get(rewriter.getContext(), direction), x, y);
  }
  Value select(Value predicate, Value onTrue, Value onFalse) {
    return SelectOp::create(rewriter, loc, onTrue.getType(), predicate, onTrue,
                            onFalse);
  }
  Value iota(ArrayRef<int64_t> shape, int64_t dim) {
    return IotaOp::create(rewriter, loc, like(shape, rewriter.getI32Type()),
                          rewriter.getI64IntegerAttr(dim), Value());
  }

  /// Replaces the op by `result`, rounded once to the op's type.
  void finish(Value result) {
    Type type = op->getResult(0).getType();
    if (result.getType() != type)
      // Also where only the layouts differ: converting a type to itself is the
      // identity, and elementwise ops may join layouts.
      result = ConvertOp::create(rewriter, loc, type, result);
    rewriter.replaceOp(op, result);
  }

private:
  Operation *op;
  PatternRewriter &rewriter;
  Location loc;
  Type computeType;
};

constexpr double minusInfinity = -std::numeric_limits<double>::infinity();

void decompose(GeluOp op, FormulaBuilder &f) {
  Value x = f.widen(op.getInput());
  Value inner;
  if (op.getApproximation() == GeluApproximation::none) {
    inner = f.unary<ErfOp>(f.binary<MulOp>(x, f.numberLike(M_SQRT1_2, x)));
  } else {
    // sqrt(2 / pi) (x + 0.044715 x^3)
    Value cube = f.binary<MulOp>(x, f.binary<MulOp>(x, x));
    Value sum =
        f.binary<AddOp>(x, f.binary<MulOp>(cube, f.numberLike(0.044715, x)));
    inner = f.unary<TanhOp>(
        f.binary<MulOp>(sum, f.numberLike(M_2_SQRTPI * M_SQRT1_2, x)));
  }
  Value half = f.binary<MulOp>(x, f.numberLike(0.5, x));
  f.finish(f.binary<MulOp>(half, f.binary<AddOp>(inner, f.numberLike(1, x))));
}

void decompose(SiluOp op, FormulaBuilder &f) {
  Value x = f.widen(op.getInput());
  f.finish(f.binary<MulOp>(x, f.unary<LogisticOp>(x)));
}

void decompose(SoftmaxOp op, FormulaBuilder &f) {
  Value x = f.widen(op.getInput());
  int64_t dim = op.getDim();
  ArrayRef<int64_t> shape = shapeOf(x);
  Value most = f.repeat(f.reduce(dist::ReductionKind::max, x, dim), shape, dim);
  Value weights = f.unary<ExpOp>(f.binary<SubOp>(x, most));
  Value sum =
      f.repeat(f.reduce(dist::ReductionKind::sum, weights, dim), shape, dim);
  f.finish(f.binary<DivOp>(weights, sum));
}

void decompose(LayerNormOp op, FormulaBuilder &f) {
  Value x = f.widen(op.getInput());
  ArrayRef<int64_t> shape = shapeOf(x);
  int64_t last = shape.size() - 1, columns = shape.back();
  auto mean = [&](Value value) {
    Value sum = f.reduce(dist::ReductionKind::sum, value, last);
    return f.binary<DivOp>(sum, f.numberLike(columns, sum));
  };
  Value centred = f.binary<SubOp>(x, f.repeat(mean(x), shape, last));
  Value variance = mean(f.binary<MulOp>(centred, centred));
  Value inverse = f.unary<RsqrtOp>(f.binary<AddOp>(
      variance, f.numberLike(op.getEpsilon().convertToDouble(), variance)));
  Value normal = f.binary<MulOp>(centred, f.repeat(inverse, shape, last));
  Value scale = f.broadcast(f.widen(op.getScale()), shape, {last});
  Value bias = f.broadcast(f.widen(op.getBias()), shape, {last});
  f.finish(f.binary<AddOp>(f.binary<MulOp>(normal, scale), bias));
}

void decompose(RmsNormOp op, FormulaBuilder &f) {
  Value x = f.widen(op.getInput());
  ArrayRef<int64_t> shape = shapeOf(x);
  int64_t last = shape.size() - 1;
  Value sum = f.reduce(dist::ReductionKind::sum, f.binary<MulOp>(x, x), last);
  Value square = f.binary<DivOp>(sum, f.numberLike(shape.back(), sum));
  Value inverse = f.unary<RsqrtOp>(f.binary<AddOp>(
      square, f.numberLike(op.getEpsilon().convertToDouble(), square)));
  Value scale = f.broadcast(f.widen(op.getScale()), shape, {last});
  f.finish(f.binary<MulOp>(f.binary<MulOp>(x, f.repeat(inverse, shape, last)),
                           scale));
}

/// Scores [B,K,G,S,T]: G query heads share each of K key heads.
void decompose(AttentionOp op, FormulaBuilder &f) {
  ArrayRef<int64_t> q = shapeOf(op.getQuery()), k = shapeOf(op.getKey());
  int64_t batch = q[0], queries = q[1], heads = q[2], keys = k[1],
          groups = k[2], perGroup = heads / groups,
          valueSize = shapeOf(op.getValue())[3];
  SmallVector<int64_t> shape = {batch, groups, perGroup, queries, keys};
  SmallVector<int64_t> rows(ArrayRef<int64_t>(shape).drop_back());

  Value query = f.reshape(f.widen(op.getQuery()),
                          {batch, queries, groups, perGroup, q[3]});
  Value scores =
      f.contract(query, f.widen(op.getKey()), "bskgd,btkd->bkgst", shape);
  scores = f.binary<MulOp>(
      scores, f.numberLike(op.getScale().convertToDouble(), scores));
  if (Value bias = op.getBias()) {
    bias =
        f.broadcast(f.widen(bias), {batch, heads, queries, keys}, {0, 1, 2, 3});
    scores = f.binary<AddOp>(scores, f.reshape(bias, shape));
  }
  Value masked = f.number(minusInfinity, shape);
  if (op.getCausal()) {
    // Key t is visible to query s where t - s <= T - S.
    Value distance = f.binary<SubOp>(f.iota(shape, 4), f.iota(shape, 3));
    Value visible = f.compare(CompareDirection::le, f.widen(distance),
                              f.number(keys - queries, shape));
    scores = f.select(visible, scores, masked);
  }
  // A row without a visible key has the largest score -inf, and gives 0
  // whatever its weights and the values are.
  Value most = f.reduce(dist::ReductionKind::max, scores, 4);
  Value isEmpty =
      f.compare(CompareDirection::eq, most, f.number(minusInfinity, rows));
  Value weights =
      f.unary<ExpOp>(f.binary<SubOp>(scores, f.repeat(most, shape, 4)));
  Value sum = f.reduce(dist::ReductionKind::sum, weights, 4);
  weights = f.binary<DivOp>(weights, f.repeat(sum, shape, 4));
  SmallVector<int64_t> sums = {batch, groups, perGroup, queries, valueSize};
  Value result =
      f.contract(weights, f.widen(op.getValue()), "bkgst,btke->bkgse", sums);
  result = f.select(f.repeat(isEmpty, sums, 4), f.number(0, sums), result);
  result = f.transpose(result, {0, 3, 1, 2, 4});
  f.finish(f.reshape(result, {batch, queries, heads, valueSize}));
}

template <typename Op> struct Decompose : OpRewritePattern<Op> {
  Decompose(MLIRContext *context, int64_t above, bool onlyMarked)
      : OpRewritePattern<Op>(context), above(above), onlyMarked(onlyMarked) {}

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    if (onlyMarked && !op->hasAttr(expandAttrName))
      return rewriter.notifyMatchFailure(op, "not marked");
    int64_t whole = op.getWholeElements();
    if (whole != 0 && above > 0 && whole <= above)
      return rewriter.notifyMatchFailure(op, "small enough for one kernel");
    FormulaBuilder builder(op, rewriter);
    decompose(op, builder);
    return success();
  }

private:
  int64_t above; ///< 0: all are written out.
  bool onlyMarked;
};

struct DecomposeOpsPass : tessera::impl::DecomposeOpsBase<DecomposeOpsPass> {
  using DecomposeOpsBase::DecomposeOpsBase;

  void runOnOperation() override {
    if (failed(verifyRegionsAreKnown(getOperation(), getArgument())))
      return signalPassFailure();
    RewritePatternSet patterns(&getContext());
    SmallVector<StringRef> known;
    addIfWanted<AttentionOp, GeluOp, LayerNormOp, RmsNormOp, SiluOp, SoftmaxOp>(
        patterns, known);
    for (const std::string &name : ops)
      if (!llvm::is_contained(known, name)) {
        getOperation()->emitError()
            << "tessera-decompose-ops knows no op '" << name << "'; it knows "
            << llvm::join(known, ", ");
        return signalPassFailure();
      }
    // No folding: the program keeps what it has but the wanted ops.
    GreedyRewriteConfig config;
    config.enableFolding(false).enableConstantCSE(false);
    if (failed(
            applyPatternsGreedily(getOperation(), std::move(patterns), config)))
      signalPassFailure();
  }

private:
  template <typename... Ops>
  void addIfWanted(RewritePatternSet &patterns, SmallVector<StringRef> &known) {
    auto add = [&](auto addPattern, StringRef fullName) {
      StringRef name = fullName.substr(fullName.find('.') + 1);
      known.push_back(name);
      if (ops.empty() || llvm::is_contained(ops, name))
        addPattern();
    };
    (add(
         [&] {
           patterns.add<Decompose<Ops>>(
               &getContext(),
               std::is_same_v<Ops, AttentionOp> ? headsAbove : rowsAbove,
               onlyMarked);
         },
         Ops::getOperationName()),
     ...);
  }
};

} // namespace
