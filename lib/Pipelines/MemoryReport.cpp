// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "MemoryReport.h"

#include "ProgramReport.h"
#include "dialects/Dist/IR/Dist.h"
#include "dialects/Plan/IR/FilledConstants.h"
#include "dialects/Tessera/IR/StepOrder.h"
#include "dialects/Tessera/IR/Tessera.h"
#include "dialects/Tile/IR/KernelAnalysis.h"
#include "tessera/ABI/KernelABI.h"
#include "tessera/Analysis/MemoryPeak.h"

#include "llvm/ADT/MapVector.h"

#include <map>

using namespace mlir;
using namespace tessera;
namespace json = llvm::json;

/// Of the values that live at the peak as many kinds are named.
static constexpr size_t maxNamed = 8;

namespace {
/// The values of a host function as pieces of memory. Values in one piece have
/// one root.
class MemoryModel {
public:
  explicit MemoryModel(func::FuncOp entry);

  json::Object describe();

private:
  Value rootOf(Value value) const;
  /// Puts `value`, and what is where it is, into the memory of `other`.
  void put(Value value, Value other);
  void followStep(Operation *op);
  void followEdges(DataFlowInterface op);
  void followCarried(DataFlowInterface op, const DataFlowEdge &edge);
  bool isArena(Value root) const;
  bool isLastUse(Value value, Operation *op) const;
  bool mayWriteOver(Operation *step, Value read, Value written) const;
  void addLife(Value value);
  json::Array describeAlive(ArrayRef<size_t> alive);

  func::FuncOp entry;
  StepOrder order;
  llvm::DenseMap<Value, Value> others;
  llvm::DenseMap<Value, SmallVector<Value, 1>> members; ///< Of roots.
  llvm::DenseMap<Value, Operation *> loops; ///< That pieces live through.
  llvm::DenseSet<Value> parts; ///< Of sequences and of stacked results.
  /// Pieces of the arena by their roots, with the steps that use them.
  llvm::MapVector<Value, ArenaRequest> pieces;
};
} // namespace

MemoryModel::MemoryModel(func::FuncOp entry)
    : entry(entry), order(entry.getBody()) {
  entry.walk([&](Operation *op) {
    if (op != entry)
      followStep(op);
  });
  entry.walk([&](Operation *op) {
    for (Value result : op->getResults())
      addLife(result);
    if (op == entry)
      return;
    for (Region &region : op->getRegions())
      for (BlockArgument argument : region.getArguments())
        addLife(argument);
  });
  llvm::DenseSet<Value> returned;
  for (Value value : entry.getBody().front().getTerminator()->getOperands())
    returned.insert(rootOf(value));
  pieces.remove_if(
      [&](const auto &piece) { return returned.contains(piece.first); });
}

//===----------------------------------------------------------------------===//
// Values in one piece
//===----------------------------------------------------------------------===//

Value MemoryModel::rootOf(Value value) const {
  for (auto other = others.find(value); other != others.end();
       other = others.find(value))
    value = other->second;
  return value;
}

void MemoryModel::put(Value value, Value other) {
  Value from = rootOf(value), to = rootOf(other);
  if (from == to)
    return;
  SmallVector<Value, 1> moved = std::move(members[from]);
  moved.push_back(from);
  members.erase(from);
  llvm::append_range(members[to], moved);
  others[from] = to;
}

/// Whether no step behind `op` uses the memory of `value`, which is of the same
/// block.
bool MemoryModel::isLastUse(Value value, Operation *op) const {
  Value root = rootOf(value);
  auto isRead = [&](Value member) {
    return llvm::any_of(member.getUsers(), [&](Operation *user) {
      Operation *step = op->getBlock()->findAncestorOpInBlock(*user);
      return !step || (step != op && op->isBeforeInBlock(step));
    });
  };
  auto known = members.find(root);
  return root.getParentBlock() == op->getBlock() && !isRead(root) &&
         (known == members.end() || llvm::none_of(known->second, isRead));
}

static tile::KernelOp kernelOf(tile::LaunchOp launch) {
  return SymbolTable::lookupNearestSymbolFrom<tile::KernelOp>(
      launch, launch.getKernelAttr());
}

/// Whether `step`, which computes `written`, may do so in the memory of `read`.
bool MemoryModel::mayWriteOver(Operation *step, Value read,
                               Value written) const {
  auto launch = dyn_cast<tile::LaunchOp>(step);
  tile::KernelOp kernel = launch ? kernelOf(launch) : nullptr;
  if (!kernel)
    return isa<dist::AllReduceOp>(step);
  auto numInputs = static_cast<int64_t>(launch.getInputs().size());
  auto isRead = [&](Value input) { return rootOf(input) == rootOf(read); };
  if (llvm::count_if(launch.getInputs(), isRead) != 1)
    return llvm::none_of(launch.getInputs(), isRead);
  return llvm::any_of(
      tile::getAliasablePairs(kernel), [&](tile::AliasablePair pair) {
        return isRead(launch.getInputs()[pair.input]) &&
               launch.getOutputs()[pair.output - numInputs] == written;
      });
}

/// A carried value has one place, which is that of its initial value where
/// nothing else needs this.
void MemoryModel::followCarried(DataFlowInterface op,
                                const DataFlowEdge &edge) {
  Value place = edge.targets.front();
  loops[place] = op;
  for (Value target : llvm::drop_begin(edge.targets))
    put(target, place);
  for (OpOperand *source : edge.sources) {
    Value root = rootOf(source->get());
    if (root == place || parts.contains(root) || !isArena(root))
      continue;
    if (source->getOwner() == op) {
      if (isLastUse(root, op))
        put(root, place);
      continue;
    }
    // The next value. It takes the place if its step is the last that needs
    // the value, or else has one that is exchanged with it.
    if (!op->isAncestor(root.getParentBlock()->getParentOp()))
      continue;
    Operation *def = root.getDefiningOp();
    auto isDone = [&](Operation *user) {
      Operation *step = def->getBlock()->findAncestorOpInBlock(*user);
      return !step || step->isBeforeInBlock(def) ||
             (step == def && mayWriteOver(def, place, root));
    };
    bool isInPlace = def && llvm::all_of(edge.targets, [&](Value target) {
                       return llvm::all_of(target.getUsers(), isDone);
                     });
    if (isInPlace)
      put(root, place);
    else
      loops[root] = op;
  }
}

/// Whether a step within `op` computes `root`.
static bool isComputedIn(Value root, Operation *op) {
  Operation *def = root.getDefiningOp();
  return def && op->isProperAncestor(def) && !isa<ConstantOp>(def);
}

void MemoryModel::followEdges(DataFlowInterface op) {
  for (const DataFlowEdge &edge : op.getDataFlowEdges())
    switch (edge.kind) {
    case DataFlowEdge::Kind::Carried:
      followCarried(op, edge);
      break;
    case DataFlowEdge::Kind::Sequence:
      parts.insert(edge.targets.begin(), edge.targets.end());
      break;
    case DataFlowEdge::Kind::Stacked:
      loops[edge.targets.front()] = op;
      for (OpOperand *source : edge.sources)
        if (Value root = rootOf(source->get()); isComputedIn(root, op))
          parts.insert(root);
      break;
    case DataFlowEdge::Kind::Result:
      for (OpOperand *source : edge.sources)
        if (Value root = rootOf(source->get()); isComputedIn(root, op))
          put(root, edge.targets.front());
      break;
    case DataFlowEdge::Kind::Identity:
      for (Value target : edge.targets)
        put(target, edge.sources.front()->get());
      break;
    }
  // An index is next to nothing.
  for (Value value : op.getControlValues())
    parts.insert(value);
}

void MemoryModel::followStep(Operation *op) {
  if (auto flow = dyn_cast<DataFlowInterface>(op))
    return followEdges(flow);
  if (auto reshape = dyn_cast<ReshapeOp>(op))
    return put(reshape.getResult(), reshape.getInput());
  auto overwrite = [&](Value input, Value output) {
    if (isArena(rootOf(input)) && isLastUse(input, op))
      put(output, input);
  };
  if (auto reduce = dyn_cast<dist::AllReduceOp>(op))
    return overwrite(reduce.getInput(), reduce.getResult());
  auto launch = dyn_cast<tile::LaunchOp>(op);
  tile::KernelOp kernel = launch ? kernelOf(launch) : nullptr;
  if (!kernel)
    return;
  for (auto [i, output] : llvm::enumerate(launch.getOutputs()))
    if (std::optional<unsigned> from = kernel.getInitialInput(i))
      overwrite(launch.getInputs()[*from], output);
}

/// Whether the memory of `root` is neither an argument's nor a constant's.
bool MemoryModel::isArena(Value root) const {
  if (auto argument = dyn_cast<BlockArgument>(root))
    return argument.getOwner()->getParentOp() != entry;
  auto constant = root.getDefiningOp<ConstantOp>();
  return !constant || plan::isFilled(constant.getValue());
}

//===----------------------------------------------------------------------===//
// Lives
//===----------------------------------------------------------------------===//

/// Extends the piece that `value` is in by its life.
void MemoryModel::addLife(Value value) {
  Value root = rootOf(value);
  if (parts.contains(root) || !isArena(root))
    return;
  StepOrder::Place life;
  if (Operation *op = value.getDefiningOp())
    life.begin = order.of(op).end;
  else
    life.begin = order.of(value.getParentRegion()).begin;
  life.end = life.begin;
  for (OpOperand &use : value.getUses())
    life.end = std::max(life.end, order.endOf(use, root.getParentBlock()));
  for (Value member : {value, root})
    if (Operation *loop = loops.lookup(member)) {
      StepOrder::Place around = order.of(loop);
      life = {std::min(life.begin, around.begin),
              std::max(life.end, around.end)};
    }
  int64_t bytes = plan::byteSizeOf(value.getType());
  auto [known, isNew] = pieces.insert({root, {bytes, life.begin, life.end}});
  if (isNew)
    return;
  ArenaRequest &piece = known->second;
  piece = {std::max(piece.bytes, bytes), std::min(piece.begin, life.begin),
           std::max(piece.end, life.end)};
}

//===----------------------------------------------------------------------===//
// The report
//===----------------------------------------------------------------------===//

/// Pieces of one size and from one line are one entry; the largest first.
json::Array MemoryModel::describeAlive(ArrayRef<size_t> alive) {
  using Key = std::tuple<int64_t, std::string, int64_t>;
  llvm::MapVector<Key, int64_t, std::map<Key, unsigned>> counts;
  for (size_t number : alive) {
    const auto &[root, piece] = pieces.begin()[number];
    auto [file, line] = sourceOf(root.getLoc());
    ++counts[{piece.bytes, file, line}];
  }
  SmallVector<std::pair<Key, int64_t>> sorted(counts.begin(), counts.end());
  llvm::sort(sorted, [](const auto &a, const auto &b) {
    int64_t first = std::get<0>(a.first) * a.second;
    int64_t second = std::get<0>(b.first) * b.second;
    return first != second ? first > second : a.first < b.first;
  });
  json::Array result;
  for (const auto &[key, count] : ArrayRef(sorted).take_front(maxNamed))
    result.push_back(json::Object{{"bytes", std::get<0>(key)},
                                  {"count", count},
                                  {"file", std::get<1>(key)},
                                  {"line", std::get<2>(key)}});
  return result;
}

json::Object MemoryModel::describe() {
  std::vector<ArenaRequest> requests;
  for (const auto &[root, piece] : pieces)
    requests.push_back(piece);
  MemoryPeak peak = findMemoryPeak(requests, abi::bufferAlignment);
  int64_t arguments = 0, results = 0;
  for (Type type : entry.getArgumentTypes())
    arguments += plan::byteSizeOf(type);
  for (Type type : entry.getResultTypes())
    results += plan::byteSizeOf(type);
  // A result that is tied to an argument is in its memory. A tie to no result
  // is an error of the next stage.
  for (unsigned i = 0; i < entry.getNumArguments(); ++i) {
    auto tie = entry.getArgAttrOfType<IntegerAttr>(i, "tessera.tied");
    int64_t result = tie ? tie.getInt() : -1;
    Type type = entry.getArgumentTypes()[i];
    if (result >= 0 && result < static_cast<int64_t>(entry.getNumResults()) &&
        entry.getResultTypes()[result] == type)
      results -= plan::byteSizeOf(type);
  }
  return json::Object{{"arguments", arguments},
                      {"results", results},
                      {"activations", peak.bytes},
                      {"alive", describeAlive(peak.alive)}};
}

void tessera::reportMemory(func::FuncOp entry, Report &report) {
  report.set("memory", MemoryModel(entry).describe());
}
