// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What checkpoints with a budget keep. lib/Analysis/KeptValues chooses; this
// describes the values of a checkpoint to it.
#include "Captures.h"
#include "ResidualBringer.h"
#include "tessera/Analysis/KeptValues.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::derivatives;

/// How many values an error lists.
static constexpr size_t maxListed = 4;
/// Values times decisions of one search, so that large checkpoints take no
/// longer than many small ones.
static constexpr int maxSearch = 20000;
static constexpr int maxDecisions = 64;

/// Whether keeping `value` takes no memory, as something else keeps it: the
/// caller of a function its arguments, a loop its sequences.
bool ResidualBringer::isAliveAnyway(Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  if (!argument)
    return false;
  auto scan = dyn_cast<ScanOp>(primal.getParentOp());
  return !scan || argument.getArgNumber() == 0 ||
         argument.getArgNumber() > scan.getNumCarried();
}

static bool hasBudget(Attribute mark) {
  return mark && policyOf(mark).kind == CheckpointPolicy::Kind::Budget;
}

/// Follows `needs` to what is needed of checkpoints with a budget, and to what
/// is kept for them.
void ResidualBringer::findNeeded(SmallVector<Need> needs) {
  while (!needs.empty()) {
    auto [value, owner] = needs.pop_back_val();
    if (!isInPrimal(value) || !reached.insert({value, owner}).second)
      continue;
    bool isAgain = isCheap(value);
    Attribute region = isAgain ? Attribute() : regionOf(value);
    if (hasBudget(region))
      needed[region].insert(value);
    else if (isAgain || region)
      addNeeds(value.getDefiningOp(), region ? region : owner, needs);
    else if (hasBudget(owner))
      needed[owner].insert(value);
  }
}

LogicalResult ResidualBringer::meetBudgets(ArrayRef<OpOperand *> uses) {
  findNeeded(needsOf(uses));
  if (needed.empty())
    return success();
  // The last one first: what it computes again may need values of others, by
  // ops that are computed again wherever they are used.
  llvm::SetVector<Attribute> regions;
  for (Operation &op : llvm::reverse(primal))
    if (Attribute mark = op.getAttr(checkpointAttrName); hasBudget(mark))
      regions.insert(mark);
  for (Attribute region : regions)
    if (failed(meetBudget(region, needed[region].takeVector())))
      return failure();
  return success();
}

namespace {
/// The values of one checkpoint as a problem of plain data.
struct DescribedValues {
  KeepingProblem problem;
  SmallVector<Value> values; ///< By number; null for an op of several results.
  llvm::DenseMap<Value, int> numbers;
  llvm::DenseMap<Operation *, int> numbersOfOps;

  int add(Value value, KeepableValue described) {
    problem.values.push_back(std::move(described));
    values.push_back(value);
    return static_cast<int>(values.size()) - 1;
  }
};
} // namespace

/// What the budget, which is too small, has to be, and for what.
static LogicalResult reportLeast(Attribute region,
                                 const DescribedValues &described) {
  KeepingChoice least = keepLeast(described.problem);
  int64_t budget = policyOf(region).bytes;
  InFlightDiagnostic error = emitError(locationOf(region))
                             << "a budget of " << budget
                             << " bytes cannot be met: the least that the "
                                "backward pass can keep of this call is "
                             << least.bytes << " bytes";
  SmallVector<int> kept;
  for (int number = 0, count = described.values.size(); number < count;
       ++number)
    if (least.isKept[number] && described.problem.values[number].bytes > 0)
      kept.push_back(number);
  llvm::sort(kept, [&](int a, int b) {
    int64_t first = described.problem.values[a].bytes;
    int64_t second = described.problem.values[b].bytes;
    return first != second ? first > second : a < b;
  });
  for (int number : ArrayRef<int>(kept).take_front(maxListed)) {
    Value value = described.values[number];
    error.attachNote(value.getLoc()) << describeKept(value);
  }
  if (kept.size() > maxListed)
    error.attachNote() << "and " << kept.size() - maxListed << " more";
  error.attachNote() << "give it a budget of " << least.bytes
                     << " bytes or more; smaller calls need less";
  return error;
}

/// Chooses what is kept of the checkpoint `region`, of which `wanted` is
/// needed.
LogicalResult ResidualBringer::meetBudget(Attribute region,
                                          ArrayRef<Value> wanted) {
  DescribedValues described;
  SmallVector<Operation *> worklist;
  auto numberOfOp = [&](Operation *op) {
    auto [known, isNew] = described.numbersOfOps.try_emplace(op, 0);
    if (isNew) {
      KeepableValue again;
      again.work = workOf(op);
      again.canKeep = false;
      known->second = described.add(Value(), again);
      worklist.push_back(op);
    }
    return known->second;
  };
  auto numberOf = [&](Value value) {
    auto known = described.numbers.find(value);
    if (known != described.numbers.end())
      return known->second;
    bool isAgain = isCheap(value);
    Attribute own = isAgain ? Attribute() : regionOf(value);
    KeepableValue entry;
    entry.canKeep = !isAgain;
    entry.canRecompute = isAgain || own == region;
    // What another checkpoint computes again is of its budget.
    bool isOfAnother = own && own != region;
    if (entry.canKeep && !isOfAnother && !isAliveAnyway(value))
      entry.bytes = bytesOf(value);
    if (entry.canRecompute)
      entry.operands = {numberOfOp(value.getDefiningOp())};
    return described.numbers[value] = described.add(value, std::move(entry));
  };
  for (Value value : wanted)
    described.problem.needed.push_back(numberOf(value));
  while (!worklist.empty()) {
    Operation *op = worklist.pop_back_val();
    std::vector<int> operands;
    for (Value used : usedValues(op))
      if (isInPrimal(used))
        operands.push_back(numberOf(used));
    described.problem.values[described.numbersOfOps[op]].operands =
        std::move(operands);
  }

  int count = static_cast<int>(described.values.size());
  std::optional<KeepingChoice> choice =
      keepWithin(described.problem, policyOf(region).bytes,
                 std::clamp(maxSearch / std::max(1, count), 1, maxDecisions));
  if (!choice)
    return reportLeast(region, described);
  SmallVector<Need> others;
  for (auto [number, value] : llvm::enumerate(described.values)) {
    if (!choice->isKept[number])
      continue;
    if (described.problem.values[number].canRecompute)
      keptByBudget.insert(value);
    else
      others.push_back({value, region});
  }
  findNeeded(std::move(others));
  return success();
}
