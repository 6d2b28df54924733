// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "WhyMerging.h"
#include "tessera/Transforms/Passes.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace tessera {
#define GEN_PASS_DEF_SIMPLIFYCOLLECTIVES
#include "lib/Transforms/Passes.h.inc"

using namespace dist;

namespace {

bool haveSameAxes(AxesAttr a, AxesAttr b) {
  std::vector<AxisRef> left = a.getValue(), right = b.getValue();
  llvm::sort(left);
  llvm::sort(right);
  return left == right;
}

/// Whether `op`, which `user` would take the place of, runs as often: a loop
/// around `user` alone would communicate in every iteration.
bool runsAsOften(Operation *op, Operation *user) {
  return op->getBlock() == user->getBlock();
}

bool isPartOf(const AxisRef &axis, AxesAttr axes) {
  return llvm::is_contained(axes.getValue(), axis);
}

/// Drops axes of size 1; a collective without axes left is its input.
template <typename CollectiveOp>
struct DropUnitAxes : OpRewritePattern<CollectiveOp> {
  using OpRewritePattern<CollectiveOp>::OpRewritePattern;
  LogicalResult matchAndRewrite(CollectiveOp op,
                                PatternRewriter &rewriter) const override {
    std::optional<Mesh> mesh = lookupMesh(op, op.getMesh());
    if (!mesh)
      return rewriter.notifyMatchFailure(op, "its mesh is unknown");
    std::vector<AxisRef> kept = withoutUnits(op.getAxes().getValue(), *mesh);
    if (kept.size() == op.getAxes().getValue().size())
      return rewriter.notifyMatchFailure(op, "every axis has several devices");
    if (kept.empty())
      rewriter.replaceOp(op, op.getInput());
    else
      rewriter.modifyOpInPlace(
          op, [&] { op.setAxesAttr(AxesAttr::get(op.getContext(), kept)); });
    return success();
  }
};

/// `to` belongs to the phase of what it stands for, if that is of one.
static void keepPhase(Operation *to, ArrayRef<Operation *> from) {
  Attribute phase;
  for (Operation *op : from) {
    Attribute own = op->getAttr(TesseraDialect::phaseAttrName);
    if (phase && own && phase != own)
      return;
    phase = own ? own : phase;
  }
  if (phase)
    to->setAttr(TesseraDialect::phaseAttrName, phase);
}

/// all_slice(all_reduce(x)) -> reduce_scatter(x), then an all_reduce over the
/// axes that are not cut.
struct SliceOfAllReduce : OpRewritePattern<AllSliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(AllSliceOp op,
                                PatternRewriter &rewriter) const override {
    auto reduce = op.getInput().getDefiningOp<AllReduceOp>();
    if (!reduce || !reduce->hasOneUse() || !runsAsOften(reduce, op) ||
        reduce.getMeshAttr() != op.getMeshAttr())
      return rewriter.notifyMatchFailure(op, "not of an all_reduce's one use");
    for (const AxisRef &axis : op.getAxes().getValue())
      if (!isPartOf(axis, reduce.getAxes()))
        return rewriter.notifyMatchFailure(op, "cuts along other axes");
    std::optional<Mesh> mesh = lookupMesh(op, op.getMesh());
    if (!mesh)
      return rewriter.notifyMatchFailure(op, "its mesh is unknown");
    std::vector<AxisRef> rest;
    for (const AxisRef &axis : reduce.getAxes().getValue())
      if (!isPartOf(axis, op.getAxes()))
        rest.push_back(axis);
    Location loc = rewriter.getFusedLoc({reduce.getLoc(), op.getLoc()});
    WhyAttr whys[] = {reduce.getWhyAttr(), op.getWhyAttr()};
    Value value = ReduceScatterOp::create(
        rewriter, loc, op.getType(), reduce.getInput(), reduce.getKindAttr(),
        op.getDimAttr(), op.getMeshAttr(), op.getAxes(),
        mergeWhys(whys, CollectiveKind::ReduceScatter, op.getAxes(),
                  reduce.getInput(), *mesh));
    keepPhase(value.getDefiningOp(), {reduce, op});
    if (!rest.empty()) {
      auto axes = AxesAttr::get(op.getContext(), rest);
      value = AllReduceOp::create(rewriter, loc, op.getType(), value,
                                  reduce.getKindAttr(), op.getMeshAttr(), axes,
                                  mergeWhys(reduce.getWhyAttr(),
                                            CollectiveKind::AllReduce, axes,
                                            value, *mesh));
      keepPhase(value.getDefiningOp(), {reduce, op});
    }
    rewriter.replaceOp(op, value);
    return success();
  }
};

/// Two opposite collectives along the same axes of one dimension. Padding may
/// change, which has no specified value. Gathering what was sliced relies on
/// the slice's contract: its group holds the input whole.
template <typename OuterOp, typename InnerOp>
struct CancelInverse : OpRewritePattern<OuterOp> {
  using OpRewritePattern<OuterOp>::OpRewritePattern;
  LogicalResult matchAndRewrite(OuterOp op,
                                PatternRewriter &rewriter) const override {
    auto inner = op.getInput().template getDefiningOp<InnerOp>();
    if (!inner || inner.getDim() != op.getDim() ||
        inner.getAxes() != op.getAxes() ||
        inner.getMeshAttr() != op.getMeshAttr() ||
        inner.getInput().getType() != op.getType())
      return rewriter.notifyMatchFailure(op, "its input does not undo it");
    rewriter.replaceOp(op, inner.getInput());
    return success();
  }
};

/// op(all_reduce(x), all_reduce(y)) -> all_reduce(op(x, y)).
template <typename CombineOp, ReductionKind kind>
struct CombineAllReduces : OpRewritePattern<CombineOp> {
  using OpRewritePattern<CombineOp>::OpRewritePattern;
  LogicalResult matchAndRewrite(CombineOp op,
                                PatternRewriter &rewriter) const override {
    auto lhs = op.getLhs().template getDefiningOp<AllReduceOp>();
    auto rhs = op.getRhs().template getDefiningOp<AllReduceOp>();
    if (!lhs || !rhs || lhs == rhs || !lhs->hasOneUse() || !rhs->hasOneUse() ||
        !runsAsOften(lhs, op) || !runsAsOften(rhs, op) ||
        lhs.getKind() != kind || rhs.getKind() != kind ||
        lhs.getMeshAttr() != rhs.getMeshAttr() ||
        !haveSameAxes(lhs.getAxes(), rhs.getAxes()))
      return rewriter.notifyMatchFailure(op, "not of two alike all_reduces");
    std::optional<Mesh> mesh = lookupMesh(op, lhs.getMesh());
    if (!mesh)
      return rewriter.notifyMatchFailure(op, "their mesh is unknown");
    Value terms = CombineOp::create(rewriter, op.getLoc(), op.getType(),
                                    lhs.getInput(), rhs.getInput());
    keepPhase(terms.getDefiningOp(), op.getOperation());
    Location loc = rewriter.getFusedLoc({lhs.getLoc(), rhs.getLoc()});
    auto reduced = AllReduceOp::create(
        rewriter, loc, op.getType(), terms, lhs.getKindAttr(),
        lhs.getMeshAttr(), lhs.getAxes(),
        mergeWhys({lhs.getWhyAttr(), rhs.getWhyAttr()},
                  CollectiveKind::AllReduce, lhs.getAxes(), terms, *mesh));
    keepPhase(reduced, {lhs, rhs});
    rewriter.replaceOp(op, reduced);
    return success();
  }
};

/// all_reduce(all_reduce(x)) of one kind -> one over the axes of both.
struct AllReduceOfAllReduce : OpRewritePattern<AllReduceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(AllReduceOp op,
                                PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<AllReduceOp>();
    if (!inner || !inner->hasOneUse() || !runsAsOften(inner, op) ||
        inner.getKind() != op.getKind() ||
        inner.getMeshAttr() != op.getMeshAttr())
      return rewriter.notifyMatchFailure(op, "not of an alike all_reduce");
    std::optional<Mesh> mesh = lookupMesh(op, op.getMesh());
    if (!mesh)
      return rewriter.notifyMatchFailure(op, "its mesh is unknown");
    std::vector<AxisRef> all = inner.getAxes().getValue();
    llvm::append_range(all, op.getAxes().getValue());
    if (findAxesError(all, *mesh))
      return rewriter.notifyMatchFailure(op, "they share an axis");
    auto axes = AxesAttr::get(op.getContext(), all);
    rewriter.modifyOpInPlace(op, [&] {
      op.setWhyAttr(mergeWhys({inner.getWhyAttr(), op.getWhyAttr()},
                              CollectiveKind::AllReduce, axes, inner.getInput(),
                              *mesh));
      op->setLoc(rewriter.getFusedLoc({inner.getLoc(), op.getLoc()}));
      op.setAxesAttr(axes);
      op.getInputMutable().assign(inner.getInput());
    });
    return success();
  }
};

/// Composes permutations; the one that moves nothing is its input.
struct SimplifyPermute : OpRewritePattern<PermuteOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PermuteOp op,
                                PatternRewriter &rewriter) const override {
    std::optional<Mesh> mesh = lookupMesh(op, op.getMesh());
    if (!mesh)
      return rewriter.notifyMatchFailure(op, "its mesh is unknown");
    if (movesNothing(op, *mesh)) {
      rewriter.replaceOp(op, op.getInput());
      return success();
    }
    auto inner = op.getInput().getDefiningOp<PermuteOp>();
    if (!inner || !inner->hasOneUse() || !runsAsOften(inner, op) ||
        inner.getMeshAttr() != op.getMeshAttr())
      return rewriter.notifyMatchFailure(op, "not of a permute's one use");
    if (inner.getFrom() && op.getFrom() && inner.getTo() != op.getFrom())
      return rewriter.notifyMatchFailure(op, "other axes than the first one's");
    rewriter.modifyOpInPlace(op, [&] {
      op.setWhyAttr(mergeWhys(op.getWhyAttr(), inner.getWhyAttr()));
      if (inner.getFrom() && op.getFrom()) {
        op.setFromAttr(inner.getFromAttr());
      } else {
        std::vector<int64_t> targets = op.getTargetsOn(*mesh), composed;
        for (int64_t between : inner.getTargetsOn(*mesh))
          composed.push_back(targets[between]);
        op.removeFromAttr();
        op.removeToAttr();
        op.setTargets(composed);
      }
      op.getInputMutable().assign(inner.getInput());
    });
    return success();
  }

private:
  static bool movesNothing(PermuteOp op, const Mesh &mesh) {
    if (op.getFrom())
      return normalise(withoutUnits(op.getFromAttr().getValue(), mesh), mesh) ==
             normalise(withoutUnits(op.getToAttr().getValue(), mesh), mesh);
    for (auto [device, target] : llvm::enumerate(*op.getTargets()))
      if (target != static_cast<int64_t>(device))
        return false;
    return true;
  }
};

struct SimplifyCollectivesPass
    : impl::SimplifyCollectivesBase<SimplifyCollectivesPass> {
  void runOnOperation() override {
    if (failed(verifyRegionsAreKnown(getOperation(), getArgument())))
      return signalPassFailure();
    RewritePatternSet patterns(&getContext());
    patterns.add<DropUnitAxes<AllReduceOp>, DropUnitAxes<AllGatherOp>,
                 DropUnitAxes<AllSliceOp>, DropUnitAxes<ReduceScatterOp>,
                 DropUnitAxes<AllToAllOp>, SliceOfAllReduce,
                 CancelInverse<AllSliceOp, AllGatherOp>,
                 CancelInverse<AllGatherOp, AllSliceOp>,
                 CombineAllReduces<AddOp, ReductionKind::sum>,
                 CombineAllReduces<MaxOp, ReductionKind::max>,
                 CombineAllReduces<MinOp, ReductionKind::min>,
                 AllReduceOfAllReduce, SimplifyPermute>(&getContext());
    FrozenRewritePatternSet frozen(std::move(patterns));
    // Sharing first: an all-reduce that has another use is not rewritten, which
    // must be seen.
    shareEqual();
    do {
      if (failed(applyPatternsGreedily(getOperation(), frozen)))
        return signalPassFailure();
    } while (shareEqual());
  }

  /// Equal collectives of one value in a block become the first of them. True
  /// when there were any.
  bool shareEqual() {
    bool changed = false;
    getOperation()->walk([&](Block *block) {
      llvm::DenseMap<Value, SmallVector<Operation *>> collectives;
      for (Operation &op : llvm::make_early_inc_range(*block)) {
        if (!getCollectiveKind(&op))
          continue;
        SmallVector<Operation *> &known = collectives[op.getOperand(0)];
        auto *equal = llvm::find_if(
            known, [&](Operation *other) { return isEqual(&op, other); });
        if (equal == known.end()) {
          known.push_back(&op);
          continue;
        }
        WhyAttr why = mergeWhys(whyOf(*equal), whyOf(&op));
        if (why)
          (*equal)->setAttr(whyName, why);
        op.replaceAllUsesWith(*equal);
        op.erase();
        changed = true;
      }
    });
    return changed;
  }

  static constexpr StringLiteral whyName = "why";

  static WhyAttr whyOf(Operation *op) {
    return dyn_cast_or_null<WhyAttr>(op->getAttr(whyName));
  }

  /// All but the reasons are the same.
  static bool isEqual(Operation *a, Operation *b) {
    if (a->getName() != b->getName() ||
        a->getResultTypes() != b->getResultTypes())
      return false;
    auto withoutWhy = [](Operation *op) {
      NamedAttrList attrs(op->getAttrDictionary());
      attrs.erase(whyName);
      return attrs.getDictionary(op->getContext());
    };
    return withoutWhy(a) == withoutWhy(b);
  }
};

} // namespace
} // namespace tessera
