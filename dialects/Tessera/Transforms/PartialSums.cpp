// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "PartialSums.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace tessera;

bool tessera::isInnerSum(Operation *op) {
  if (!isa<AddOp>(op) || !op->hasOneUse())
    return false;
  Operation *user = *op->user_begin();
  return isa<AddOp>(user) && user->getBlock() == op->getBlock();
}

namespace {
/// Axes along which a term is partial; empty for one that is whole.
using PartialAxes = std::vector<AxisRef>;

/// The additions of one sum and its terms.
struct Sum {
  SmallVector<Operation *> additions; ///< In the order of the program.
  SmallVector<Value> terms;           ///< From left to right.
};
} // namespace

static Sum collectSum(Operation *root) {
  Sum sum;
  // Long sums are deep: no recursion.
  SmallVector<Value> stack = {root->getResult(0)};
  while (!stack.empty()) {
    Value value = stack.pop_back_val();
    Operation *op = value.getDefiningOp();
    if (op != root && !(op && isInnerSum(op))) {
      sum.terms.push_back(value);
      continue;
    }
    sum.additions.push_back(op);
    stack.push_back(op->getOperand(1));
    stack.push_back(op->getOperand(0));
  }
  // Each addition was met before those that it takes.
  std::reverse(sum.additions.begin(), sum.additions.end());
  llvm::sort(sum.additions,
             [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  return sum;
}

static bool isPartial(Value term) {
  const Layout *layout = layoutOf(term.getType());
  return layout && !layout->partial.empty();
}

/// A term with another user, or one in a loop around it, is reduced for that
/// one, and then whole for all.
static PartialAxes partialOf(Value term) {
  const Layout *layout = layoutOf(term.getType());
  if (!layout || layout->partialKind != ReduceKind::Sum || !term.hasOneUse() ||
      term.getParentBlock() != (*term.user_begin())->getBlock())
    return {};
  return layout->partial;
}

/// How many reductions the additions take in their present order.
static int countReductions(const Sum &sum) {
  llvm::DenseMap<Value, PartialAxes> known;
  for (Value term : sum.terms)
    known[term] = partialOf(term);
  int count = 0;
  for (Operation *op : sum.additions) {
    PartialAxes left = known[op->getOperand(0)],
                right = known[op->getOperand(1)];
    if (left == right) {
      known[op->getResult(0)] = left;
      continue;
    }
    count += !left.empty() + !right.empty();
    known[op->getResult(0)] = {};
  }
  return count;
}

SmallVector<Operation *> tessera::regroupSum(Operation *root) {
  if (!isa<AddOp>(root))
    return {};
  Sum sum = collectSum(root);
  // Most sums have no partial terms, and are reduced nowhere.
  if (llvm::all_of(sum.terms, [](Value t) { return !isPartial(t); }))
    return sum.additions;
  // Terms by the axes that they are partial along; whole ones stand alone.
  std::vector<std::pair<PartialAxes, SmallVector<Value>>> groups;
  int reductions = 0;
  for (Value term : sum.terms) {
    PartialAxes axes = partialOf(term);
    auto known = axes.empty() ? groups.end()
                              : llvm::find_if(groups, [&](const auto &group) {
                                  return group.first == axes;
                                });
    if (known != groups.end()) {
      known->second.push_back(term);
      continue;
    }
    groups.push_back({axes, {term}});
    reductions += !axes.empty();
  }
  if (groups.size() == 1 || reductions >= countReductions(sum))
    return sum.additions;

  OpBuilder builder(root);
  SmallVector<Operation *> additions;
  auto add = [&](Value left, Value right) -> Value {
    auto op = AddOp::create(builder, root->getLoc(),
                            root->getResult(0).getType(), left, right);
    op->setDiscardableAttrs(root->getDiscardableAttrDictionary());
    additions.push_back(op);
    return op;
  };
  Value total;
  for (auto &[axes, terms] : groups) {
    Value part = terms.front();
    for (Value term : llvm::drop_begin(terms))
      part = add(part, term);
    total = total ? add(total, part) : part;
  }
  root->replaceAllUsesWith(ValueRange(total));
  for (Operation *op : llvm::reverse(sum.additions))
    op->erase();
  return additions;
}
