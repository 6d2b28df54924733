// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Puts values that are one and the same, or become one another, into one memory
// where it does no harm.
#include "Storage.h"

#include "dialects/Dist/IR/Dist.h"
#include "dialects/Tile/IR/KernelAnalysis.h"
#include "dialects/Tile/IR/Tile.h"

#include "llvm/ADT/SmallBitVector.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tessera;

static Block *commonBlock(Block *a, Block *b) {
  while (!b->getParent()->isAncestor(a->getParent()))
    b = b->getParentOp()->getBlock();
  return b;
}

/// Whether `block` is inside of `op`, at any depth.
static bool isInside(Block *block, Operation *op) {
  return op->isAncestor(block->getParentOp());
}

void Storage::allowInPlace(Operation *op) {
  if (auto reduce = dyn_cast<dist::AllReduceOp>(op)) {
    sharing.allowInPlace(idOf(reduce.getInput()), idOf(reduce.getResult()));
    return;
  }
  // A value that is not copied to where the loop carries it.
  auto allowInits = [&](ValueRange inits, ValueRange arguments) {
    for (auto [init, argument] : llvm::zip_equal(inits, arguments))
      sharing.allowInPlace(idOf(init), idOf(argument));
  };
  if (auto scan = dyn_cast<ScanOp>(op)) {
    size_t count = scan.getInits().size();
    allowInits(scan.getInits(), scan.getBody().getArguments().slice(1, count));
  } else if (auto loop = dyn_cast<tessera::WhileOp>(op)) {
    allowInits(loop.getInits(), loop.getCondition().getArguments());
  }
  auto launch = dyn_cast<tile::LaunchOp>(op);
  if (!launch)
    return;
  auto kernel = SymbolTable::lookupNearestSymbolFrom<tile::KernelOp>(
      launch, launch.getKernelAttr());
  if (!kernel)
    return; // Reported where the launch is converted.
  int64_t numInputs = launch.getInputs().size();
  auto allow = [&](Value input, Value output) {
    // No other input may be there.
    if (llvm::count_if(launch.getInputs(), [&](Value other) {
          return idOf(other) == idOf(input);
        }) == 1)
      sharing.allowInPlace(idOf(input), idOf(output));
  };
  for (tile::AliasablePair pair : tile::getAliasablePairs(kernel))
    allow(launch.getInputs()[pair.input],
          launch.getOutputs()[pair.output - numInputs]);
  // The kernel does not read what an output begins as a copy of.
  for (auto [i, output] : llvm::enumerate(launch.getOutputs()))
    if (std::optional<unsigned> from = kernel.getInitialInput(i))
      allow(launch.getInputs()[*from], output);
}

/// Puts both into one memory, unless that is wrong or they are in different
/// memories that are not the arena's.
bool Storage::join(Value a, Value b) {
  int x = setOf(a), y = setOf(b);
  if (x == y)
    return true;
  Memory &first = memories[x], &second = memories[y];
  bool isFirstBound = first.kind != Memory::Kind::Arena;
  if (isFirstBound && second.kind != Memory::Kind::Arena)
    return false;
  Memory both = isFirstBound ? first : second;
  both.scope = commonBlock(first.scope, second.scope);
  // A window has one place for each iteration and none outside.
  if (both.kind == Memory::Kind::Window && !isInside(both.scope, both.loop))
    return false;
  if (!sharing.join(ids.lookup(rootOf(a)), ids.lookup(rootOf(b))))
    return false;
  memories[setOf(a)] = both;
  return true;
}

/// Makes the memory of `value` outlive the steps of `scope`, if it can.
bool Storage::moveOut(Value value, Block *scope) {
  Memory &memory = memories[setOf(value)];
  Block *common = commonBlock(memory.scope, scope);
  if (memory.kind == Memory::Kind::Window && !isInside(common, memory.loop))
    return false;
  memory.scope = common;
  return true;
}

/// Stacked results take the memory of sequences that a loop reads for the last
/// time, where an iteration writes its entry after it has read that of the
/// sequence: a cache of all layers, say, of which each updates its own.
void Storage::updateSequences(ScanOp op) {
  size_t carried = op.getInits().size();
  for (size_t result = carried; result < op->getNumResults(); ++result)
    for (size_t i = 0; i < op.getSequences().size(); ++i)
      if (updateSequence(op, result, i))
        break;
}

bool Storage::updateSequence(ScanOp op, unsigned result, unsigned number) {
  Block &body = op.getBody().front();
  Operation *yield = body.getTerminator();
  Value sequence = op.getSequences()[number], stacked = op.getResult(result);
  Value slice = body.getArgument(1 + op.getInits().size() + number);
  Value entry = yield->getOperand(result);
  auto isOf = [&](Value value) {
    return [&, value](Value other) { return rootOf(other) == rootOf(value); };
  };
  // Nothing else of the loop reads the sequence, or is the entry.
  if (slice.use_empty() || sequence.getType() != stacked.getType() ||
      memoryOf(slice).kind != Memory::Kind::Window ||
      memoryOf(slice).loop != op ||
      memoryOf(entry).kind != Memory::Kind::Arena ||
      !isComputedIn(entry, &body) ||
      llvm::count_if(op->getOperands(), isOf(sequence)) != 1 ||
      llvm::count_if(yield->getOperands(), isOf(entry)) != 1)
    return false;
  SmallVector<Value> names(aliasesOf.lookup(rootOf(sequence)));
  names.push_back(rootOf(sequence));
  for (Value name : names)
    for (Operation *user : name.getUsers())
      if (op.getBody().isAncestor(user->getParentRegion()))
        return false;
  StepOrder::Place place = order.of(op);
  if (rangeOf(rootOf(sequence)).end != place.end)
    return false;
  sharing.setWritable(idOf(slice), true);
  if (sharing.canJoin(idOf(slice), idOf(entry))) {
    // Until the loop ends the sequence is there in any case.
    sharing.setBegin(idOf(stacked), place.end);
    sharing.allowInPlace(idOf(sequence), idOf(stacked));
    if (join(sequence, stacked))
      return join(slice, entry);
    sharing.setBegin(idOf(stacked), place.begin);
  }
  sharing.setWritable(idOf(slice), false);
  return false;
}

bool Storage::isUpdated(ScanOp op, unsigned result) const {
  Block &body = op.getBody().front();
  Value entry = body.getTerminator()->getOperand(result);
  for (auto [sequence, slice] : llvm::zip_equal(
           op.getSequences(),
           body.getArguments().drop_front(1 + op.getInits().size())))
    if (isTogether(slice, entry) && isTogether(sequence, op.getResult(result)))
      return true;
  return false;
}

/// A result is written where it will be returned: into the memory of the
/// argument that it is tied to, or of its output.
void Storage::bindResults() {
  Operation *end = function.getBody().front().getTerminator();
  llvm::SmallBitVector isTied(end->getNumOperands());
  for (BlockArgument argument : function.getArguments())
    if (std::optional<int64_t> result = tiedResultOf(argument.getArgNumber())) {
      isTied.set(*result);
      join(argument, end->getOperand(*result));
    }
  for (auto [i, value] : llvm::enumerate(end->getOperands())) {
    Memory &memory = memories[setOf(value)];
    if (isTied[i] || memory.kind != Memory::Kind::Arena)
      continue;
    memory.kind = Memory::Kind::Output;
    memory.output = static_cast<int>(i);
  }
}

/// An output that begins as a copy of an input takes its memory where it can,
/// so that nothing is copied.
void Storage::shareUpdated(tile::LaunchOp launch) {
  auto kernel = SymbolTable::lookupNearestSymbolFrom<tile::KernelOp>(
      launch, launch.getKernelAttr());
  if (!kernel)
    return; // Reported where the launch is converted.
  for (auto [i, output] : llvm::enumerate(launch.getOutputs()))
    if (std::optional<unsigned> from = kernel.getInitialInput(i))
      join(launch.getInputs()[*from], output);
}

/// An output takes the memory of an input that is read for the last time, where
/// the kernel may overwrite it. Both are in the arena, where that saves a
/// piece.
void Storage::shareOverwritten(tile::LaunchOp launch) {
  auto kernel = SymbolTable::lookupNearestSymbolFrom<tile::KernelOp>(
      launch, launch.getKernelAttr());
  if (!kernel)
    return; // Reported where the launch is converted.
  auto isInArena = [&](Value value) {
    return memoryOf(value).kind == Memory::Kind::Arena;
  };
  int64_t numInputs = launch.getInputs().size();
  for (tile::AliasablePair pair : tile::getAliasablePairs(kernel)) {
    Value input = launch.getInputs()[pair.input];
    Value output = launch.getOutputs()[pair.output - numInputs];
    if (isInArena(input) && isInArena(output) &&
        memoryOf(input).scope == memoryOf(output).scope)
      join(input, output);
  }
}

void Storage::shareIn(Operation *op) {
  llvm::TypeSwitch<Operation *>(op)
      .Case([&](dist::AllReduceOp op) { join(op.getInput(), op.getResult()); })
      .Case([&](tile::LaunchOp op) { shareUpdated(op); })
      .Case([&](ScanOp op) { shareScan(op); })
      .Case([&](tessera::WhileOp op) { shareWhile(op); })
      .Case([&](CondOp op) { shareCond(op); });
}

/// Gives the next value memory that is exchanged with that of the value. After
/// an odd number of trips the result is there.
bool Storage::exchange(CarriedValue &carry, Operation *loop, Block *body,
                       std::optional<int64_t> trips) {
  if (!isComputedIn(carry.next, body))
    return false;
  const Memory &memory = memoryOf(carry.next);
  if (memory.kind == Memory::Kind::Window &&
      !isInside(loop->getBlock(), memory.loop))
    return false;
  for (const CarriedValue &other : carries[loop])
    if (isTogether(other.argument, carry.next) ||
        (other.isExchanged && isTogether(other.next, carry.next)))
      return false;
  if (trips && *trips % 2 != 0 && !join(carry.next, carry.result))
    return false;
  return moveOut(carry.next, loop->getBlock());
}

void Storage::shareLoop(Operation *loop, Block *body,
                        std::optional<int64_t> trips) {
  for (CarriedValue &carry : carries[loop]) {
    bool isOdd = trips && *trips % 2 != 0;
    // One value may be the next one of several.
    bool isTaken = llvm::any_of(carries[loop], [&](const CarriedValue &other) {
      return other.isExchanged && isTogether(other.next, carry.next);
    });
    // In place, if the step that writes the next value may.
    bool isInPlace = isTogether(carry.argument, carry.next) ||
                     (!isTaken && isComputedIn(carry.next, body) &&
                      join(carry.argument, carry.next));
    if (!isInPlace) {
      carry.isExchanged = exchange(carry, loop, body, trips);
      // It is written, or exchanged, when the iteration ends.
      sharing.extend(idOf(carry.argument), order.of(body->getTerminator()).end);
    }
    if (!(carry.isExchanged && isOdd))
      join(carry.argument, carry.result);
    join(carry.init, carry.argument);
    moveOut(carry.argument, loop->getBlock());
  }
}

void Storage::shareScan(ScanOp op) {
  Operation *yield = op.getBody().front().getTerminator();
  size_t count = op.getInits().size();
  SmallVector<CarriedValue> &values = carries[op];
  for (size_t i = 0; i < count; ++i)
    values.push_back({op.getInits()[i], op.getBody().getArgument(1 + i),
                      yield->getOperand(i), op.getResult(i)});
  shareLoop(op, &op.getBody().front(), op.getLength());
  // Stacked results are written entry by entry, where they are computed.
  for (size_t i = count; i < op->getNumResults(); ++i) {
    Value entry = yield->getOperand(i);
    Memory &memory = memories[setOf(entry)];
    if (memory.kind != Memory::Kind::Arena ||
        !isComputedIn(entry, &op.getBody().front()) ||
        !isInside(memory.scope, op) || !isAligned(entry.getType()))
      continue;
    memory.kind = Memory::Kind::Window;
    memory.value = op.getResult(i);
    memory.loop = op;
  }
}

void Storage::shareWhile(tessera::WhileOp op) {
  Operation *yield = op.getBody().front().getTerminator();
  SmallVector<CarriedValue> &values = carries[op];
  for (auto [i, init] : llvm::enumerate(op.getInits()))
    values.push_back({init, op.getCondition().getArgument(i),
                      yield->getOperand(i), op.getResult(i)});
  shareLoop(op, &op.getBody().front(), std::nullopt);
  Block &condition = op.getCondition().front();
  Value predicate = condition.getTerminator()->getOperand(0);
  if (isComputedIn(predicate, &condition))
    moveOut(predicate, op->getBlock());
}

void Storage::shareCond(CondOp op) {
  for (Region &branch : op.getBranches()) {
    Operation *yield = branch.front().getTerminator();
    for (auto [result, value] :
         llvm::zip_equal(op->getResults(), yield->getOperands()))
      if (isComputedIn(value, &branch.front()))
        join(result, value);
  }
}
