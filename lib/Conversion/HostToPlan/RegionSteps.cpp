// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Loops and conditionals. What Storage could not put where it is wanted is
// copied: before a loop, and at the end of a body or branch.
#include "ProgramBuilder.h"

using namespace mlir;
using namespace tessera;

void ProgramBuilder::addTransfers(SmallVector<Transfer> transfers,
                                  Location loc) {
  llvm::erase_if(transfers, [](Transfer each) { return each.from == each.to; });
  llvm::DenseSet<Value> written;
  for (Transfer each : transfers)
    written.insert(each.to);
  auto copy = [&](Value from, Value to) {
    plan::CopyOp::create(builder, loc, from, to);
  };
  for (Transfer &each : transfers) {
    if (!written.contains(each.from))
      continue;
    Value saved = plan::AllocateOp::create(builder, loc, each.from.getType(),
                                           IntegerAttr());
    copy(each.from, saved);
    each.from = saved;
  }
  for (Transfer each : transfers)
    copy(each.from, each.to);
}

LogicalResult ProgramBuilder::addBody(Region &from, Region &to,
                                      llvm::function_ref<void()> begin,
                                      llvm::function_ref<void()> end) {
  OpBuilder::InsertionGuard guard(builder);
  if (to.empty())
    to.emplaceBlock();
  blocks[&from.front()] = &to.front();
  builder.setInsertionPointToEnd(&to.front());
  begin();
  for (Operation &op : from.getOps())
    if (failed(addStep(op)))
      return failure();
  end();
  return success();
}

/// Carried values begin in memory of their own where what they begin with is
/// needed later, or cannot be written.
void ProgramBuilder::addInits(Operation *loop) {
  SmallVector<Transfer> transfers;
  for (const CarriedValue &carry : storage.carriesOf(loop))
    transfers.push_back({bufferOf(carry.init, loop->getLoc()),
                         bufferOf(carry.argument, loop->getLoc())});
  addTransfers(std::move(transfers), loop->getLoc());
}

/// At the end of the body, next values are copied to where the value is, unless
/// they are there or their memory is exchanged.
void ProgramBuilder::addNexts(Operation *loop, SmallVector<Transfer> more) {
  for (const CarriedValue &carry : storage.carriesOf(loop))
    if (!carry.isExchanged)
      more.push_back({bufferOf(carry.next, loop->getLoc()),
                      bufferOf(carry.argument, loop->getLoc())});
  addTransfers(std::move(more), loop->getLoc());
}

void ProgramBuilder::addResults(Operation *loop, std::optional<int64_t> trips) {
  SmallVector<Transfer> transfers;
  for (const CarriedValue &carry : storage.carriesOf(loop)) {
    bool isInNext = carry.isExchanged && trips && *trips % 2 != 0;
    transfers.push_back(
        {bufferOf(isInNext ? carry.next : carry.argument, loop->getLoc()),
         bufferOf(carry.result, loop->getLoc())});
  }
  addTransfers(std::move(transfers), loop->getLoc());
}

void ProgramBuilder::exchanged(Operation *loop, SmallVector<Value> &current,
                               SmallVector<Value> &next) {
  for (const CarriedValue &carry : storage.carriesOf(loop)) {
    if (!carry.isExchanged)
      continue;
    current.push_back(bufferOf(carry.argument, loop->getLoc()));
    next.push_back(bufferOf(carry.next, loop->getLoc()));
  }
}

LogicalResult ProgramBuilder::addScan(ScanOp op) {
  Location loc = op.getLoc();
  Block &body = op.getBody().front();
  size_t count = op.getInits().size();
  addInits(op);

  Value index;
  if (!body.getArgument(0).use_empty()) {
    index = allocate(bufferType(body.getArgument(0).getType()), op->getBlock(),
                     loc);
    buffers[storage.setOf(body.getArgument(0))] = index;
  }
  // Windows over the sequences that are used, and over the stacked results.
  SmallVector<Value> bases, current, next;
  SmallVector<Type> windowTypes;
  SmallVector<BlockArgument> slices;
  for (auto [sequence, slice] : llvm::zip_equal(
           op.getSequences(), body.getArguments().drop_front(1 + count))) {
    if (slice.use_empty())
      continue;
    bases.push_back(bufferOf(sequence, loc));
    windowTypes.push_back(bufferType(slice.getType()));
    slices.push_back(slice);
  }
  Operation *yield = body.getTerminator();
  SmallVector<OpResult> stackedResults; // That no sequence's windows are of.
  for (OpResult stacked : op->getResults().drop_front(count)) {
    if (storage.isUpdated(op, stacked.getResultNumber()))
      continue;
    Value entry = yield->getOperand(stacked.getResultNumber());
    stackedResults.push_back(stacked);
    bases.push_back(bufferOf(stacked, loc));
    windowTypes.push_back(bufferType(entry.getType()));
  }
  exchanged(op, current, next);

  auto loop = plan::LoopOp::create(
      builder, loc, builder.getI64IntegerAttr(op.getLength()),
      op.getReverse() ? builder.getUnitAttr() : UnitAttr(), index, bases,
      current, next);
  Block &steps = loop.getBody().emplaceBlock();
  for (Type type : windowTypes)
    steps.addArgument(type, loc);
  auto entries = steps.getArguments().drop_front(slices.size());
  auto begin = [&] {
    for (auto [slice, window] :
         llvm::zip(slices, steps.getArguments().take_front(slices.size()))) {
      if (storage.memoryOf(slice).kind == Memory::Kind::Window)
        buffers[storage.setOf(slice)] = window;
      else // Not aligned as kernels need it.
        plan::CopyOp::create(builder, loc, window, bufferOf(slice, loc));
    }
    for (auto [stacked, window] : llvm::zip_equal(stackedResults, entries)) {
      Value entry = yield->getOperand(stacked.getResultNumber());
      const Memory &memory = storage.memoryOf(entry);
      if (memory.kind == Memory::Kind::Window && memory.value == stacked)
        buffers[storage.setOf(entry)] = window;
    }
  };
  auto end = [&] {
    SmallVector<Transfer> transfers;
    for (auto [stacked, window] : llvm::zip_equal(stackedResults, entries)) {
      Value entry = yield->getOperand(stacked.getResultNumber());
      transfers.push_back({bufferOf(entry, loc), window});
    }
    addNexts(op, std::move(transfers));
  };
  if (failed(addBody(op.getBody(), loop.getBody(), begin, end)))
    return failure();
  addResults(op, op.getLength());
  return success();
}

LogicalResult ProgramBuilder::addWhile(tessera::WhileOp op) {
  Location loc = op.getLoc();
  addInits(op);
  Block &condition = op.getCondition().front();
  Value predicate = condition.getTerminator()->getOperand(0);
  Value buffer =
      storage.isOutside(predicate, op)
          ? bufferOf(predicate, loc)
          : allocate(bufferType(predicate.getType()), op->getBlock(), loc);
  SmallVector<Value> current, next;
  exchanged(op, current, next);
  auto loop = plan::WhileOp::create(builder, loc, buffer, current, next);
  if (failed(addBody(
          op.getCondition(), loop.getCondition(), [] {},
          [&] { addTransfers({{bufferOf(predicate, loc), buffer}}, loc); })) ||
      failed(addBody(
          op.getBody(), loop.getBody(), [] {}, [&] { addNexts(op, {}); })))
    return failure();
  addResults(op, std::nullopt);
  return success();
}

LogicalResult ProgramBuilder::addCond(CondOp op) {
  Location loc = op.getLoc();
  for (Value result : op->getResults())
    bufferOf(result, loc);
  auto conditional =
      plan::IfOp::create(builder, loc, bufferOf(op.getSelector(), loc),
                         static_cast<unsigned>(op.getBranches().size()));
  for (auto [from, to] :
       llvm::zip_equal(op.getBranches(), conditional.getBranches())) {
    Operation *yield = from.front().getTerminator();
    auto end = [&] {
      SmallVector<Transfer> transfers;
      for (auto [value, result] :
           llvm::zip_equal(yield->getOperands(), op->getResults()))
        transfers.push_back({bufferOf(value, loc), bufferOf(result, loc)});
      addTransfers(std::move(transfers), loc);
    };
    if (failed(addBody(from, to, [] {}, end)))
      return failure();
  }
  return success();
}
