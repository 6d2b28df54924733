// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "UpdateKernels.h"
#include "RootBlocks.h"

using namespace mlir;
using namespace tessera;

namespace {
/// Builds one kernel whose output begins as a copy of its first input.
class UpdateKernelBuilder {
public:
  UpdateKernelBuilder(OpBuilder &builder, Operation *op, ArrayRef<Value> inputs,
                      const TileSizes &sizes)
      : builder(builder), op(op), inputs(inputs), sizes(sizes) {}

  tile::KernelOp build();

private:
  void chooseBlocks(DynamicUpdateSliceOp update);
  void chooseBlocks(ScatterOp scatter);
  bool fill(DynamicUpdateSliceOp update, BlockEmitter &emitter, BlockBox box);
  void store(Value tile, ValueRange offsets);

  OpBuilder &builder;
  Operation *op;
  ArrayRef<Value> inputs;
  const TileSizes &sizes;
  /// Of the update: the size of a block, and the number of blocks.
  SmallVector<int64_t> block, counts;
  int64_t rowParts = 1; ///< Of what a scatter writes.
  Value output;
};
} // namespace

void UpdateKernelBuilder::chooseBlocks(DynamicUpdateSliceOp update) {
  SmallVector<int64_t> shape = BlockEmitter::shapeOf1(update.getUpdate());
  std::vector<int64_t> plain(shape.begin(), shape.end());
  std::vector<bool> whole(shape.size(), false);
  std::vector<int64_t> chosen =
      chooseBlock(plain, whole, sizes.pointwiseElements);
  block.assign(chosen.begin(), chosen.end());
  // On a GPU no two blocks may write one element, not even with the same value.
  tile::TargetAttr target = tile::TargetAttr::of(op);
  if (target && target.isGPU())
    for (auto [extent, size] : llvm::zip_equal(shape, block))
      while (extent % size != 0)
        --size;
  for (auto [extent, size] : llvm::zip_equal(shape, block))
    counts.push_back(llvm::divideCeil(extent, size));
}

/// Blocks never touch the same element: each has one entry of the batch, some
/// columns, and all positions. Where those are few blocks, each has some of the
/// rows that are written, and skips the positions of others; rows that are
/// short would take less time than that.
void UpdateKernelBuilder::chooseBlocks(ScatterOp scatter) {
  SmallVector<int64_t> shape = BlockEmitter::shapeOf1(scatter.getUpdates());
  std::vector<IndexedDims::Slice> slices = scatter.getIndexedDims().slices();
  std::vector<int64_t> columns(shape.size(), 1);
  for (auto [d, slice] : llvm::enumerate(slices))
    if (slice.indices < 0)
      columns[d] = shape[d];
  // A quarter of a block's elements in columns leaves some for positions.
  std::vector<int64_t> chosen =
      chooseBlock(columns, std::vector<bool>(shape.size(), false),
                  std::max<int64_t>(1, sizes.pointwiseElements / 4));
  int64_t elements = 1;
  for (int64_t size : chosen)
    elements *= size;
  block.assign(chosen.begin(), chosen.end());
  counts.assign(shape.size(), 1);
  bool isFirst = true;
  for (auto [d, slice] : llvm::enumerate(slices)) {
    if (slice.source >= 0) {
      counts[d] = llvm::divideCeil(shape[d], block[d]);
      continue;
    }
    block[d] = shape[d];
    if (isFirst)
      block[d] = std::min(
          shape[d], std::max<int64_t>(1, sizes.pointwiseElements / elements));
    isFirst = false;
  }
  constexpr int64_t shortestRow = 64;
  int64_t blocks = std::max<int64_t>(1, ShapedType::getNumElements(counts));
  int64_t work = ShapedType::getNumElements(shape) / blocks;
  if (elements >= shortestRow && work >= sizes.pointwiseElements)
    rowParts = llvm::divideCeil(sizes.scatterBlocks, blocks);
}

void UpdateKernelBuilder::store(Value tile, ValueRange offsets) {
  Location loc = op->getLoc();
  Type stored = cast<MemRefType>(output.getType()).getElementType();
  auto type = cast<RankedTensorType>(tile.getType());
  if (type.getElementType().isInteger(1))
    tile = arith::ExtUIOp::create(builder, loc, type.clone(stored), tile);
  tile::StoreOp::create(builder, loc, tile, output, offsets);
}

bool UpdateKernelBuilder::fill(DynamicUpdateSliceOp update,
                               BlockEmitter &emitter, BlockBox box) {
  Location loc = op->getLoc();
  SmallVector<int64_t> shape = BlockEmitter::shapeOf1(update.getUpdate());
  // Elements past the end of the update must not be written: the last blocks
  // begin earlier instead, and write some elements again (on a CPU).
  for (auto [d, offset] : llvm::enumerate(box.offsets))
    if (shape[d] % block[d] != 0)
      offset = arith::MinSIOp::create(
          builder, loc, offset, emitter.constantIndex(shape[d] - block[d]));
  Value tile = emitter.emit(update.getUpdate(), box);
  if (!tile)
    return false;
  SmallVector<Value> offsets(box.offsets);
  for (auto [d, start] : llvm::enumerate(update.getStarts())) {
    Value first =
        emitter.emitStart(start, shapeOf(update.getInput())[d] - shape[d]);
    if (!first)
      return false;
    offsets[d] = emitter.addIndices(offsets[d], first);
  }
  store(tile, offsets);
  return true;
}

tile::KernelOp UpdateKernelBuilder::build() {
  Location loc = op->getLoc();
  auto update = dyn_cast<DynamicUpdateSliceOp>(op);
  if (update)
    chooseBlocks(update);
  else
    chooseBlocks(cast<ScatterOp>(op));
  auto kernel = tile::KernelOp::create(
      builder, loc, builder.getStringAttr("kernel"),
      builder.getDenseI64ArrayAttr(
          {rowParts * ShapedType::getNumElements(counts)}),
      builder.getI64IntegerAttr(inputs.size() + 1),
      builder.getDenseI64ArrayAttr({0}));
  Block *body = builder.createBlock(&kernel.getBody());
  body->addArgument(memoryTypeOf(op->getOperand(0)), loc);
  llvm::DenseMap<Value, Value> memories;
  for (Value input : inputs)
    memories[input] = body->addArgument(memoryTypeOf(input), loc);
  output = body->addArgument(memoryTypeOf(op->getResult(0)), loc);
  builder.setInsertionPointToEnd(body);
  BlockEmitter emitter(builder, sizes, memories);
  block.push_back(1);
  counts.push_back(rowParts);
  BlockBox box = blockOfProgram(builder, loc, emitter, block, counts);
  Value part = box.offsets.pop_back_val();
  box.sizes.pop_back();
  bool isBuilt = update ? fill(update, emitter, box)
                        : emitter.scatter(cast<ScatterOp>(op), output, box,
                                          {part, rowParts});
  if (!isBuilt) {
    kernel.erase();
    return {};
  }
  tile::ReturnOp::create(builder, loc);
  return kernel;
}

tile::KernelOp tessera::buildUpdateKernel(OpBuilder &builder, Operation *op,
                                          ArrayRef<Value> inputs,
                                          const TileSizes &sizes) {
  return UpdateKernelBuilder(builder, op, inputs, sizes).build();
}
