// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Which tiles are kept in buffers, and the loops that carry them.
#include "CPUProductEmitter.h"
#include "lib/Conversion/TileKernels/ScratchTiles.h"

#include "dialects/Tile/IR/KernelAnalysis.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

CPUKernelEmitter::CPUKernelEmitter(KernelOp kernel, OpBuilder &builder,
                                   ValueRange pointers, Value block,
                                   Block *entry, int64_t lanes)
    : KernelEmitterBase(kernel, builder, pointers, entry, "CPU"), block(block),
      lanes(lanes), code(builder, loc, constants), tiles(code, entry, lanes),
      kept(getKeptTiles(kernel)) {}

/// The linear index counts the first grid dimension fastest.
Value CPUKernelEmitter::programId(unsigned dim) {
  Value index = block;
  ArrayRef<int64_t> grid = kernel.getGrid();
  for (unsigned d = 0; d < dim; ++d)
    index = arith::DivUIOp::create(builder, loc, index, constant(grid[d]));
  if (dim + 1 < grid.size())
    index = arith::RemUIOp::create(builder, loc, index, constant(grid[dim]));
  return index;
}

/// Whether `tile` is computed for a product that reads it column by column, and
/// for something else.
bool CPUKernelEmitter::isComputedFactor(Value tile) {
  auto isFactor = [](Operation *user) {
    auto turned = dyn_cast<TransOp>(user);
    return turned && llvm::any_of(turned->getUsers(), [&](Operation *of) {
             auto dot = dyn_cast<DotOp>(of);
             return dot && dot.getLhs() == turned.getResult();
           });
  };
  return OpTrait::hasElementwiseMappableTraits(tile.getDefiningOp()) &&
         cast<RankedTensorType>(tile.getType()).getRank() == 2 &&
         !tile.hasOneUse() && llvm::any_of(tile.getUsers(), isFactor);
}

/// Whether `op` computes, in a loop, a row or column that a broadcast repeats.
static bool isRowOfLoop(Operation *op) {
  if (!OpTrait::hasElementwiseMappableTraits(op) ||
      !isa<scf::ForOp>(op->getParentOp()))
    return false;
  Value tile = op->getResult(0);
  int64_t elements = cast<RankedTensorType>(tile.getType()).getNumElements();
  auto repeats = [&](Operation *user) {
    while (isa<ReshapeOp>(user) && user->hasOneUse())
      user = *user->user_begin();
    return isa<BroadcastOp>(user) &&
           cast<RankedTensorType>(user->getResult(0).getType())
                   .getNumElements() > elements;
  };
  return llvm::any_of(tile.getUsers(), repeats);
}

bool CPUKernelEmitter::isBuffered(Operation *op) const {
  Value tile = op->getResult(0);
  return isComputedFactor(tile) || isRowOfLoop(op) || kept.contains(tile);
}

void CPUKernelEmitter::emitVirtual(Operation *op) {
  if (!isBuffered(op))
    return;
  Value tile = op->getResult(0);
  auto type = cast<RankedTensorType>(tile.getType());
  Buffer *buffer = overwritten.lookup(tile);
  if (!buffer)
    buffer = isComputedFactor(tile)
                 ? ProductEmitter(*this).createColumnBuffer(type)
                 : tiles.create(type.getShape(), type.getElementType());
  fill(buffer, tile);
  buffers[tile] = buffer;
}

Value CPUKernelEmitter::extractElement(ExtractOp op) {
  auto type = cast<RankedTensorType>(op.getInput().getType());
  return element(op.getInput(), Indices(type.getRank(), constant(0)), Lanes());
}

//===----------------------------------------------------------------------===//
// Loops of the kernel
//===----------------------------------------------------------------------===//

/// A left factor that is transposed has to be copied, and a right one packed:
/// before the loop, where no iteration changes it.
void CPUKernelEmitter::copyFactorsBefore(scf::ForOp loop) {
  loop.walk([&](DotOp op) {
    if (loop.isDefinedOutsideOfLoop(op.getRhs()))
      ProductEmitter(*this).packBefore(op);
    Value left = op.getLhs();
    if (!left.getDefiningOp<TransOp>() || buffers.contains(left) ||
        !loop.isDefinedOutsideOfLoop(left))
      return;
    auto type = cast<RankedTensorType>(left.getType());
    Buffer *buffer = tiles.create(type.getShape(), type.getElementType());
    fill(buffer, left);
    buffers[left] = buffer;
  });
}

/// Whether a loop that carries `argument` goes on where the loop before it,
/// which gives `init`, left off. One in a loop of its own needs it again.
static bool goesOn(Value init, BlockArgument argument) {
  auto before = init.getDefiningOp<scf::ForOp>();
  if (!before || !init.hasOneUse() ||
      before->getBlock() != argument.getOwner()->getParentOp()->getBlock())
    return false;
  BlockArgument other = before.getTiedLoopRegionIterArg(cast<OpResult>(init));
  return isAccumulator(other) == isAccumulator(argument);
}

LogicalResult CPUKernelEmitter::emitFor(scf::ForOp loop) {
  copyFactorsBefore(loop);
  // Tiles are carried on the stack.
  SmallVector<Buffer *> carried;
  for (auto [init, argument, result] : llvm::zip(
           loop.getInitArgs(), loop.getRegionIterArgs(), loop.getResults())) {
    if (!isTile(init)) {
      carried.push_back(nullptr);
      continue;
    }
    auto type = cast<RankedTensorType>(init.getType());
    auto outside = dyn_cast<BlockArgument>(init);
    Buffer *buffer;
    if (outside && getCarriedInside(outside) == argument) {
      buffer = buffers.lookup(outside);
    } else if (goesOn(init, argument)) {
      buffer = buffers.lookup(init);
    } else {
      buffer = isAccumulator(argument)
                   ? ProductEmitter(*this).createPanelBuffer(type)
                   : tiles.create(type.getShape(), type.getElementType());
      fill(buffer, init);
    }
    carried.push_back(buffer);
    buffers[argument] = buffer;
    buffers[result] = buffer;
  }
  FreshElements fresh(*this);
  OpBuilder::InsertionGuard guard(builder);
  beginFor(loop);
  if (failed(emitBlock(*loop.getBody())))
    return failure();
  loc = loop.getLoc();
  // New values may depend on old ones anywhere, so all are complete before any
  // is moved into its place.
  SmallVector<std::pair<Buffer *, Buffer *>> moves;
  for (auto [value, buffer] : llvm::zip(loop.getYieldedValues(), carried)) {
    if (!buffer || buffers.lookup(value) == buffer)
      continue;
    Buffer *from = buffers.lookup(value);
    if (!from) {
      from = tiles.create(buffer->shape, getElementTypeOrSelf(value.getType()));
      fill(from, value);
    }
    moves.emplace_back(buffer, from);
  }
  for (auto [to, from] : moves)
    copy(to, from);
  yieldScalars(loop);
  return success();
}
