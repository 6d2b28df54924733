// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Loops and conditionals. Which values of a loop depend on the entry is found
// first, through all iterations.
#include "Rules.h"
#include "dialects/Tessera/IR/Calls.h"
#include "dialects/Tessera/IR/Dependents.h"
#include "dialects/Tessera/IR/Effects.h"

#include "mlir/Transforms/RegionUtils.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::batching;

//===----------------------------------------------------------------------===//
// Which values depend on the entry
//===----------------------------------------------------------------------===//

/// The values of `op` and its regions that depend on the entry: at least those
/// that rules give the batch.
static llvm::DenseSet<Value> findBatched(Operation *op, BatchedOp &b) {
  llvm::DenseSet<Value> active;
  op->walk([&](Operation *inner) {
    for (Value operand : inner->getOperands())
      if (operand.getParentRegion()->isAncestor(op->getParentRegion()) &&
          b.isBatched(operand))
        active.insert(operand);
  });
  return findDependents(op, std::move(active), Dependence::Control,
                        [](Operation *, Value) { return true; });
}

//===----------------------------------------------------------------------===//
// What loops and conditionals share
//===----------------------------------------------------------------------===//

static Value getAs(BatchedOp &b, Value value, bool isBatched) {
  return isBatched ? b.batched(value) : b.get(value);
}

/// An argument of `block`, a copy, in the place of `value`.
static void addArgument(Block &block, Value value, bool isBatched,
                        BatchedOp &b) {
  b.set(value, block.addArgument(b.typeOf(value, isBatched), value.getLoc()),
        isBatched);
}

/// An error where a print or check below `op` would see entries that did not
/// get there by themselves.
static LogicalResult refuseEffects(Operation *op, StringRef why) {
  auto hasEffect = [](Operation *root, auto &self) -> Operation * {
    Operation *found = nullptr;
    root->walk([&](Operation *inner) {
      if (isa<DebugPrintOp, DebugCheckOp>(inner))
        found = inner;
      if (auto call = dyn_cast<CallOp>(inner)) {
        FailureOr<FunctionOpInterface> callee =
            findCallee(call, call.getCalleeAttr());
        if (succeeded(callee) && self(*callee, self))
          found = call;
      }
      return found ? WalkResult::interrupt() : WalkResult::advance();
    });
    return found;
  };
  Operation *effect = hasEffect(op, hasEffect);
  if (!effect)
    return success();
  InFlightDiagnostic error = effect->emitError()
                             << "a print or check is where " << why;
  error.attachNote(op->getLoc())
      << "move it out of the " << op->getName().stripDialect()
      << ", or map over the entries one by one (ts.map), or decide by a value "
         "that all entries share";
  return error;
}

//===----------------------------------------------------------------------===//
// scan
//===----------------------------------------------------------------------===//

static LogicalResult batchScan(ScanOp scan, BatchedOp &b) {
  llvm::DenseSet<Value> active = findBatched(scan, b);
  unsigned count = scan.getNumCarried();
  SmallVector<Value> inits, sequences;
  SmallVector<Type> types;
  auto block = std::make_unique<Block>();
  addArgument(*block, scan.getIndex(), false, b);
  for (unsigned i = 0; i < count; ++i) {
    bool isBatched = active.contains(scan.getCarried(i));
    inits.push_back(getAs(b, scan.getInits()[i], isBatched));
    addArgument(*block, scan.getCarried(i), isBatched, b);
    types.push_back(b.typeOf(scan.getResult(i), isBatched));
  }
  // The iterations come first, then the batch.
  for (auto [i, sequence] : llvm::enumerate(scan.getSequences())) {
    bool isBatched = b.isBatched(sequence);
    Value copy = b.get(sequence);
    sequences.push_back(isBatched ? moveToFront(b.build, copy, 1) : copy);
    addArgument(*block, scan.getSlice(i), isBatched, b);
  }
  for (Value stacked : scan->getResults().drop_front(count)) {
    SmallVector<int64_t> shape(shapeOf(stacked));
    if (active.contains(stacked))
      shape.insert(shape.begin() + 1, b.size());
    types.push_back(
        b.build.typeOf(shape, getElementTypeOrSelf(stacked.getType())));
  }
  auto made =
      ScanOp::create(b.getBuilder(), scan.getLoc(), types, inits, sequences,
                     scan.getLengthAttr(), scan.getReverseAttr());
  {
    OpBuilder::InsertionGuard guard(b.getBuilder());
    b.getBuilder().setInsertionPointToEnd(block.get());
    made.getBody().push_back(block.release());
    if (failed(b.getBatcher().run(scan.getBlock())))
      return failure();
    SmallVector<Value> yields;
    for (auto [value, result] :
         llvm::zip(scan.getYield()->getOperands(), scan->getResults()))
      yields.push_back(getAs(b, value, active.contains(result)));
    YieldOp::create(b.getBuilder(), scan.getYield()->getLoc(), yields);
  }
  for (auto [i, result, copy] :
       llvm::enumerate(scan->getResults(), made->getResults())) {
    bool isBatched = active.contains(result);
    b.set(result,
          isBatched && i >= count ? moveToFront(b.build, copy, 1) : copy,
          isBatched);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// while
//===----------------------------------------------------------------------===//

/// Gives the block's arguments the values, all batched or as `active` says.
static void setArguments(Block &block, ValueRange values,
                         const llvm::DenseSet<Value> &active, BatchedOp &b) {
  for (auto [argument, value] : llvm::zip(block.getArguments(), values))
    b.set(argument, value, active.contains(argument));
}

static LogicalResult runRegion(Region &from, Region &to, ValueRange inits,
                               const llvm::DenseSet<Value> &active,
                               llvm::function_ref<void(ValueRange)> end,
                               BatchedOp &b) {
  OpBuilder::InsertionGuard guard(b.getBuilder());
  Block &block = to.emplaceBlock();
  for (Value init : inits)
    block.addArgument(init.getType(), init.getLoc());
  b.getBuilder().setInsertionPointToEnd(&block);
  setArguments(from.front(), block.getArguments(), active, b);
  if (failed(b.getBatcher().run(from.front())))
    return failure();
  end(from.front().getTerminator()->getOperands());
  return success();
}

/// All entries take as many iterations.
static LogicalResult batchWhileTogether(WhileOp loop, SmallVector<Value> inits,
                                        const llvm::DenseSet<Value> &active,
                                        BatchedOp &b) {
  SmallVector<Type> types = llvm::to_vector(ValueRange(inits).getTypes());
  auto made = WhileOp::create(b.getBuilder(), loop.getLoc(), types, inits);
  auto yieldAs = [&](ValueRange targets) {
    return [&, targets](ValueRange values) {
      SmallVector<Value> yields;
      for (auto [i, value] : llvm::enumerate(values))
        yields.push_back(
            getAs(b, value, !targets.empty() && active.contains(targets[i])));
      YieldOp::create(b.getBuilder(), loop.getLoc(), yields);
    };
  };
  if (failed(runRegion(loop.getCondition(), made.getCondition(), inits, active,
                       yieldAs({}), b)) ||
      failed(runRegion(loop.getBody(), made.getBody(), inits, active,
                       yieldAs(loop->getResults()), b)))
    return failure();
  for (auto [result, copy] : llvm::zip(loop->getResults(), made->getResults()))
    b.set(result, copy, active.contains(result));
  return success();
}

/// Whether an element of `predicate`, [batch], is true.
static Value isAny(FormulaBuilder &build, Value predicate) {
  Type i32 = IntegerType::get(predicate.getContext(), 32);
  Value most =
      build.reduce(dist::ReductionKind::max, build.convert(predicate, i32), 0);
  return build.compare(CompareDirection::ne, most, build.numberLike(0, most));
}

/// The values of entries whose predicate is true; else `others`.
static Value selectEntries(FormulaBuilder &build, Value predicate, Value values,
                           Value others) {
  return build.select(build.broadcast(predicate, shapeOf(values), {0}), values,
                      others);
}

/// The loop runs until no entry goes on. What an entry ended with is kept by
/// selecting; the predicates are carried along.
static LogicalResult batchWhileApart(WhileOp loop, SmallVector<Value> inits,
                                     const llvm::DenseSet<Value> &active,
                                     BatchedOp &b) {
  if (failed(refuseEffects(loop, "a while loop goes on for entries of a batch "
                                 "that have ended by themselves")))
    return failure();
  Block &condition = loop.getCondition().front();
  auto predicateOf = [&](ValueRange carried) -> FailureOr<Value> {
    setArguments(condition, carried, active, b);
    if (failed(b.getBatcher().run(condition)))
      return failure();
    return b.batched(condition.getTerminator()->getOperand(0));
  };
  FailureOr<Value> first = predicateOf(inits);
  if (failed(first))
    return failure();
  inits.push_back(*first);
  SmallVector<Type> types = llvm::to_vector(ValueRange(inits).getTypes());
  auto made = WhileOp::create(b.getBuilder(), loop.getLoc(), types, inits);
  OpBuilder &builder = b.getBuilder();
  {
    OpBuilder::InsertionGuard guard(builder);
    Block &block = made.getCondition().emplaceBlock();
    for (Value init : inits)
      block.addArgument(init.getType(), init.getLoc());
    builder.setInsertionPointToEnd(&block);
    YieldOp::create(builder, loop.getLoc(),
                    isAny(b.build, block.getArguments().back()));
  }
  bool isDone = false;
  auto end = [&](ValueRange values) {
    auto arguments = builder.getInsertionBlock()->getArguments();
    SmallVector<Value> carried;
    for (auto [value, before] : llvm::zip(values, arguments))
      carried.push_back(
          selectEntries(b.build, arguments.back(), b.batched(value), before));
    FailureOr<Value> next = predicateOf(carried);
    if (failed(next))
      return;
    carried.push_back(*next);
    YieldOp::create(builder, loop.getLoc(), carried);
    isDone = true;
  };
  if (failed(
          runRegion(loop.getBody(), made.getBody(), inits, active, end, b)) ||
      !isDone)
    return failure();
  for (auto [result, copy] : llvm::zip(loop->getResults(), made->getResults()))
    b.set(result, copy);
  return success();
}

static LogicalResult batchWhile(WhileOp loop, BatchedOp &b) {
  llvm::DenseSet<Value> active = findBatched(loop, b);
  SmallVector<Value> inits;
  for (auto [init, result] : llvm::zip(loop.getInits(), loop->getResults()))
    inits.push_back(getAs(b, init, active.contains(result)));
  return active.contains(loop.getConditionYield()->getOperand(0))
             ? batchWhileApart(loop, inits, active, b)
             : batchWhileTogether(loop, inits, active, b);
}

//===----------------------------------------------------------------------===//
// cond
//===----------------------------------------------------------------------===//

/// One branch runs, for all entries.
static LogicalResult batchCondTogether(CondOp cond, BatchedOp &b) {
  llvm::DenseSet<Value> active = findBatched(cond, b);
  SmallVector<Type> types;
  for (Value result : cond->getResults())
    types.push_back(b.typeOf(result, active.contains(result)));
  auto made =
      CondOp::create(b.getBuilder(), cond.getLoc(), types,
                     b.get(cond.getSelector()), cond.getBranches().size());
  for (auto [from, to] : llvm::zip(cond.getBranches(), made.getBranches())) {
    auto end = [&](ValueRange values) {
      SmallVector<Value> yields;
      for (auto [value, result] : llvm::zip(values, cond->getResults()))
        yields.push_back(getAs(b, value, active.contains(result)));
      YieldOp::create(b.getBuilder(), cond.getLoc(), yields);
    };
    if (failed(runRegion(from, to, {}, active, end, b)))
      return failure();
  }
  for (auto [result, copy] : llvm::zip(cond->getResults(), made->getResults()))
    b.set(result, copy, active.contains(result));
  return success();
}

/// Which entries run branch `k` of several.
static Value isTaken(FormulaBuilder &build, Value selector, int64_t k,
                     int64_t count) {
  if (getElementTypeOrSelf(selector.getType()).isInteger(1))
    return k == 1 ? selector : build.create<NotOp>(selector);
  // Selectors below 0 are those of the first branch, large ones of the last.
  CompareDirection direction = k == 0           ? CompareDirection::le
                               : k == count - 1 ? CompareDirection::ge
                                                : CompareDirection::eq;
  return build.compare(direction, selector,
                       build.numberLike(static_cast<double>(k), selector));
}

/// Copies a branch for all entries, and gives what it yields. Entries that do
/// not take it have no derivative through it, as if they had not run it: a
/// cotangent of 0 times a derivative that is infinite would be NaN.
static FailureOr<SmallVector<Value>> runBranchApart(Region &branch, Value taken,
                                                    BatchedOp &b) {
  llvm::SetVector<Value> captured;
  getUsedValuesDefinedAbove(branch, captured);
  captured.remove_if([](Value value) { return !mayHaveDerivative(value); });
  SmallVector<std::pair<Value, bool>> before;
  Value isTakenByAny;
  for (Value value : captured) {
    bool isBatched = b.isBatched(value);
    if (!isBatched && !isTakenByAny)
      isTakenByAny = isAny(b.build, taken);
    before.emplace_back(b.get(value), isBatched);
    b.set(value, b.stopUnless(isBatched ? taken : isTakenByAny, b.get(value)),
          isBatched);
  }
  llvm::SaveAndRestore mask(b.getBatcher().taken, taken);
  // A loop goes on until they end, too.
  llvm::SaveAndRestore others(
      b.getBatcher().needsOtherEntries,
      branch.walk([](WhileOp) { return WalkResult::interrupt(); })
          .wasInterrupted());
  if (failed(b.getBatcher().run(branch.front())))
    return failure();
  SmallVector<Value> yields =
      b.batchedAll(branch.front().getTerminator()->getOperands());
  for (auto [value, then] : llvm::zip_equal(captured, before))
    b.set(value, then.first, then.second);
  return yields;
}

/// All branches run for all entries, and each entry selects.
static LogicalResult batchCondApart(CondOp cond, BatchedOp &b) {
  if (failed(refuseEffects(cond, "all branches of a conditional run for all "
                                 "entries of a batch, which select among "
                                 "them")))
    return failure();
  Value selector = b.get(cond.getSelector());
  int64_t count = cond.getBranches().size();
  SmallVector<Value> values;
  for (auto [k, region] : llvm::enumerate(cond.getBranches())) {
    Value taken = isTaken(b.build, selector, k, count);
    FailureOr<SmallVector<Value>> mine = runBranchApart(region, taken, b);
    if (failed(mine))
      return failure();
    if (values.empty())
      values = *mine;
    else
      for (auto [value, other] : llvm::zip(values, *mine))
        value = selectEntries(b.build, taken, other, value);
  }
  for (auto [result, value] : llvm::zip(cond->getResults(), values))
    b.set(result, value);
  return success();
}

void tessera::batching::addControlRules(BatchingRules &rules) {
  rules.add<ScanOp>(batchScan);
  rules.add<WhileOp>(batchWhile);
  rules.add<CondOp>([](CondOp op, BatchedOp &b) {
    return b.isBatched(op.getSelector()) ? batchCondApart(op, b)
                                         : batchCondTogether(op, b);
  });
  rules.refuse<YieldOp>("it ends a region, whose op has a rule");
}
