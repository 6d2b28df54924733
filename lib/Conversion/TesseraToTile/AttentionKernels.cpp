// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "AttentionKernels.h"
#include "RootBlocks.h"

#include "dialects/Tessera/IR/FormulaBuilder.h"

using namespace mlir;
using namespace tessera;

//===----------------------------------------------------------------------===//
// Which ops go together
//===----------------------------------------------------------------------===//

/// The first op of a kind in the block of `op` that is on the same scores.
template <typename Found, typename Op> static Found findOnScores(Op op) {
  Found first;
  for (Operation *user : op.getQuery().getUsers()) {
    auto found = dyn_cast<Found>(user);
    if (found && found->getBlock() == op->getBlock() &&
        found.getQuery() == op.getQuery() && found.getKey() == op.getKey() &&
        found.getBias() == op.getBias() &&
        found.getScaleAttr() == op.getScaleAttr() &&
        found.getCausal() == op.getCausal() &&
        (!first || found->isBeforeInBlock(first)))
      first = found;
  }
  return first;
}

AttentionLogsumexpOp tessera::findLogsumexp(AttentionOp op) {
  auto logsumexp = findOnScores<AttentionLogsumexpOp>(op);
  // Of several attentions on the scores, the first is computed with it. One
  // behind it may use values that are not there yet.
  return logsumexp && op->isBeforeInBlock(logsumexp) &&
                 findOnScores<AttentionOp>(logsumexp) == op
             ? logsumexp
             : AttentionLogsumexpOp();
}

static bool haveSameOperands(AttentionGradientOp a, AttentionGradientOp b) {
  return a->getOperands() == b->getOperands() &&
         a.getScaleAttr() == b.getScaleAttr() && a.getCausal() == b.getCausal();
}

/// Whether one block computes all gradients of a key head.
static bool isOfWholeHeads(AttentionGradientOp op, const TileSizes &sizes) {
  ArrayRef<int64_t> key = shapeOf(op.getKey());
  return key[0] * key[2] >= sizes.attentionGradientHeads;
}

std::vector<AttentionLaunch>
tessera::findAttentionLaunches(Block &block, const TileSizes &sizes) {
  std::vector<AttentionLaunch> launches;
  for (Operation &op : block) {
    if (isa<AttentionLogsumexpOp>(op)) {
      AttentionLaunch &launch = launches.emplace_back();
      launch.ops = {&op};
      launch.place = &op;
      continue;
    }
    auto gradient = dyn_cast<AttentionGradientOp>(op);
    if (!gradient)
      continue;
    auto goesWith = [&](const AttentionLaunch &launch) {
      auto first = dyn_cast<AttentionGradientOp>(launch.ops.front());
      bool ofQuery = gradient.getOf() == AttentionOperand::query;
      return first && haveSameOperands(first, gradient) &&
             (isOfWholeHeads(gradient, sizes) ||
              (first.getOf() == AttentionOperand::query) == ofQuery) &&
             llvm::none_of(launch.ops, [&](Operation *other) {
               return cast<AttentionGradientOp>(other).getOf() ==
                      gradient.getOf();
             });
    };
    auto found = llvm::find_if(launches, goesWith);
    if (found == launches.end())
      launches.push_back({{&op}, &op});
    else
      found->ops.push_back(&op);
  }
  for (auto attention : block.getOps<AttentionOp>())
    if (AttentionLogsumexpOp logsumexp = findLogsumexp(attention))
      for (AttentionLaunch &launch : launches)
        if (launch.ops.front() == logsumexp) {
          launch.ops.insert(launch.ops.begin(), attention);
          launch.place = attention;
        }
  auto order = [](Operation *op) {
    auto gradient = dyn_cast<AttentionGradientOp>(op);
    return gradient ? static_cast<int>(gradient.getOf())
                    : static_cast<int>(isa<AttentionLogsumexpOp>(op));
  };
  for (AttentionLaunch &launch : launches)
    llvm::sort(launch.ops,
               [&](Operation *a, Operation *b) { return order(a) < order(b); });
  return launches;
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

/// What the ops read, each value once.
static SmallVector<Value> inputsOf(const AttentionLaunch &launch) {
  llvm::SetVector<Value> inputs;
  for (Operation *op : launch.ops)
    inputs.insert(op->operand_begin(), op->operand_end());
  return inputs.takeVector();
}

/// The output that begins as zeros, and is added to: that of the queries, if
/// there are others.
static Operation *accumulatedOf(const AttentionLaunch &launch) {
  auto first = dyn_cast<AttentionGradientOp>(launch.ops.front());
  bool isAdded = first && first.getOf() == AttentionOperand::query &&
                 launch.ops.size() > 1;
  return isAdded ? first : nullptr;
}

namespace {
/// A kernel whose body is still empty.
struct NewKernel {
  NewKernel(OpBuilder &builder, const AttentionLaunch &launch, int64_t blocks);

  tile::KernelOp kernel;
  llvm::DenseMap<Value, Value> memories;
  SmallVector<Value> outputs;
};
} // namespace

NewKernel::NewKernel(OpBuilder &builder, const AttentionLaunch &launch,
                     int64_t blocks) {
  Location loc = launch.ops.back()->getLoc();
  SmallVector<Value> inputs = inputsOf(launch);
  Operation *accumulated = accumulatedOf(launch);
  DenseI64ArrayAttr initial;
  if (accumulated) {
    SmallVector<int64_t> begins(launch.ops.size(), -1);
    begins.front() = 0;
    initial = builder.getDenseI64ArrayAttr(begins);
  }
  int64_t count = static_cast<int64_t>(inputs.size()) + (accumulated ? 1 : 0);
  kernel = tile::KernelOp::create(builder, loc, builder.getStringAttr("kernel"),
                                  builder.getDenseI64ArrayAttr({blocks}),
                                  builder.getI64IntegerAttr(count), initial);
  Block *body = builder.createBlock(&kernel.getBody());
  if (accumulated)
    body->addArgument(memoryTypeOf(accumulated->getResult(0)), loc);
  for (Value input : inputs)
    memories[input] = body->addArgument(memoryTypeOf(input), loc);
  for (Operation *op : launch.ops)
    outputs.push_back(body->addArgument(memoryTypeOf(op->getResult(0)), loc));
  builder.setInsertionPointToEnd(body);
}

/// The attention, which may be null, and the logsumexp of its scores.
static tile::KernelOp buildLogsumexp(OpBuilder &builder,
                                     const AttentionLaunch &launch,
                                     const TileSizes &sizes) {
  auto op = cast<AttentionLogsumexpOp>(launch.ops.back());
  auto attention = dyn_cast<AttentionOp>(launch.ops.front());
  Value value = attention ? attention.getValue() : Value();
  ArrayRef<int64_t> shape = shapeOf(op.getQuery());
  int64_t columns = value ? shapeOf(value)[3] : 1;
  int64_t rows = BlockEmitter::chooseChunks(sizes, op, value).queries;
  SmallVector<int64_t> block = {1, rows, 1, columns};
  SmallVector<int64_t> counts = {shape[0], (shape[1] + rows - 1) / rows,
                                 shape[2], 1};
  NewKernel made(builder, launch, ShapedType::getNumElements(counts));
  BlockEmitter emitter(builder, sizes, made.memories);
  Location loc = op.getLoc();
  BlockBox box =
      blockOfProgram(builder, loc, emitter, block, counts, orderOfHeads);
  auto tiles = emitter.emitAttention(op, value, box);
  if (!tiles) {
    made.kernel.erase();
    return {};
  }
  if (attention)
    tile::StoreOp::create(builder, loc, tiles->result, made.outputs.front(),
                          box.offsets);
  tile::StoreOp::create(
      builder, loc, tiles->logsumexp, made.outputs.back(),
      ValueRange{box.offsets[0], box.offsets[2], box.offsets[1]});
  tile::ReturnOp::create(builder, loc);
  return made.kernel;
}

static tile::KernelOp buildGradients(OpBuilder &builder,
                                     const AttentionLaunch &launch,
                                     const TileSizes &sizes) {
  auto op = cast<AttentionGradientOp>(launch.ops.front());
  // A block is of one batch element and head: all gradients, those by some
  // queries, or those by some keys.
  bool isWhole = accumulatedOf(launch) != nullptr;
  bool isOfQueries = !isWhole && op.getOf() == AttentionOperand::query;
  ArrayRef<int64_t> shape = shapeOf(isOfQueries ? op.getQuery() : op.getKey());
  AttentionChunks chunks = BlockEmitter::chooseGradientChunks(sizes, op);
  int64_t size = isWhole       ? shape[1]
                 : isOfQueries ? chunks.queries
                               : chunks.keys;
  SmallVector<int64_t> block = {1, size, 1};
  SmallVector<int64_t> counts = {shape[0], (shape[1] + size - 1) / size,
                                 shape[2]};
  NewKernel made(builder, launch, ShapedType::getNumElements(counts));
  BlockEmitter emitter(builder, sizes, made.memories);
  BlockEmitter::AttentionGradients outputs;
  for (auto [each, output] : llvm::zip_equal(launch.ops, made.outputs))
    switch (cast<AttentionGradientOp>(each).getOf()) {
    case AttentionOperand::query:
      outputs.query = output;
      break;
    case AttentionOperand::key:
      outputs.key = output;
      break;
    case AttentionOperand::value:
      outputs.value = output;
      break;
    }
  BlockBox box = blockOfProgram(builder, op.getLoc(), emitter, block, counts);
  Value first = isWhole ? Value() : box.offsets[1];
  if (!emitter.emitAttentionGradients(
          op, outputs, {box.offsets[0], box.offsets[2], first})) {
    made.kernel.erase();
    return {};
  }
  tile::ReturnOp::create(builder, op.getLoc());
  return made.kernel;
}

tile::KernelOp tessera::buildAttentionKernel(OpBuilder &builder,
                                             const AttentionLaunch &launch,
                                             const TileSizes &sizes) {
  return isa<AttentionGradientOp>(launch.ops.front())
             ? buildGradients(builder, launch, sizes)
             : buildLogsumexp(builder, launch, sizes);
}

void tessera::launchAttentionKernel(OpBuilder &builder,
                                    const AttentionLaunch &launch,
                                    tile::KernelOp kernel) {
  Location loc = launch.ops.back()->getLoc();
  SmallVector<Value> inputs = inputsOf(launch);
  if (Operation *accumulated = accumulatedOf(launch)) {
    Type type = accumulated->getResult(0).getType();
    FormulaBuilder build(builder, loc, type);
    inputs.insert(inputs.begin(),
                  build.numberLike(0, accumulated->getResult(0)));
  }
  SmallVector<Type> types;
  for (Operation *op : launch.ops)
    types.push_back(op->getResult(0).getType());
  auto made = tile::LaunchOp::create(
      builder, loc, types, FlatSymbolRefAttr::get(kernel.getSymNameAttr()),
      inputs);
  for (auto [op, result] : llvm::zip_equal(launch.ops, made.getOutputs())) {
    op->getResult(0).replaceAllUsesWith(result);
    op->erase();
  }
}
