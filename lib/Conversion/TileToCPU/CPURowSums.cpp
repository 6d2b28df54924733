// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Products that a scatter adds to rows of memory which follow one another: each
// register block is added there when it is complete, and memory is fetched
// while it is multiplied. A pass over the rows would wait for memory alone.
#include "CPUProductEmitter.h"

#include "dialects/Tile/IR/IndexRange.h"
#include "dialects/Tile/IR/KernelAnalysis.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

/// The index that `indices` count on from; null where they do not.
static Value firstOfIndices(Value indices) {
  auto add = indices.getDefiningOp<arith::AddIOp>();
  auto iota = add ? add.getLhs().getDefiningOp<IotaOp>() : IotaOp();
  auto splat = add ? add.getRhs().getDefiningOp<SplatOp>() : SplatOp();
  if (!iota || !splat)
    return {};
  auto cast = splat.getInput().getDefiningOp<arith::IndexCastOp>();
  return cast ? cast.getIn() : Value();
}

/// The scatter that all of the result of `op` goes to, and nowhere else.
static ScatterOp onlyScatterOf(DotOp op) {
  Value value = op.getResult();
  while (value.hasOneUse()) {
    Operation *user = *value.user_begin();
    if (user->getBlock() != op->getBlock())
      return {};
    if (auto scatter = dyn_cast<ScatterOp>(user))
      return scatter.getRows() == value ? scatter : ScatterOp();
    auto reshape = dyn_cast<ReshapeOp>(user);
    if (!reshape)
      return {};
    value = reshape.getResult();
  }
  return {};
}

/// The rows of memory that the result of `op` is added to, with the scatter
/// that does it taken off the walk; null where there are none, where they may
/// be outside, or hold another type. The rows are added earlier than the kernel
/// says, which nothing sees: kernels do not read outputs, nor an input that one
/// begins as, and what lies between is computed of other memory.
CPUKernelEmitter::Buffer *
CPUKernelEmitter::ProductEmitter::takeRowsOfMemory(DotOp op, int64_t panel) {
  ScatterOp scatter = onlyScatterOf(op);
  Value first = scatter ? firstOfIndices(scatter.getIndices()) : Value();
  auto type = cast<RankedTensorType>(op.getType());
  if (!first || scatter.getKind() != ScatterKind::add ||
      !isZeroTile(op.getAcc()) || type.getDimSize(1) % panel != 0)
    return nullptr;
  ArrayRef<int64_t> box = scatter.getRows().getType().getShape();
  auto memref = cast<MemRefType>(scatter.getMemory().getType());
  auto [strides, offset] = memref.getStridesAndOffset();
  bool isInBounds =
      isProvenInBounds(first, box[0], memref.getDimSize(0)) &&
      llvm::all_of(llvm::enumerate(scatter.getOffsets()), [&](auto at) {
        size_t d = at.index() + 1;
        return isProvenInBounds(at.value(), box[d], memref.getDimSize(d));
      });
  // A row of the product is one of the box.
  if (!isInBounds || box.front() != type.getDimSize(0) ||
      box.back() != type.getDimSize(1) || strides.back() != 1 ||
      memref.getElementType() != type.getElementType())
    return nullptr;
  // What says where the rows are is computed behind the product.
  SmallVector<Operation *> between;
  for (Operation *next = op->getNextNode(); next != scatter;
       next = next->getNextNode()) {
    bool isPlace = isa<memref::ReinterpretCastOp>(next) ||
                   (isPure(next) && next->getNumRegions() == 0 &&
                    llvm::none_of(next->getResults(), isTile));
    if (isPlace)
      between.push_back(next);
    else if (!isVirtualTileOp(next))
      return nullptr;
  }
  for (Operation *place : between)
    if (failed(emitter.emitOp(place)))
      llvm_unreachable("arithmetic and casts of memory that were checked");
  emitter.emittedBefore.insert_range(between);
  emitter.emittedBefore.insert(scatter);
  Indices coordinates = {emitter.scalars.lookupOrDefault(first)};
  for (Value at : scatter.getOffsets())
    coordinates.push_back(emitter.scalars.lookupOrDefault(at));
  Memory memory = emitter.memories.lookup(scatter.getMemory());
  return tiles.view(emitter.address(memory, coordinates), type.getShape(),
                    {memory.strides.front(), 1}, type.getElementType());
}
