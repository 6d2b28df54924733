// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/OpFormulas.h"
#include "dialects/Tessera/Transforms/Passes.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace tessera {
#define GEN_PASS_DEF_DECOMPOSEOPS
#include "dialects/Tessera/Transforms/Passes.h.inc"
} // namespace tessera

using namespace mlir;
using namespace tessera;

namespace {

/// Whether a block of the op's kernel holds whole heads, not rows.
template <typename Op>
constexpr bool holdsHeads = std::is_same_v<Op, AttentionOp> ||
                            std::is_same_v<Op, AttentionGradientOp> ||
                            std::is_same_v<Op, AttentionLogsumexpOp>;

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
    rewriter.replaceOp(op, writeFormula(op, rewriter));
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
    addIfWanted<AttentionOp, AttentionGradientOp, AttentionLogsumexpOp,
                CrossEntropyOp, GeluOp, LayerNormOp, LogsumexpOp, NormTangentOp,
                RmsNormOp, SiluOp, SoftmaxOp>(patterns, known);
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
               &getContext(), holdsHeads<Ops> ? headsAbove : rowsAbove,
               onlyMarked);
         },
         Ops::getOperationName()),
     ...);
  }
};

} // namespace
