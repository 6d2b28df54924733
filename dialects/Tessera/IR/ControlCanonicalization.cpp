// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Loops and conditionals without what nothing needs: carried values, sequences
// and results that are unused, carried values that never change, loops that
// never run, branches that are never taken.
#include "Folding.h"

#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/BitVector.h"

using namespace mlir;
using namespace tessera;

namespace {
/// What a block needs to compute some of what it yields.
struct Liveness {
  llvm::DenseSet<Operation *> ops;
  llvm::DenseSet<Value> values;

  bool isLive(Value value) const { return values.contains(value); }
};
} // namespace

/// `needed` has a bit per operand of the block's terminator.
static Liveness findLive(Block &block, const llvm::BitVector &needed) {
  Liveness live;
  for (unsigned i : needed.set_bits())
    live.values.insert(block.getTerminator()->getOperand(i));
  for (Operation &op : llvm::reverse(block.without_terminator())) {
    bool isNeeded = !wouldOpBeTriviallyDead(&op) ||
                    llvm::any_of(op.getResults(), [&](Value result) {
                      return live.isLive(result);
                    });
    if (!isNeeded)
      continue;
    live.ops.insert(&op);
    live.values.insert(op.operand_begin(), op.operand_end());
    llvm::SetVector<Value> captured;
    getUsedValuesDefinedAbove(op.getRegions(), captured);
    live.values.insert(captured.begin(), captured.end());
  }
  return live;
}

/// Erases what `live` does not hold of a block whose terminator keeps the
/// `needed` operands.
static void eraseDead(RewriterBase &rewriter, Block &block,
                      const Liveness &live, const llvm::BitVector &needed) {
  Operation *yield = block.getTerminator();
  rewriter.modifyOpInPlace(yield, [&] {
    llvm::BitVector dropped = needed;
    yield->eraseOperands(dropped.flip());
  });
  SmallVector<Operation *> dead;
  for (Operation &op : block.without_terminator())
    if (!live.ops.contains(&op))
      dead.push_back(&op);
  for (Operation *op : llvm::reverse(dead))
    rewriter.eraseOp(op);
}

/// The elements of `range` whose bit is set, of those that begin at `offset`.
template <typename Range>
static auto keep(const Range &range, const llvm::BitVector &bits,
                 unsigned offset = 0) {
  SmallVector<std::decay_t<decltype(*range.begin())>> kept;
  for (auto [i, value] : llvm::enumerate(range))
    if (bits[offset + i])
      kept.push_back(value);
  return kept;
}

/// Results of the op that replaces `op`, at the places of those that it kept.
static SmallVector<Value> atTheirPlaces(ValueRange kept,
                                        const llvm::BitVector &bits) {
  SmallVector<Value> values(bits.size());
  unsigned next = 0;
  for (unsigned i : bits.set_bits())
    values[i] = kept[next++];
  return values;
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

/// Whether all ends have one type, and what is yielded is what came in.
static bool isUnchanged(const DataFlowEdge &edge) {
  Value init = edge.sources.front()->get();
  Value yielded = edge.sources.back()->get();
  auto isSame = [&](Value end) { return end.getType() == init.getType(); };
  auto isUsed = [](Value end) { return !end.use_empty(); };
  return llvm::all_of(edge.targets, isSame) &&
         llvm::any_of(edge.targets, isUsed) &&
         (yielded == init || llvm::is_contained(edge.targets, yielded));
}

bool tessera::captureUnchanged(DataFlowInterface loop, RewriterBase &rewriter) {
  bool changed = false;
  for (const DataFlowEdge &edge : loop.getDataFlowEdges()) {
    if (edge.kind != DataFlowEdge::Kind::Carried || !isUnchanged(edge))
      continue;
    for (Value target : edge.targets)
      rewriter.replaceAllUsesWith(target, edge.sources.front()->get());
    changed = true;
  }
  return changed;
}

namespace {
template <typename LoopOp> struct CaptureUnchanged : OpRewritePattern<LoopOp> {
  using OpRewritePattern<LoopOp>::OpRewritePattern;
  LogicalResult matchAndRewrite(LoopOp op,
                                PatternRewriter &rewriter) const override {
    return success(captureUnchanged(op, rewriter));
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// scan
//===----------------------------------------------------------------------===//

namespace {
/// A loop that never runs gives its initial values.
struct FoldScanWithoutIterations : OpRewritePattern<ScanOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ScanOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getLength() != 0)
      return rewriter.notifyMatchFailure(op, "runs");
    if (op.getResultTypes() != op.getInits().getTypes())
      return rewriter.notifyMatchFailure(op, "changes a layout");
    rewriter.replaceOp(op, op.getInits());
    return success();
  }
};

/// Carried values, sequences and stacked results that nothing needs are gone.
struct DropUnusedOfScan : OpRewritePattern<ScanOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ScanOp op,
                                PatternRewriter &rewriter) const override {
    unsigned numCarried = op.getNumCarried();
    llvm::BitVector results(op.getNumResults());
    for (OpResult result : op.getResults())
      results[result.getResultNumber()] = !result.use_empty();
    // A carried value is needed too where a needed one is computed from it.
    Liveness live;
    bool changed = true;
    while (changed) {
      changed = false;
      live = findLive(op.getBlock(), results);
      for (unsigned i = 0; i < numCarried; ++i)
        if (!results[i] && live.isLive(op.getCarried(i)))
          results[i] = changed = true;
    }
    llvm::BitVector sequences(op.getSequences().size());
    for (unsigned i = 0; i < sequences.size(); ++i)
      sequences[i] = live.isLive(op.getSlice(i));
    if (results.all() && sequences.all())
      return rewriter.notifyMatchFailure(op, "all of it is used");

    auto made = ScanOp::create(
        rewriter, op.getLoc(), keep(op.getResultTypes(), results),
        keep(op.getInits(), results), keep(op.getSequences(), sequences),
        op.getLength(), op.getReverse());
    made->setDiscardableAttrs(op->getDiscardableAttrDictionary());
    llvm::BitVector arguments(op.getBlock().getNumArguments());
    for (unsigned i = 0; i < numCarried; ++i)
      arguments[1 + i] = !results[i];
    for (unsigned i = 0; i < sequences.size(); ++i)
      arguments[1 + numCarried + i] = !sequences[i];
    eraseDead(rewriter, op.getBlock(), live, results);
    rewriter.inlineRegionBefore(op.getBody(), made.getBody(),
                                made.getBody().end());
    rewriter.modifyOpInPlace(
        made, [&] { made.getBlock().eraseArguments(arguments); });
    rewriter.replaceOp(op, atTheirPlaces(made.getResults(), results));
    return success();
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// while
//===----------------------------------------------------------------------===//

namespace {
/// A condition that is constantly false: the loop gives its initial values.
struct FoldWhileWithoutIterations : OpRewritePattern<WhileOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(WhileOp op,
                                PatternRewriter &rewriter) const override {
    DenseElementsAttr predicate;
    if (!matchPattern(op.getConditionYield()->getOperand(0),
                      m_Constant(&predicate)) ||
        predicate.getSplatValue<bool>())
      return rewriter.notifyMatchFailure(op, "may run");
    if (op.getResultTypes() != op.getInits().getTypes())
      return rewriter.notifyMatchFailure(op, "changes a layout");
    rewriter.replaceOp(op, op.getInits());
    return success();
  }
};

/// Carried values that neither the predicate nor a used result needs are gone.
struct DropUnusedOfWhile : OpRewritePattern<WhileOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(WhileOp op,
                                PatternRewriter &rewriter) const override {
    Block &condition = op.getCondition().front(), &body = op.getBody().front();
    llvm::BitVector predicate(1, true), carried(op.getNumResults());
    Liveness inCondition = findLive(condition, predicate), inBody;
    for (unsigned i = 0; i < carried.size(); ++i)
      carried[i] = !op.getResult(i).use_empty() ||
                   inCondition.isLive(condition.getArgument(i));
    bool changed = true;
    while (changed) {
      changed = false;
      inBody = findLive(body, carried);
      for (unsigned i = 0; i < carried.size(); ++i)
        if (!carried[i] && inBody.isLive(body.getArgument(i)))
          carried[i] = changed = true;
    }
    if (carried.all())
      return rewriter.notifyMatchFailure(op, "all of it is used");

    auto made = WhileOp::create(rewriter, op.getLoc(),
                                keep(op.getResultTypes(), carried),
                                keep(op.getInits(), carried));
    made->setDiscardableAttrs(op->getDiscardableAttrDictionary());
    llvm::BitVector dropped = carried;
    dropped.flip();
    eraseDead(rewriter, condition, inCondition, predicate);
    eraseDead(rewriter, body, inBody, carried);
    for (auto regions : {std::pair(&op.getCondition(), &made.getCondition()),
                         std::pair(&op.getBody(), &made.getBody())}) {
      Region &to = *regions.second;
      rewriter.inlineRegionBefore(*regions.first, to, to.end());
      rewriter.modifyOpInPlace(made,
                               [&] { to.front().eraseArguments(dropped); });
    }
    rewriter.replaceOp(op, atTheirPlaces(made.getResults(), carried));
    return success();
  }
};

//===----------------------------------------------------------------------===//
// cond
//===----------------------------------------------------------------------===//

/// With a constant selector the branch stands in the op's place.
struct InlineKnownBranch : OpRewritePattern<CondOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CondOp op,
                                PatternRewriter &rewriter) const override {
    DenseElementsAttr selector;
    if (op.getBranches().size() > 1 &&
        !matchPattern(op.getSelector(), m_Constant(&selector)))
      return rewriter.notifyMatchFailure(op, "its selector is not constant");
    int64_t last = op.getBranches().size() - 1, branch = 0;
    if (selector) {
      APInt value = selector.getSplatValue<APInt>();
      branch =
          std::clamp<int64_t>(value.getBitWidth() == 1 ? value.getZExtValue()
                                                       : value.getSExtValue(),
                              0, last);
    }
    Block &block = op.getBranches()[branch].front();
    Operation *yield = block.getTerminator();
    if (yield->getOperandTypes() != op.getResultTypes())
      return rewriter.notifyMatchFailure(op, "changes a layout");
    SmallVector<Value> results(yield->getOperands());
    rewriter.eraseOp(yield);
    rewriter.inlineBlockBefore(&block, op);
    rewriter.replaceOp(op, results);
    return success();
  }
};

/// A result that every branch takes from outside alike is that value.
struct ForwardCommonResult : OpRewritePattern<CondOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CondOp op,
                                PatternRewriter &rewriter) const override {
    bool changed = false;
    for (const DataFlowEdge &edge : op.getDataFlowEdges()) {
      Value result = edge.targets.front();
      Value common = edge.sources.front()->get();
      bool isCommon = llvm::all_of(edge.sources, [&](OpOperand *source) {
        return source->get() == common;
      });
      if (!isCommon || result.use_empty() ||
          result.getType() != common.getType() ||
          op->isProperAncestor(common.getParentBlock()->getParentOp()) ||
          common.getParentBlock()->getParentOp() == op)
        continue;
      rewriter.replaceAllUsesWith(result, common);
      changed = true;
    }
    return success(changed);
  }
};

struct DropUnusedOfCond : OpRewritePattern<CondOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CondOp op,
                                PatternRewriter &rewriter) const override {
    llvm::BitVector results(op.getNumResults());
    for (OpResult result : op.getResults())
      results[result.getResultNumber()] = !result.use_empty();
    if (results.all())
      return rewriter.notifyMatchFailure(op, "all of it is used");
    auto made = CondOp::create(rewriter, op.getLoc(),
                               keep(op.getResultTypes(), results),
                               op.getSelector(), op.getBranches().size());
    made->setDiscardableAttrs(op->getDiscardableAttrDictionary());
    for (auto [from, to] :
         llvm::zip_equal(op.getBranches(), made.getBranches())) {
      eraseDead(rewriter, from.front(), findLive(from.front(), results),
                results);
      rewriter.inlineRegionBefore(from, to, to.end());
    }
    rewriter.replaceOp(op, atTheirPlaces(made.getResults(), results));
    return success();
  }
};
} // namespace

void tessera::addControlCanonicalizations(RewritePatternSet &patterns) {
  patterns.add<FoldScanWithoutIterations, CaptureUnchanged<ScanOp>,
               DropUnusedOfScan, FoldWhileWithoutIterations,
               CaptureUnchanged<WhileOp>, DropUnusedOfWhile, InlineKnownBranch,
               ForwardCommonResult, DropUnusedOfCond>(patterns.getContext());
}
