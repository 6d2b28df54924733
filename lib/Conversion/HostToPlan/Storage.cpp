// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Tensors, when they live, and what is in their memory to begin with.
// Sharing.cpp puts them together.
#include "Storage.h"

#include "dialects/Dist/IR/Boundary.h"
#include "dialects/Plan/IR/FilledConstants.h"
#include "dialects/Tile/IR/Tile.h"

#include "llvm/ADT/SmallBitVector.h"

using namespace mlir;
using namespace tessera;

bool tessera::isFilled(tessera::ConstantOp constant) {
  return plan::isFilled(constant.getValue());
}

static constexpr StringRef tiedName = "tessera.tied";

/// Why an argument cannot give its memory to a result, or nothing.
static std::optional<std::string>
findDifference(func::FuncOp function, unsigned argument, unsigned result) {
  auto text = [](auto value) {
    std::string text;
    llvm::raw_string_ostream(text) << value;
    return text;
  };
  for (StringRef name : {dist::layoutAttrName, dist::globalTypeAttrName}) {
    Attribute from = function.getArgAttr(argument, name);
    Attribute to = function.getResultAttr(result, name);
    if (from != to)
      return text(from) + " is not " + text(to);
  }
  Type from = function.getArgumentTypes()[argument];
  Type to = function.getResultTypes()[result];
  if (from != to)
    return text(from) + " is not " + text(to);
  return std::nullopt;
}

LogicalResult tessera::checkTies(func::FuncOp function) {
  llvm::SmallBitVector isTied(function.getNumResults());
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    Attribute attr = function.getArgAttr(i, tiedName);
    if (!attr)
      continue;
    Location loc = function.getArgument(i).getLoc();
    auto tie = dyn_cast<IntegerAttr>(attr);
    int64_t result = tie ? tie.getInt() : -1;
    if (result < 0 || result >= static_cast<int64_t>(isTied.size()))
      return emitError(loc) << "argument " << i << " is tied to result " << attr
                            << ", but the function has " << isTied.size()
                            << " results; expected an index of one";
    if (isTied[result])
      return emitError(loc)
             << "argument " << i << " is tied to result " << result
             << ", which another argument is tied to; a result takes the "
                "memory of one";
    isTied.set(result);
    std::optional<std::string> difference = findDifference(function, i, result);
    if (!difference)
      continue;
    emitRemark(loc) << "argument " << i << " is donated, but result " << result
                    << " cannot have its memory: " << *difference
                    << "; the result gets memory of its own";
    function.removeArgAttr(i, tiedName);
  }
  return success();
}

Storage::Storage(func::FuncOp function, const StorageOptions &options)
    : function(function), options(options), order(function.getBody()),
      tiedResults(function.getNumArguments()),
      tiedArguments(function.getNumResults()) {
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (auto tie = function.getArgAttrOfType<IntegerAttr>(i, tiedName)) {
      tiedResults[i] = tie.getInt();
      tiedArguments[tie.getInt()] = i;
    }
  addAliases();
  addValues();
  function.walk([&](Operation *op) { allowInPlace(op); });
  function.walk([&](ScanOp op) { updateSequences(op); });
  bindResults();
  function.walk<WalkOrder::PreOrder>([&](Operation *op) { shareIn(op); });
  function.walk([&](tile::LaunchOp launch) { shareOverwritten(launch); });
}

Value Storage::rootOf(Value value) const {
  for (auto alias = aliases.find(value); alias != aliases.end();
       alias = aliases.find(value))
    value = alias->second;
  return value;
}

int Storage::idOf(Value value) const {
  auto id = ids.find(rootOf(value));
  assert(id != ids.end() && "every tensor of the function has a number");
  return id->second;
}

/// Reshapes and barriers name the same bytes. Both regions of a while have the
/// carried values as arguments.
void Storage::addAliases() {
  function.walk([&](Operation *op) {
    if (auto reshape = dyn_cast<ReshapeOp>(op))
      aliases[reshape.getResult()] = reshape.getInput();
    if (auto barrier = dyn_cast<BarrierOp>(op))
      for (auto [result, input] :
           llvm::zip_equal(barrier->getResults(), barrier->getOperands()))
        aliases[result] = input;
    if (auto loop = dyn_cast<tessera::WhileOp>(op))
      for (auto [inCondition, inBody] :
           llvm::zip_equal(loop.getCondition().getArguments(),
                           loop.getBody().getArguments()))
        aliases[inBody] = inCondition;
  });
  for (auto [alias, value] : aliases)
    aliasesOf[rootOf(value)].push_back(alias);
}

/// Where `value` is read for the last time, or -1.
int64_t Storage::lastUseOf(Value value) const {
  int64_t last = -1;
  for (OpOperand &use : value.getUses())
    last = std::max(last, order.endOf(use, value.getParentBlock()));
  return last;
}

/// The loop that carries `value`, one of its block arguments.
static Operation *carryingLoop(Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  if (!argument)
    return nullptr;
  Operation *op = argument.getOwner()->getParentOp();
  if (isa<tessera::WhileOp>(op))
    return op;
  auto scan = dyn_cast<ScanOp>(op);
  unsigned number = argument.getArgNumber();
  return scan && number >= 1 && number <= scan.getInits().size() ? op : nullptr;
}

LiveRange Storage::rangeOf(Value root) const {
  LiveRange range;
  if (auto argument = dyn_cast<BlockArgument>(root)) {
    range.begin = order.of(argument.getParentRegion()).begin;
    // Carried values are written before the loop begins.
    if (Operation *loop = carryingLoop(root))
      range.begin = order.of(loop).begin;
  } else {
    Operation *op = root.getDefiningOp();
    StepOrder::Place place = order.of(op);
    auto scan = dyn_cast<ScanOp>(op);
    bool isStacked = scan && cast<OpResult>(root).getResultNumber() >=
                                 scan.getInits().size();
    // The entries of a stacked result are written all along.
    range.begin = isStacked ? place.begin : place.end;
  }
  range.end = std::max(range.begin, lastUseOf(root));
  if (auto found = aliasesOf.find(root); found != aliasesOf.end())
    for (Value alias : found->second)
      range.end = std::max(range.end, lastUseOf(alias));
  // The condition of a while leaves its arguments to the body.
  if (auto argument = dyn_cast<BlockArgument>(root))
    if (isa<tessera::WhileOp>(argument.getOwner()->getParentOp()))
      range.end = std::max(range.end, order.of(argument.getParentRegion()).end);
  return range;
}

void Storage::addValue(Value value) {
  if (aliases.count(value))
    return;
  Memory memory;
  memory.scope = value.getParentBlock();
  memory.value = value;
  bool isWritable = true;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    Operation *op = argument.getOwner()->getParentOp();
    unsigned number = argument.getArgNumber();
    if (op == function) {
      memory.kind = Memory::Kind::Argument;
      isWritable = tiedResultOf(number).has_value();
    } else if (auto scan = dyn_cast<ScanOp>(op);
               scan && number > scan.getInits().size() &&
               isAligned(value.getType())) {
      memory.kind = Memory::Kind::Window;
      memory.loop = op;
      isWritable = false;
    } else if (scan && number == 0) {
      memory.kind = Memory::Kind::Index;
      isWritable = false;
    }
  } else if (auto constant = value.getDefiningOp<tessera::ConstantOp>();
             constant && !isFilled(constant)) {
    memory.kind = Memory::Kind::Constant;
    isWritable = false;
  }
  ids[value] = sharing.add(rangeOf(value), isWritable);
  memories.push_back(memory);
}

void Storage::addValues() {
  for (BlockArgument argument : function.getArguments())
    addValue(argument);
  function.walk<WalkOrder::PreOrder>([&](Operation *op) {
    for (Value result : op->getResults())
      addValue(result);
    if (op == function)
      return;
    for (Region &region : op->getRegions())
      for (BlockArgument argument : region.getArguments())
        addValue(argument);
  });
}

bool Storage::isComputedIn(Value value, Block *block) const {
  Value root = rootOf(value);
  Operation *op = root.getDefiningOp();
  if (!op || op->getBlock() != block)
    return false;
  auto constant = dyn_cast<tessera::ConstantOp>(op);
  return !constant || isFilled(constant);
}

bool Storage::isAligned(Type entry) const {
  return plan::byteSizeOf(entry) % options.windowAlignment == 0;
}

bool Storage::isOutside(Value value, Operation *op) const {
  const Memory &memory = memoryOf(value);
  return memory.kind == Memory::Kind::Arena &&
         memory.scope->getParent()->isAncestor(op->getParentRegion());
}
