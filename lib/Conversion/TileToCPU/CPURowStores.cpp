// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Stores the rows of a product's result as soon as they are complete, while
// they are in the first level cache, and while what is multiplied next keeps
// the arithmetic units busy: a store of a whole block at its end would wait for
// memory alone.
#include "CPUKernelEmitter.h"

#include "dialects/Tile/IR/KernelAnalysis.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

static ArrayRef<int64_t> shapeOfTile(Value tile) {
  return cast<RankedTensorType>(tile.getType()).getShape();
}

/// Whether all that depends on `result`, a matrix, is what `stores` store:
/// element (m, n) of it is used for the elements of row m and column n alone.
static bool isUsedByRows(Value result, ArrayRef<StoreOp> stores) {
  int64_t columns = shapeOfTile(result).back();
  SmallVector<Value> worklist = {result};
  llvm::DenseSet<Value> seen;
  while (!worklist.empty()) {
    Value tile = worklist.pop_back_val();
    if (!seen.insert(tile).second)
      continue;
    for (Operation *user : tile.getUsers()) {
      if (auto store = dyn_cast<StoreOp>(user)) {
        if (!llvm::is_contained(stores, store))
          return false;
        continue;
      }
      bool keepsRows = OpTrait::hasElementwiseMappableTraits(user);
      if (auto reshape = dyn_cast<ReshapeOp>(user))
        keepsRows = shapeOfTile(reshape.getResult()).back() == columns;
      if (!keepsRows || user->getBlock() != stores.front()->getBlock())
        return false;
      llvm::append_range(worklist, user->getResults());
    }
  }
  return true;
}

/// Arithmetic on offsets.
static bool isScalarOp(Operation *op) {
  auto isScalar = [](Type type) { return type.isIntOrIndexOrFloat(); };
  return op->getNumRegions() == 0 && isPure(op) &&
         llvm::all_of(op->getOperandTypes(), isScalar) &&
         llvm::all_of(op->getResultTypes(), isScalar);
}

SmallVector<StoreOp> CPUKernelEmitter::takeRowStores(Value result) {
  Operation *producer = result.getDefiningOp();
  if (producer->getBlock() != &kernel.getBlock())
    return {};
  SmallVector<Operation *> scalarOps;
  SmallVector<StoreOp> stores;
  for (Operation *op = producer->getNextNode(); stores.empty();
       op = op->getNextNode()) {
    if (auto store = dyn_cast<StoreOp>(op))
      stores = storesTogether(store);
    else if (isScalarOp(op))
      scalarOps.push_back(op);
    else if (!isVirtualTileOp(op) || kept.contains(op->getResult(0)))
      return {};
  }
  ArrayRef<int64_t> box = stores.front().getValue().getType().getShape();
  bool isLast = isa<ReturnOp>(stores.back()->getNextNode());
  if (!isLast || box.back() != shapeOfTile(result).back() ||
      !isUsedByRows(result, stores))
    return {};
  for (Operation *op : scalarOps)
    builder.clone(*op, scalars);
  for (StoreOp store : stores)
    emittedBefore.insert(store);
  return stores;
}

/// Whether an element of `tile` is one of `result` and, in few instructions, of
/// rows, columns or numbers.
static bool isNearly(Value tile, Value result) {
  Operation *op = tile.getDefiningOp();
  if (tile == result || isa_and_nonnull<BroadcastOp, SplatOp>(op) ||
      matchPattern(tile, m_Constant()))
    return true;
  return isa_and_nonnull<ReshapeOp, arith::AddFOp, arith::SubFOp, arith::MulFOp,
                         arith::MaximumFOp, arith::MinimumFOp, arith::ExtFOp,
                         arith::TruncFOp>(op) &&
         llvm::all_of(op->getOperands(),
                      [&](Value value) { return isNearly(value, result); });
}

bool CPUKernelEmitter::storeNearly(ArrayRef<StoreOp> ops, Value result) {
  return llvm::all_of(
      ops, [&](StoreOp op) { return isNearly(op.getValue(), result); });
}

cpu::Indices CPUKernelEmitter::storedIndices(StoreOp op, Value row,
                                             Value column) {
  ArrayRef<int64_t> shape = op.getValue().getType().getShape();
  int last = static_cast<int>(shape.size()) - 1;
  Indices indices(shape.size(), constant(0));
  int64_t rows = ShapedType::getNumElements(shape.drop_back());
  for (int d = last - 1; d >= 0 && rows > 1; --d) {
    if (shape[d] == 1)
      continue;
    indices[d] = row;
    if (rows > shape[d]) {
      Value size = constant(shape[d]);
      indices[d] = arith::RemUIOp::create(builder, loc, row, size);
      row = arith::DivUIOp::create(builder, loc, row, size);
    }
    rows /= shape[d];
  }
  indices[last] = column;
  return indices;
}

void CPUKernelEmitter::storeRows(ArrayRef<StoreOp> ops, Value firstRow,
                                 int64_t count, Value firstColumn,
                                 int64_t columns) {
  StoreOp first = ops.front();
  int last = static_cast<int>(first.getValue().getType().getRank()) - 1;
  forLoop(count, 1, [&](Value i) {
    Indices indices = storedIndices(first, code.add(firstRow, i), constant(0));
    forEachVector({columns}, [&](Indices column, Lanes lanes) {
      indices[last] = code.add(firstColumn, column[0]);
      if (lanes.dim >= 0)
        lanes.dim = last;
      storeVector(ops, indices, lanes);
    });
  });
}

void CPUKernelEmitter::prefetchStored(ArrayRef<StoreOp> ops, Value row,
                                      Value column) {
  for (StoreOp op : ops) {
    Indices indices = storedIndices(op, row, column), coordinates;
    for (auto [offset, index] : llvm::zip(op.getOffsets(), indices))
      coordinates.push_back(code.add(scalars.lookupOrDefault(offset), index));
    code.prefetch(address(memories.lookup(op.getMemory()), coordinates));
  }
}
