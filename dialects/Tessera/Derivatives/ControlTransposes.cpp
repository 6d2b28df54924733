// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ControlTransposes.h"

#include "Captures.h"
#include "DetachedRegion.h"
#include "Rules.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::derivatives;

/// Values from outside of `op`'s regions that these use, and that are linear in
/// the program around it.
static SmallVector<Value> linearCaptures(Operation *op, Cotangents &c) {
  llvm::SetVector<Value> captured = capturedValues(op);
  SmallVector<Value> result;
  for (Value value : captured)
    if (c.isLinear(value))
      result.push_back(value);
  return result;
}

namespace {
/// The transposed loop of one scan on tangents.
class ScanTranspose {
public:
  ScanTranspose(ScanOp scan, Cotangents &c) : scan(scan), c(c) {}

  LogicalResult run();

private:
  void findCotangents();
  void spreadOverBody(llvm::DenseSet<Value> &needed);
  Type openLike(Value value) {
    return c.build.typeOf(shapeOf(value),
                          getElementTypeOrSelf(value.getType()));
  }

  ScanOp scan;
  Cotangents &c;
  SmallVector<unsigned> carried; ///< Whose cotangents are not zero.
  SmallVector<Value> captures;   ///< Linear ones that have cotangents.
  SmallVector<unsigned> slices;  ///< Linear sequences that have.
};
} // namespace

/// Adds what values of `needed` are computed from.
void ScanTranspose::spreadOverBody(llvm::DenseSet<Value> &needed) {
  for (Operation &op : llvm::reverse(scan.getBlock().without_terminator())) {
    if (llvm::none_of(op.getResults(),
                      [&](Value v) { return needed.contains(v); }))
      continue;
    needed.insert(op.operand_begin(), op.operand_end());
    llvm::SetVector<Value> captured = capturedValues(&op);
    needed.insert(captured.begin(), captured.end());
  }
}

/// Which cotangents of the body's inputs can differ from zero: a fixpoint, as
/// the cotangent of a carried value comes in again with the next turn.
void ScanTranspose::findCotangents() {
  unsigned count = scan.getNumCarried();
  Operation *yield = scan.getYield();
  llvm::DenseSet<Value> needed;
  llvm::SmallBitVector live(count);
  for (unsigned i = 0; i < scan->getNumResults(); ++i)
    if (c.of(scan.getResult(i))) {
      needed.insert(yield->getOperand(i));
      if (i < count)
        live.set(i);
    }
  bool changed = true;
  while (changed) {
    changed = false;
    spreadOverBody(needed);
    for (unsigned i = 0; i < count; ++i)
      if (!live.test(i) && needed.contains(scan.getCarried(i))) {
        live.set(i);
        needed.insert(yield->getOperand(i));
        changed = true;
      }
  }
  for (unsigned i : live.set_bits())
    carried.push_back(i);
  for (Value value : linearCaptures(scan, c))
    if (needed.contains(value))
      captures.push_back(value);
  for (unsigned i = 0; i < scan.getSequences().size(); ++i)
    if (c.isLinear(scan.getSequences()[i]) && needed.contains(scan.getSlice(i)))
      slices.push_back(i);
}

LogicalResult ScanTranspose::run() {
  for (Value init : scan.getInits())
    if (!isDifferentiable(init)) {
      // A loop that a user's rule has written, which carries a value as well.
      c.getTransposer().refuse(scan, "it carries values beside tangents");
      return failure();
    }
  findCotangents();
  Location loc = scan.getLoc();
  unsigned count = scan.getNumCarried();
  Operation *yield = scan.getYield();
  DetachedRegion holder;
  Block &block = holder.emplaceBlock();
  OpBuilder inside = atEndOf(block, scan.getContext());

  // What the body is linear in: carried values, linear slices and captures.
  SmallVector<Value> linear(captures);
  for (unsigned i = 0; i < count; ++i)
    linear.push_back(scan.getCarried(i));
  for (unsigned i = 0; i < scan.getSequences().size(); ++i)
    if (c.isLinear(scan.getSequences()[i]))
      linear.push_back(scan.getSlice(i));
  Transposer body(inside, scan.getBlock(), linear, &c.getTransposer());

  SmallVector<Value> inits, sequences;
  SmallVector<Type> types;
  BlockArgument index =
      block.addArgument(scan.getIndex().getType(), scan.getIndex().getLoc());
  body.map(scan.getIndex(), index);
  SmallVector<std::pair<Value, Value>> incoming; // Yielded value, cotangent.
  for (unsigned i : carried) {
    inits.push_back(c.ofOrZeros(scan.getResult(i)));
    types.push_back(openLike(scan.getResult(i)));
    incoming.push_back(
        {yield->getOperand(i), block.addArgument(types.back(), loc)});
  }
  SmallVector<Value> sums;
  for (Value capture : captures) {
    inits.push_back(zerosLike(c.build, capture));
    types.push_back(openLike(capture));
    sums.push_back(block.addArgument(types.back(), loc));
  }
  for (unsigned i = count; i < scan->getNumResults(); ++i)
    if (Value ct = c.of(scan.getResult(i))) {
      sequences.push_back(ct);
      Value value = yield->getOperand(i);
      incoming.push_back({value, block.addArgument(openLike(value), loc)});
    }
  for (unsigned i = 0; i < scan.getSequences().size(); ++i) {
    Value sequence = scan.getSequences()[i];
    if (c.isLinear(sequence) || scan.getSlice(i).use_empty())
      continue;
    sequences.push_back(c.residual(sequence));
    body.map(scan.getSlice(i),
             block.addArgument(scan.getSlice(i).getType(), loc));
  }

  for (auto [value, cotangent] : incoming)
    if (body.isLinear(value))
      body.add(value, cotangent);
  if (failed(body.run()))
    return failure();

  FormulaBuilder atEnd(inside, loc, c.build.typeOf({}, inside.getF32Type()));
  SmallVector<Value> yields;
  for (unsigned i : carried) {
    Value ct = body.cotangentOf(scan.getCarried(i));
    yields.push_back(ct ? ct : zerosLike(atEnd, scan.getCarried(i)));
  }
  for (auto [capture, sum] : llvm::zip(captures, sums)) {
    Value ct = body.cotangentOf(capture);
    yields.push_back(ct ? atEnd.create<AddOp>(sum, ct) : sum);
  }
  SmallVector<unsigned> stacked;
  for (unsigned i : slices)
    if (Value ct = body.cotangentOf(scan.getSlice(i))) {
      yields.push_back(ct);
      types.push_back(openLike(scan.getSequences()[i]));
      stacked.push_back(i);
    }
  YieldOp::create(inside, loc, yields);

  UnitAttr reverse =
      scan.getReverse() ? UnitAttr() : UnitAttr::get(scan.getContext());
  auto made = ScanOp::create(c.getTransposer().getBuilder(), loc, types, inits,
                             sequences, scan.getLengthAttr(), reverse);
  made.getBody().takeBody(holder);
  unsigned from = 0;
  for (unsigned i : carried)
    c.add(scan.getInits()[i], made.getResult(from++));
  for (Value capture : captures)
    c.add(capture, made.getResult(from++));
  for (unsigned i : stacked)
    c.add(scan.getSequences()[i], made.getResult(from++));
  return success();
}

LogicalResult tessera::derivatives::transposeScan(ScanOp scan, Cotangents &c) {
  return ScanTranspose(scan, c).run();
}

LogicalResult tessera::derivatives::transposeWhile(WhileOp loop, Cotangents &) {
  InFlightDiagnostic error =
      loop.emitError() << "reverse mode cannot pass a while loop, whose number "
                          "of iterations is not known";
  error.attachNote() << "use ts.scan or ts.fori_loop with constant bounds, "
                        "whose iterations can be kept, or forward mode "
                        "(ts.jvp)";
  return error;
}

LogicalResult tessera::derivatives::transposeCond(CondOp cond, Cotangents &c) {
  SmallVector<Value> captures = linearCaptures(cond, c);
  std::vector<std::unique_ptr<DetachedRegion>> holders;
  SmallVector<SmallVector<Value>> cotangents;
  for (Region &region : cond.getBranches()) {
    Block &branch = region.front();
    holders.push_back(std::make_unique<DetachedRegion>());
    OpBuilder inside =
        atEndOf(holders.back()->emplaceBlock(), cond.getContext());
    Transposer body(inside, branch, captures, &c.getTransposer());
    for (unsigned i = 0; i < cond->getNumResults(); ++i) {
      Value value = branch.getTerminator()->getOperand(i);
      Value ct = c.of(cond.getResult(i));
      if (ct && body.isLinear(value))
        body.add(value, ct);
    }
    if (failed(body.run()))
      return failure();
    cotangents.push_back(llvm::map_to_vector(
        captures, [&](Value v) { return body.cotangentOf(v); }));
  }
  // Of what no branch gives a cotangent, none is needed.
  SmallVector<Value> given;
  SmallVector<Type> types;
  for (auto [i, capture] : llvm::enumerate(captures))
    if (llvm::any_of(cotangents, [&, i = i](const SmallVector<Value> &all) {
          return static_cast<bool>(all[i]);
        })) {
      given.push_back(capture);
      types.push_back(c.build.typeOf(shapeOf(capture),
                                     getElementTypeOrSelf(capture.getType())));
    }
  if (given.empty())
    return success();
  for (auto [holder, all] : llvm::zip(holders, cotangents)) {
    OpBuilder inside = atEndOf(holder->front(), cond.getContext());
    FormulaBuilder atEnd(inside, cond.getLoc(),
                         c.build.typeOf({}, inside.getF32Type()));
    SmallVector<Value> yields;
    for (auto [i, capture] : llvm::enumerate(captures))
      if (llvm::is_contained(given, capture))
        yields.push_back(all[i] ? all[i] : zerosLike(atEnd, capture));
    YieldOp::create(inside, cond.getLoc(), yields);
  }
  auto made =
      CondOp::create(c.getTransposer().getBuilder(), cond.getLoc(), types,
                     c.residual(cond.getSelector()), holders.size());
  for (auto [k, holder] : llvm::enumerate(holders))
    made.getBranches()[k].takeBody(*holder);
  for (auto [capture, result] : llvm::zip(given, made.getResults()))
    c.add(capture, result);
  return success();
}
