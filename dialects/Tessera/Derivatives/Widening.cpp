// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Widening.h"

#include "Residuals.h"
#include "dialects/Tessera/IR/FormulaBuilder.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::derivatives;

static bool isFloat(Value value) {
  return isa<FloatType>(getElementTypeOrSelf(value.getType()));
}

/// The operands through which a gradient reaches the only result of `op`, which
/// may compute in another type: of all else that is a float it takes the value.
static SmallVector<OpOperand *> termsOf(Operation *op) {
  auto operands = [&](ArrayRef<unsigned> numbers) {
    return llvm::map_to_vector(
        numbers, [&](unsigned i) { return &op->getOpOperand(i); });
  };
  if (isa<NegOp, ReshapeOp, TransposeOp, BroadcastOp, SliceOp, PadOp,
          ConstrainOp, DynamicSliceOp, GatherOp, MulOp, DivOp>(op))
    return operands(0);
  if (isa<AddOp, SubOp>(op))
    return operands({0, 1});
  if (isa<SelectOp>(op))
    return operands({1, 2});
  bool isSum = true;
  if (auto reduce = dyn_cast<ReduceOp>(op))
    isSum = reduce.getKind() == dist::ReductionKind::sum;
  else if (auto cumulative = dyn_cast<CumulativeOp>(op))
    isSum = cumulative.getKind() == dist::ReductionKind::sum;
  else if (auto scatter = dyn_cast<ScatterOp>(op))
    isSum = scatter.getKind() == ScatterKind::add ||
            scatter.getKind() == ScatterKind::set;
  else if (!isa<ConcatenateOp, DynamicUpdateSliceOp>(op))
    return {};
  SmallVector<OpOperand *> terms;
  if (isSum)
    for (OpOperand &operand : op->getOpOperands())
      if (isFloat(operand.get()))
        terms.push_back(&operand);
  return terms;
}

namespace {
class Widener {
public:
  explicit Widener(Type wide) : wide(wide) {}

  /// Makes `use` use its value in the wide type. Where that is all that it is
  /// for, the value is computed there.
  void widen(OpOperand &use) {
    Value value = use.get();
    Type type = getElementTypeOrSelf(value.getType());
    if (type == wide)
      return;
    bool isNarrow = type.getIntOrFloatBitWidth() < wide.getIntOrFloatBitWidth();
    if (isNarrow && isForGradients(value) && form(value))
      return;
    convert(use);
  }

private:
  /// Of a value that is reached from a gradient by one of its uses.
  bool isForGradients(Value value) {
    llvm::DenseMap<Value, bool> known;
    return value.hasOneUse() || givesGradients(value, known);
  }

  /// Whether all that uses `value` is to be made wide.
  bool givesGradients(Value value, llvm::DenseMap<Value, bool> &known) {
    auto [found, isNew] = known.try_emplace(value, !value.use_empty());
    if (!isNew)
      return found->second;
    bool result = llvm::all_of(value.getUses(), [&](OpOperand &use) {
      Operation *user = use.getOwner();
      if (user->hasAttr(gradientAttrName))
        return getElementTypeOrSelf(user->getResult(0).getType()) == wide;
      return llvm::is_contained(termsOf(user), &use) &&
             givesGradients(user->getResult(0), known);
    });
    return known[value] = result && !value.use_empty();
  }

  void convert(OpOperand &use) {
    OpBuilder builder(use.getOwner());
    Value value = use.get();
    FormulaBuilder build(builder, value.getLoc(), value.getType());
    use.set(build.convert(value, wide));
  }

  void setWide(Value value) {
    value.setType(cast<ShapedType>(value.getType()).clone(wide));
  }

  /// Computes `value` in the wide type; false where it cannot be.
  bool form(Value value) {
    Operation *op = value.getDefiningOp();
    if (!op)
      return false;
    if (auto narrower = dyn_cast<ConvertOp>(op))
      return formOfConverted(narrower);
    if (auto product = dyn_cast<ContractOp>(op)) {
      formProduct(product);
      return true;
    }
    if (auto scan = dyn_cast<ScanOp>(op))
      return formResult(scan, cast<OpResult>(value));
    if (auto cond = dyn_cast<CondOp>(op)) {
      formResult(cond, cast<OpResult>(value));
      return true;
    }
    if (auto barrier = dyn_cast<BarrierOp>(op)) {
      widen(barrier->getOpOperand(cast<OpResult>(value).getResultNumber()));
      setWide(value);
      return true;
    }
    SmallVector<OpOperand *> terms = termsOf(op);
    if (terms.empty())
      return false;
    for (OpOperand *term : terms)
      widen(*term);
    if (isa<MulOp, DivOp>(op))
      widenFactor(op->getOpOperand(1));
    if (auto pad = dyn_cast<PadOp>(op))
      pad.setValueAttr(FloatAttr::get(
          wide, cast<FloatAttr>(pad.getValue()).getValueAsDouble()));
    setWide(value);
    return true;
  }

  /// A gradient that is rounded on the way is not.
  bool formOfConverted(ConvertOp op) {
    if (!isFloat(op.getInput()) || !op->hasOneUse())
      return false;
    OpOperand &use = *op->use_begin();
    use.set(op.getInput());
    // The conversion is a use of its operand no more.
    op.erase();
    widen(use);
    return true;
  }

  void widenFactor(OpOperand &use) {
    if (getElementTypeOrSelf(use.get().getType()) != wide)
      convert(use);
  }

  /// Products of 16-bit factors are exact in f32, in which they are summed.
  void formProduct(ContractOp op) {
    Type type = getElementTypeOrSelf(op.getLhs().getType());
    bool isExact = wide.isF32() && (type.isBF16() || type.isF16());
    if (!isExact)
      for (OpOperand &factor : op->getOpOperands())
        widenFactor(factor);
    setWide(op);
  }

  /// Whether `value`, which has one use, is `sum` and what is added to it.
  bool continues(Value value, BlockArgument sum) {
    if (value == sum)
      return true;
    Operation *op = value.getDefiningOp();
    return op && value.hasOneUse() &&
           llvm::any_of(termsOf(op), [&](OpOperand *term) {
             return continues(term->get(), sum);
           });
  }

  /// What iterations stack, or add to a carried value that they do not use
  /// otherwise.
  bool formResult(ScanOp scan, OpResult result) {
    unsigned number = result.getResultNumber();
    OpOperand &yielded = scan.getYield()->getOpOperand(number);
    if (number < scan.getNumCarried()) {
      BlockArgument sum = scan.getCarried(number);
      if (!sum.hasOneUse() || !continues(yielded.get(), sum))
        return false;
      setWide(sum);
      widen(scan->getOpOperand(number));
    }
    widen(yielded);
    setWide(result);
    return true;
  }

  void formResult(CondOp cond, OpResult result) {
    for (Region &branch : cond.getBranches())
      widen(branch.front().getTerminator()->getOpOperand(
          result.getResultNumber()));
    setWide(result);
  }

  Type wide;
};
} // namespace

/// Uses that are none would count.
static void eraseAllDeadOps(Block &block) {
  eraseDeadOps(block);
  for (Operation &op : block)
    for (Region &region : op.getRegions())
      for (Block &inside : region)
        eraseAllDeadOps(inside);
}

void tessera::derivatives::widenGradients(Block &block) {
  eraseAllDeadOps(block);
  SmallVector<ConvertOp> gradients;
  block.walk([&](ConvertOp op) {
    if (op->hasAttr(gradientAttrName))
      gradients.push_back(op);
  });
  // One that another is computed from comes first.
  for (ConvertOp op : gradients) {
    Widener(getElementTypeOrSelf(op.getType())).widen(op->getOpOperand(0));
    op.replaceAllUsesWith(op.getInput());
    op.erase();
  }
}
