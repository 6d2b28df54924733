// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Forward derivatives of loops and conditionals. In form Apart a loop becomes
// two: the program's, which stacks what the other needs of each iteration, and
// one on tangents, linear in them.
#include "Checkpoints.h"
#include "ControlTransposes.h"
#include "DetachedRegion.h"
#include "Residuals.h"
#include "Rules.h"

#include "Captures.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::derivatives;

static Type openLike(FormulaBuilder &build, Value value) {
  return build.typeOf(shapeOf(value), getElementTypeOrSelf(value.getType()));
}

static Value tangentOrZeros(Linearizer &linearizer, Value value,
                            FormulaBuilder &build) {
  Value tangent = linearizer.tangentOf(value);
  return tangent ? tangent : zerosLike(build, value);
}

static void replaceTerminator(Block &block, ValueRange values) {
  Operation *old = block.getTerminator();
  OpBuilder builder(old);
  YieldOp::create(builder, old->getLoc(), values);
  old->erase();
}

/// Erases `op`, whose results are the first ones of `other`.
static void replaceByFirst(Operation *op, Operation *other) {
  op->replaceAllUsesWith(other->getResults().take_front(op->getNumResults()));
  op->erase();
}

//===----------------------------------------------------------------------===//
// scan
//===----------------------------------------------------------------------===//

namespace {
/// The derivative of one scan.
class ScanDerivative {
public:
  ScanDerivative(ScanOp scan, Tangents &t) : scan(scan), t(t) {}

  LogicalResult run();

private:
  void findActive();
  LogicalResult runTogether();
  LogicalResult runApart();
  Location loc() { return scan.getLoc(); }
  unsigned count() { return scan.getNumCarried(); }
  /// What the body yields as tangent of yielded value i.
  Value yieldedTangent(Linearizer &inner, FormulaBuilder &build, unsigned i);

  ScanOp scan;
  Tangents &t;
  SmallVector<unsigned> carried;   ///< Carried values that have tangents.
  SmallVector<unsigned> sequences; ///< Sequences that have.
  SmallVector<unsigned> stacked;   ///< Stacked results that have.
};
} // namespace

void ScanDerivative::findActive() {
  llvm::DenseSet<Value> seeds;
  auto seed = [&](Value value) {
    if (t.of(value))
      seeds.insert(value);
  };
  for (Value operand : scan->getOperands())
    seed(operand);
  llvm::SetVector<Value> captured = capturedValues(scan);
  for (Value value : captured)
    seed(value);
  llvm::DenseSet<Value> active = findActiveValues(scan, seeds);
  for (unsigned i = 0; i < count(); ++i)
    if (active.contains(scan.getCarried(i)))
      carried.push_back(i);
  for (unsigned i = 0; i < scan.getSequences().size(); ++i)
    if (t.of(scan.getSequences()[i]))
      sequences.push_back(i);
  for (unsigned i = 0; i < scan.getNumStacked(); ++i)
    if (active.contains(scan.getResult(count() + i)))
      stacked.push_back(i);
}

Value ScanDerivative::yieldedTangent(Linearizer &inner, FormulaBuilder &build,
                                     unsigned i) {
  return tangentOrZeros(inner, scan.getYield()->getOperand(i), build);
}

/// One loop over values and tangents: after the carried values their tangents,
/// after the slices theirs, after the stacked results theirs.
LogicalResult ScanDerivative::runTogether() {
  Block &body = scan.getBlock();
  FormulaBuilder &build = t.linear;
  SmallVector<Value> inits(scan.getInits()), seqs(scan.getSequences());
  SmallVector<Value> dInits, dSeqs;
  for (unsigned i : carried)
    dInits.push_back(t.ofOrZeros(scan.getInits()[i]));
  for (unsigned i : sequences)
    dSeqs.push_back(t.of(scan.getSequences()[i]));
  Linearizer inner(Form::Together, nullptr, &t.getLinearizer());
  unsigned at = 1 + count();
  for (unsigned i : carried)
    inner.setTangent(
        scan.getCarried(i),
        body.insertArgument(at++, openLike(build, scan.getInits()[i]), loc()));
  for (auto [i, tangent] : llvm::zip(sequences, dSeqs)) {
    BlockArgument slice = body.getArgument(1 + count() + dInits.size() + i);
    Value inside = body.addArgument(openLike(build, slice), loc());
    inner.setTangent(slice, inside);
  }
  if (failed(inner.run(body)))
    return failure();
  OpBuilder builder(scan.getYield());
  FormulaBuilder atEnd(builder, loc(), build.typeOf({}, builder.getF32Type()));
  SmallVector<Value> yields(scan.getYield()->getOperands());
  SmallVector<Value> values(ArrayRef<Value>(yields).take_front(count()));
  for (unsigned i : carried)
    values.push_back(yieldedTangent(inner, atEnd, i));
  llvm::append_range(values, ArrayRef<Value>(yields).drop_front(count()));
  for (unsigned i : stacked)
    values.push_back(yieldedTangent(inner, atEnd, count() + i));

  SmallVector<Type> types(TypeRange(scan->getResults().take_front(count())));
  for (unsigned i : carried)
    types.push_back(openLike(build, scan.getResult(i)));
  llvm::append_range(types, TypeRange(scan->getResults().drop_front(count())));
  for (unsigned i : stacked)
    types.push_back(openLike(build, scan.getResult(count() + i)));
  llvm::append_range(inits, dInits);
  llvm::append_range(seqs, dSeqs);
  auto both = ScanOp::create(t.getPrimalBuilder(), loc(), types, inits, seqs,
                             scan.getLengthAttr(), scan.getReverseAttr());
  replaceTerminator(body, values);
  both.getBody().takeBody(scan.getBody());
  unsigned from = 0;
  SmallVector<Value> results;
  for (unsigned i = 0; i < count(); ++i)
    results.push_back(both.getResult(from++));
  for (unsigned i : carried)
    t.set(results[i], both.getResult(from++));
  for (unsigned i = 0; i < scan.getNumStacked(); ++i)
    results.push_back(both.getResult(from++));
  for (unsigned i : stacked)
    t.set(results[count() + i], both.getResult(from++));
  scan->replaceAllUsesWith(results);
  scan.erase();
  return success();
}

LogicalResult ScanDerivative::runApart() {
  Block &body = scan.getBlock();
  FormulaBuilder &build = t.linear;
  // The block of tangents: index, carried tangents, slices.
  auto *block = new Block;
  DetachedRegion holder;
  holder.push_back(block);
  BlockArgument index =
      block->addArgument(scan.getIndex().getType(), scan.getIndex().getLoc());
  Linearizer inner(Form::Apart, block, &t.getLinearizer());
  SmallVector<Value> inits, seqs;
  for (unsigned i : carried) {
    inits.push_back(t.ofOrZeros(scan.getInits()[i]));
    inner.setTangent(
        scan.getCarried(i),
        block->addArgument(openLike(build, scan.getInits()[i]), loc()));
  }
  for (unsigned i : sequences) {
    seqs.push_back(t.of(scan.getSequences()[i]));
    inner.setTangent(
        scan.getSlice(i),
        block->addArgument(openLike(build, scan.getSlice(i)), loc()));
  }
  if (failed(inner.run(body)))
    return failure();
  OpBuilder builder = atEndOf(*block, scan.getContext());
  FormulaBuilder atEnd(builder, loc(), build.typeOf({}, builder.getF32Type()));
  SmallVector<Value> yields;
  for (unsigned i : carried)
    yields.push_back(yieldedTangent(inner, atEnd, i));
  for (unsigned i : stacked)
    yields.push_back(yieldedTangent(inner, atEnd, count() + i));
  YieldOp::create(builder, loc(), yields);

  // What it needs of an iteration is stacked, but for the index and slices of
  // what is a sequence already.
  SmallVector<Value> kept;
  SmallVector<Type> types(scan->getResultTypes());
  FailureOr<SmallVector<Residual>> residuals = bringResiduals(*block, body);
  if (failed(residuals))
    return failure();
  SmallVector<std::pair<unsigned, Value>> fromStack;
  for (Residual residual : *residuals) {
    auto argument = dyn_cast<BlockArgument>(residual.primal);
    if (argument && argument == scan.getIndex()) {
      residual.inside.replaceAllUsesWith(index);
      seqs.push_back({});
      continue;
    }
    if (argument && argument.getArgNumber() > count()) {
      seqs.push_back(
          scan.getSequences()[argument.getArgNumber() - 1 - count()]);
      continue;
    }
    SmallVector<int64_t> shape = {static_cast<int64_t>(scan.getLength())};
    llvm::append_range(shape, shapeOf(residual.primal));
    types.push_back(
        build.typeOf(shape, getElementTypeOrSelf(residual.primal.getType())));
    fromStack.push_back({seqs.size(), residual.primal});
    seqs.push_back({});
    kept.push_back(residual.primal);
  }
  for (auto [k, residual] : llvm::enumerate(*residuals))
    if (residual.primal == scan.getIndex())
      block->eraseArgument(residual.inside.getArgNumber());

  auto primal = ScanOp::create(t.getPrimalBuilder(), loc(), types,
                               scan.getInits(), scan.getSequences(),
                               scan.getLengthAttr(), scan.getReverseAttr());
  if (Attribute region = scan->getAttr(checkpointAttrName))
    primal->setAttr(checkpointAttrName, region);
  SmallVector<Value> values(scan.getYield()->getOperands());
  llvm::append_range(values, kept);
  replaceTerminator(body, values);
  primal.getBody().takeBody(scan.getBody());
  unsigned next = scan->getNumResults();
  for (auto [place, value] : fromStack)
    seqs[place] = primal.getResult(next++);
  llvm::erase_if(seqs, [](Value value) { return !value; });

  SmallVector<Type> linearTypes;
  for (unsigned i : carried)
    linearTypes.push_back(openLike(build, scan.getResult(i)));
  for (unsigned i : stacked)
    linearTypes.push_back(openLike(build, scan.getResult(count() + i)));
  auto linear =
      ScanOp::create(t.getLinearBuilder(), loc(), linearTypes, inits, seqs,
                     scan.getLengthAttr(), scan.getReverseAttr());
  linear.getBody().takeBody(holder);
  unsigned from = 0;
  for (unsigned i : carried)
    t.set(primal.getResult(i), linear.getResult(from++));
  for (unsigned i : stacked)
    t.set(primal.getResult(count() + i), linear.getResult(from++));
  replaceByFirst(scan, primal);
  return success();
}

LogicalResult ScanDerivative::run() {
  if (scan.getLength() == 0) {
    // It gives its initial values, and can stack nothing.
    for (unsigned i = 0; i < count(); ++i)
      t.set(scan.getResult(i), t.of(scan.getInits()[i]));
    return success();
  }
  findActive();
  return t.getLinearizer().getForm() == Form::Together ? runTogether()
                                                       : runApart();
}

//===----------------------------------------------------------------------===//
// while
//===----------------------------------------------------------------------===//

/// Makes of a loop one over values and tangents, the latter behind the former,
/// for the carried values of which `carried` has the numbers; sets the tangents
/// of its results.
static FailureOr<WhileOp> carryTangents(WhileOp loop,
                                        ArrayRef<unsigned> carried,
                                        OpBuilder &at, Tangents &t) {
  Block &condition = loop.getCondition().front(),
        &body = loop.getBody().front();
  SmallVector<Value> inits(loop.getInits());
  SmallVector<Type> types(loop->getResultTypes());
  Linearizer inner(Form::Together, nullptr, &t.getLinearizer());
  for (unsigned i : carried) {
    Type type = openLike(t.linear, loop.getInits()[i]);
    inits.push_back(t.ofOrZeros(loop.getInits()[i]));
    types.push_back(type);
    condition.addArgument(type, loop.getLoc());
    inner.setTangent(body.getArgument(i),
                     body.addArgument(type, loop.getLoc()));
  }
  if (failed(inner.run(body)))
    return failure();
  OpBuilder builder(body.getTerminator());
  FormulaBuilder atEnd(builder, loop.getLoc(),
                       t.linear.typeOf({}, builder.getF32Type()));
  SmallVector<Value> yields(body.getTerminator()->getOperands());
  for (unsigned i : carried)
    yields.push_back(tangentOrZeros(inner, yields[i], atEnd));
  replaceTerminator(body, yields);
  auto both = WhileOp::create(at, loop.getLoc(), types, inits);
  both.getCondition().takeBody(loop.getCondition());
  both.getBody().takeBody(loop.getBody());
  unsigned from = loop->getNumResults();
  for (unsigned i : carried)
    t.set(both.getResult(i), both.getResult(from++));
  return both;
}

/// How much of the iterations would have to be kept is not known before the
/// loop ends. Where the linear program is apart, it has the loop once more, of
/// values and tangents, as in JAX; reverse mode refuses that loop.
static LogicalResult differentiateWhile(WhileOp loop, Tangents &t) {
  llvm::DenseSet<Value> seeds;
  for (Value value : usedValues(loop))
    if (t.of(value))
      seeds.insert(value);
  llvm::DenseSet<Value> active = findActiveValues(loop, seeds);
  SmallVector<unsigned> carried;
  for (unsigned i = 0, count = loop.getInits().size(); i < count; ++i)
    if (active.contains(loop.getBody().front().getArgument(i)))
      carried.push_back(i);
  if (carried.empty())
    return success();
  if (t.getLinearizer().getForm() == Form::Together) {
    FailureOr<WhileOp> both =
        carryTangents(loop, carried, t.getPrimalBuilder(), t);
    if (failed(both))
      return failure();
    replaceByFirst(loop, *both);
    return success();
  }
  auto again = cast<WhileOp>(t.getLinearBuilder().clone(*loop));
  // What the loop prints and checks it does once.
  SmallVector<Operation *> effects;
  again->walk([&](Operation *op) {
    if (isa<DebugPrintOp, DebugCheckOp>(op))
      effects.push_back(op);
  });
  for (Operation *op : effects)
    op->erase();
  FailureOr<WhileOp> both =
      carryTangents(again, carried, t.getLinearBuilder(), t);
  if (failed(both))
    return failure();
  for (unsigned i : carried)
    t.set(loop.getResult(i), t.of(both->getResult(i)));
  again.erase();
  return success();
}

//===----------------------------------------------------------------------===//
// cond
//===----------------------------------------------------------------------===//

/// Results of a cond that have a tangent in some branch.
static SmallVector<unsigned>
activeResults(CondOp cond, ArrayRef<std::unique_ptr<Linearizer>> branches) {
  SmallVector<unsigned> active;
  for (unsigned i = 0; i < cond->getNumResults(); ++i)
    for (auto [region, branch] : llvm::zip(cond.getBranches(), branches))
      if (branch->tangentOf(region.front().getTerminator()->getOperand(i))) {
        active.push_back(i);
        break;
      }
  return active;
}

static SmallVector<Value> branchTangents(Block &block, Linearizer &branch,
                                         ArrayRef<unsigned> active,
                                         FormulaBuilder &build) {
  SmallVector<Value> tangents;
  for (unsigned i : active)
    tangents.push_back(
        tangentOrZeros(branch, block.getTerminator()->getOperand(i), build));
  return tangents;
}

static LogicalResult differentiateCondTogether(CondOp cond, Tangents &t) {
  std::vector<std::unique_ptr<Linearizer>> branches;
  for (Region &region : cond.getBranches()) {
    branches.push_back(std::make_unique<Linearizer>(Form::Together, nullptr,
                                                    &t.getLinearizer()));
    if (failed(branches.back()->run(region.front())))
      return failure();
  }
  SmallVector<unsigned> active = activeResults(cond, branches);
  SmallVector<Type> types(cond->getResultTypes());
  for (unsigned i : active)
    types.push_back(openLike(t.linear, cond.getResult(i)));
  auto both = CondOp::create(t.getPrimalBuilder(), cond.getLoc(), types,
                             cond.getSelector(), cond.getBranches().size());
  for (auto [k, region] : llvm::enumerate(cond.getBranches())) {
    Block &block = region.front();
    OpBuilder builder(block.getTerminator());
    FormulaBuilder atEnd(builder, cond.getLoc(),
                         t.linear.typeOf({}, builder.getF32Type()));
    SmallVector<Value> values(block.getTerminator()->getOperands());
    llvm::append_range(values,
                       branchTangents(block, *branches[k], active, atEnd));
    replaceTerminator(block, values);
    both.getBranches()[k].takeBody(region);
  }
  unsigned from = cond->getNumResults();
  for (unsigned i : active)
    t.set(both.getResult(i), both.getResult(from++));
  replaceByFirst(cond, both);
  return success();
}

namespace {
/// Results of a cond that hold what branches keep, shared by type: only one
/// branch runs.
class KeptResults {
public:
  /// The place of the next value of a type that this branch keeps.
  unsigned place(Type type) {
    unsigned &used = usedOf[type];
    SmallVector<unsigned> &all = placesOf[type];
    if (used == all.size()) {
      all.push_back(types.size());
      types.push_back(type);
    }
    return all[used++];
  }
  void nextBranch() { usedOf.clear(); }
  ArrayRef<Type> getTypes() const { return types; }

private:
  SmallVector<Type> types;
  llvm::DenseMap<Type, SmallVector<unsigned>> placesOf;
  llvm::DenseMap<Type, unsigned> usedOf;
};
} // namespace

static LogicalResult differentiateCondApart(CondOp cond, Tangents &t) {
  std::vector<std::unique_ptr<Linearizer>> branches;
  std::vector<std::unique_ptr<DetachedRegion>> holders;
  for (Region &region : cond.getBranches()) {
    holders.push_back(std::make_unique<DetachedRegion>());
    Block &block = holders.back()->emplaceBlock();
    branches.push_back(
        std::make_unique<Linearizer>(Form::Apart, &block, &t.getLinearizer()));
    if (failed(branches.back()->run(region.front())))
      return failure();
  }
  SmallVector<unsigned> active = activeResults(cond, branches);
  KeptResults kept;
  SmallVector<SmallVector<std::pair<unsigned, Residual>>> keptOf;
  for (auto [k, region] : llvm::enumerate(cond.getBranches())) {
    Block &block = holders[k]->front();
    OpBuilder builder = atEndOf(block, cond.getContext());
    FormulaBuilder atEnd(builder, cond.getLoc(),
                         t.linear.typeOf({}, builder.getF32Type()));
    YieldOp::create(
        builder, cond.getLoc(),
        branchTangents(region.front(), *branches[k], active, atEnd));
    kept.nextBranch();
    auto &mine = keptOf.emplace_back();
    FailureOr<SmallVector<Residual>> residuals =
        bringResiduals(block, region.front());
    if (failed(residuals))
      return failure();
    for (Residual residual : *residuals)
      mine.push_back(
          {kept.place(openLike(t.primal, residual.primal)), residual});
  }
  SmallVector<Type> types(cond->getResultTypes());
  llvm::append_range(types, kept.getTypes());
  auto primal = CondOp::create(t.getPrimalBuilder(), cond.getLoc(), types,
                               cond.getSelector(), cond.getBranches().size());
  if (Attribute region = cond->getAttr(checkpointAttrName))
    primal->setAttr(checkpointAttrName, region);
  unsigned first = cond->getNumResults();
  for (auto [k, region] : llvm::enumerate(cond.getBranches())) {
    Block &block = region.front();
    OpBuilder builder(block.getTerminator());
    FormulaBuilder atEnd(builder, cond.getLoc(),
                         t.linear.typeOf({}, builder.getF32Type()));
    SmallVector<Value> values(block.getTerminator()->getOperands());
    values.resize(types.size());
    for (auto [place, residual] : keptOf[k])
      values[first + place] = residual.primal;
    for (auto [value, type] : llvm::zip(values, types))
      if (!value)
        value = atEnd.number(0, cast<ShapedType>(type).getShape(),
                             getElementTypeOrSelf(type));
    replaceTerminator(block, values);
    primal.getBranches()[k].takeBody(region);
    // The branch on tangents uses the results from outside.
    for (auto [place, residual] : keptOf[k])
      residual.inside.replaceAllUsesWith(primal.getResult(first + place));
    holders[k]->front().eraseArguments([](BlockArgument) { return true; });
  }
  SmallVector<Type> linearTypes;
  for (unsigned i : active)
    linearTypes.push_back(openLike(t.linear, cond.getResult(i)));
  if (!active.empty()) {
    auto linear =
        CondOp::create(t.getLinearBuilder(), cond.getLoc(), linearTypes,
                       primal.getSelector(), holders.size());
    for (auto [k, holder] : llvm::enumerate(holders))
      linear.getBranches()[k].takeBody(*holder);
    for (auto [from, i] : llvm::enumerate(active))
      t.set(primal.getResult(i), linear.getResult(from));
  }
  replaceByFirst(cond, primal);
  return success();
}

void tessera::derivatives::addControlRules(DerivativeRules &rules) {
  // Of no results: the op around it has the rule.
  rules.none<YieldOp>();
  rules.jvp<ScanOp>(
      [](ScanOp op, Tangents &t) { return ScanDerivative(op, t).run(); });
  rules.jvp<WhileOp>(differentiateWhile);
  rules.jvp<CondOp>([](CondOp op, Tangents &t) {
    return t.getLinearizer().getForm() == Form::Together
               ? differentiateCondTogether(op, t)
               : differentiateCondApart(op, t);
  });
  rules.transpose<ScanOp>(transposeScan);
  rules.transpose<WhileOp>(transposeWhile);
  rules.transpose<CondOp>(transposeCond);
}
