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
/// Transposed products have the cotangent on the left (transposeProduct). What
/// a rule by hand multiplies is not known, and its roundings are meant.
static SmallVector<OpOperand *> termsOf(Operation *op) {
  if (op->hasAttr(byHandAttrName))
    return {};
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

/// Whether the body of `scan` adds to its carried value `number`, and does not
/// use it otherwise.
static bool isSum(ScanOp scan, unsigned number) {
  Value value = scan.getCarried(number);
  for (;;) {
    if (!value.hasOneUse())
      return false;
    OpOperand &use = *value.use_begin();
    Operation *user = use.getOwner();
    if (user == scan.getYield())
      return use.getOperandNumber() == number;
    if (!llvm::is_contained(termsOf(user), &use))
      return false;
    value = user->getResult(0);
  }
}

/// The result that a value is, of the op that the block of `terminator` is in;
/// null where it is not in the same type.
static Value resultOf(Operation *terminator, unsigned number) {
  Operation *parent = terminator->getParentOp();
  if (auto scan = dyn_cast<ScanOp>(parent))
    return number >= scan.getNumCarried() || isSum(scan, number)
               ? scan->getResult(number)
               : Value();
  return isa<CondOp>(parent) ? parent->getResult(number) : Value();
}

namespace {
/// The values that all uses are to make wide, with the type: the marked
/// conversions at the ends of all ways from a value are to this one.
class Gradients {
public:
  explicit Gradients(Block &block) { addBlock(block); }

  bool contain(Value value, Type wide) const {
    return types.lookup(value) == wide;
  }
  bool contain(Value value) const { return types.contains(value); }

private:
  /// What a value becomes comes behind it, or is a result of the op that its
  /// block is in.
  void addBlock(Block &block) {
    for (Operation &op : llvm::reverse(block)) {
      for (Value result : op.getResults())
        if (Type type = typeOfUses(result))
          types[result] = type;
      for (Region &region : op.getRegions())
        for (Block &inside : region)
          addBlock(inside);
    }
  }

  Type typeOf(OpOperand &use) const {
    Operation *user = use.getOwner();
    if (user->hasAttr(gradientAttrName)) {
      Type further = types.lookup(user->getResult(0));
      return further ? further
                     : getElementTypeOrSelf(user->getResult(0).getType());
    }
    if (llvm::is_contained(termsOf(user), &use))
      return types.lookup(user->getResult(0));
    if (!user->hasTrait<OpTrait::IsTerminator>())
      return {};
    Value result = resultOf(user, use.getOperandNumber());
    return result ? types.lookup(result) : Type();
  }

  /// Null where they differ, or some use has none.
  Type typeOfUses(Value value) const {
    Type type;
    for (OpOperand &use : value.getUses()) {
      Type other = typeOf(use);
      if (!other || (type && other != type))
        return {};
      type = other;
    }
    return type;
  }

  llvm::DenseMap<Value, Type> types;
};

class Widener {
public:
  Widener(const Gradients &gradients, Type wide)
      : gradients(gradients), wide(wide) {}

  /// Makes `use` use its value in the wide type. Where that is all that it is
  /// for, the value is computed there.
  void run(OpOperand &use) {
    widen(use);
    while (!pending.empty())
      makeWide(*pending.pop_back_val());
  }

private:
  /// Later: sums may have as many terms as a stack does not hold.
  void widen(OpOperand &use) { pending.push_back(&use); }

  void makeWide(OpOperand &use) {
    Value value = use.get();
    Type type = getElementTypeOrSelf(value.getType());
    if (type == wide)
      return;
    bool isNarrow = type.getIntOrFloatBitWidth() < wide.getIntOrFloatBitWidth();
    bool isForGradients = value.hasOneUse() || gradients.contain(value, wide);
    if (!isNarrow || !isForGradients || !form(use))
      convert(use);
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

  /// Computes what `use` uses in the wide type, in its place; false, with
  /// nothing changed, where that cannot be.
  bool form(OpOperand &use) {
    Value value = use.get();
    Operation *op = value.getDefiningOp();
    if (!op || op->hasAttr(byHandAttrName))
      return false;
    if (auto narrower = dyn_cast<ConvertOp>(op))
      return formOfConverted(narrower, use);
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
  bool formOfConverted(ConvertOp op, OpOperand &use) {
    if (!isFloat(op.getInput()))
      return false;
    // The other uses are made wide, too. The conversion is a use no more.
    op.replaceAllUsesWith(op.getInput());
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

  /// What iterations stack, or add to a carried value that they do not use
  /// otherwise.
  bool formResult(ScanOp scan, OpResult result) {
    unsigned number = result.getResultNumber();
    OpOperand &yielded = scan.getYield()->getOpOperand(number);
    if (number < scan.getNumCarried()) {
      if (!isSum(scan, number))
        return false;
      setWide(scan.getCarried(number));
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

  const Gradients &gradients;
  Type wide;
  SmallVector<OpOperand *> pending;
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
  SmallVector<ConvertOp> marked;
  block.walk([&](ConvertOp op) {
    if (op->hasAttr(gradientAttrName))
      marked.push_back(op);
  });
  if (marked.empty())
    return;
  Gradients gradients(block);
  // One that another is computed from comes first.
  for (ConvertOp op : marked) {
    if (gradients.contain(op)) {
      op->removeAttr(gradientAttrName); // A rounding on the way to wider ones.
      continue;
    }
    Widener(gradients, getElementTypeOrSelf(op.getType()))
        .run(op->getOpOperand(0));
    op.replaceAllUsesWith(op.getInput());
    op.erase();
  }
}
