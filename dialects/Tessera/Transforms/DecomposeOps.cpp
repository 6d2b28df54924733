// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/FormulaBuilder.h"
#include "dialects/Tessera/Transforms/Passes.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include <limits>

namespace tessera {
#define GEN_PASS_DEF_DECOMPOSEOPS
#include "dialects/Tessera/Transforms/Passes.h.inc"
} // namespace tessera

using namespace mlir;
using namespace tessera;

namespace {

/// Writes the formula that replaces an op, in f32, or f64 for f64.
class OpFormula : public FormulaBuilder {
public:
  OpFormula(Operation *op, PatternRewriter &rewriter)
      : FormulaBuilder(rewriter, op->getLoc(), op->getResult(0).getType()),
        op(op), rewriter(rewriter) {
    Type type = getElementTypeOrSelf(op->getOperand(0).getType());
    computeType = type.isF64() ? type : rewriter.getF32Type();
  }

  /// In the type that formulas compute in.
  Value widen(Value x) { return convert(x, computeType); }
  Value wideNumber(double value, ArrayRef<int64_t> shape) {
    return number(value, shape, computeType);
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
  Type computeType;
};

constexpr double minusInfinity = -std::numeric_limits<double>::infinity();

void decompose(GeluOp op, OpFormula &f) {
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
  f.finish(f.create<MulOp>(half, f.create<AddOp>(inner, f.numberLike(1, x))));
}

void decompose(SiluOp op, OpFormula &f) {
  Value x = f.widen(op.getInput());
  f.finish(f.create<MulOp>(x, f.create<LogisticOp>(x)));
}

void decompose(SoftmaxOp op, OpFormula &f) {
  Value x = f.widen(op.getInput());
  int64_t dim = op.getDim();
  ArrayRef<int64_t> shape = shapeOf(x);
  Value most = f.repeat(f.reduce(dist::ReductionKind::max, x, dim), shape, dim);
  Value weights = f.create<ExpOp>(f.create<SubOp>(x, most));
  Value sum =
      f.repeat(f.reduce(dist::ReductionKind::sum, weights, dim), shape, dim);
  f.finish(f.create<DivOp>(weights, sum));
}

void decompose(LayerNormOp op, OpFormula &f) {
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
  f.finish(f.create<AddOp>(f.create<MulOp>(normal, scale), bias));
}

void decompose(RmsNormOp op, OpFormula &f) {
  Value x = f.widen(op.getInput());
  ArrayRef<int64_t> shape = shapeOf(x);
  int64_t last = shape.size() - 1;
  Value sum = f.reduce(dist::ReductionKind::sum, f.create<MulOp>(x, x), last);
  Value square = f.create<DivOp>(sum, f.numberLike(shape.back(), sum));
  Value inverse = f.create<RsqrtOp>(f.create<AddOp>(
      square, f.numberLike(op.getEpsilon().convertToDouble(), square)));
  Value scale = f.broadcast(f.widen(op.getScale()), shape, {last});
  f.finish(f.create<MulOp>(f.create<MulOp>(x, f.repeat(inverse, shape, last)),
                           scale));
}

/// Scores [B,K,G,S,T]: G query heads share each of K key heads.
void decompose(AttentionOp op, OpFormula &f) {
  ArrayRef<int64_t> q = shapeOf(op.getQuery()), k = shapeOf(op.getKey());
  int64_t batch = q[0], queries = q[1], heads = q[2], keys = k[1],
          groups = k[2], perGroup = heads / groups,
          valueSize = shapeOf(op.getValue())[3];
  SmallVector<int64_t> shape = {batch, groups, perGroup, queries, keys};
  SmallVector<int64_t> rows(ArrayRef<int64_t>(shape).drop_back());

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
  Value masked = f.wideNumber(minusInfinity, shape);
  if (op.getCausal()) {
    // Key t is visible to query s where t - s <= T - S.
    Value distance = f.create<SubOp>(f.iota(shape, 4), f.iota(shape, 3));
    Value visible = f.compare(CompareDirection::le, f.widen(distance),
                              f.wideNumber(keys - queries, shape));
    scores = f.select(visible, scores, masked);
  }
  // A row without a visible key has the largest score -inf, and gives 0
  // whatever its weights and the values are.
  Value most = f.reduce(dist::ReductionKind::max, scores, 4);
  Value isEmpty =
      f.compare(CompareDirection::eq, most, f.wideNumber(minusInfinity, rows));
  Value weights =
      f.create<ExpOp>(f.create<SubOp>(scores, f.repeat(most, shape, 4)));
  Value sum = f.reduce(dist::ReductionKind::sum, weights, 4);
  weights = f.create<DivOp>(weights, f.repeat(sum, shape, 4));
  SmallVector<int64_t> sums = {batch, groups, perGroup, queries, valueSize};
  Value result =
      f.contract(weights, f.widen(op.getValue()), "bkgst,btke->bkgse");
  result = f.select(f.repeat(isEmpty, sums, 4), f.wideNumber(0, sums), result);
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
    // Blocks compute in f32, or in f64, which takes twice the memory.
    if (getElementTypeOrSelf(op->getResult(0).getType()).isF64())
      whole *= 2;
    if (whole != 0 && above > 0 && whole <= above)
      return rewriter.notifyMatchFailure(op, "small enough for one kernel");
    OpFormula formula(op, rewriter);
    decompose(op, formula);
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
