// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Nests of loops over a tile's elements, the barriers between them, and tiles
// brought into shared memory by them.
#include "AccessOrder.h"
#include "NVVMKernelEmitter.h"

#include "dialects/Tile/IR/KernelAnalysis.h"
#include "lib/Conversion/TileKernels/ForLoop.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

#include <numeric>

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

void NVVMKernelEmitter::barrier() {
  NVVM::Barrier0Op::create(builder, loc);
  readsPending = writesPending = false;
}

void NVVMKernelEmitter::settle() {
  if (readsPending || writesPending)
    barrier();
}

void NVVMKernelEmitter::beginNest(bool readsShared, bool writesShared) {
  shared.advance();
  memo.clear();
  if ((readsShared && writesPending) || (writesShared && readsPending))
    barrier();
}

void NVVMKernelEmitter::endNest(bool readsShared, bool writesShared) {
  memo.clear();
  readsPending |= readsShared;
  writesPending |= writesShared;
}

bool NVVMKernelEmitter::readsShared(Value tile) const {
  if (buffers.contains(tile))
    return true;
  Operation *op = tile.getDefiningOp();
  return op && isVirtualTileOp(op) &&
         llvm::any_of(op->getOperands(), [&](Value operand) {
           return isTile(operand) && readsShared(operand);
         });
}

SmallVector<Value> NVVMKernelEmitter::forLoop(
    Value first, int64_t end, Value by, ValueRange inits,
    function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  memo.clear();
  SmallVector<Value> results =
      emitForLoop(builder, loc, {first, constant(end), by}, inits, body);
  memo.clear();
  return results;
}

void NVVMKernelEmitter::forEachElement(ArrayRef<int64_t> shape,
                                       function_ref<void(Indices)> body,
                                       int64_t fastest, int64_t width) {
  auto each = [&](ArrayRef<Indices> run) { llvm::for_each(run, body); };
  forEachRun(shape, each, fastest, width);
}

void NVVMKernelEmitter::forEachRun(ArrayRef<int64_t> shape,
                                   function_ref<void(ArrayRef<Indices>)> body,
                                   int64_t fastest, int64_t width) {
  int64_t rank = static_cast<int64_t>(shape.size());
  if (fastest < 0)
    fastest = rank - 1;
  SmallVector<int64_t> order, sizes;
  for (int64_t d = 0; d < rank; ++d)
    if (d != fastest)
      order.push_back(d);
  if (rank > 0)
    order.push_back(fastest);
  for (int64_t d : order)
    sizes.push_back(d == fastest ? shape[d] / width : shape[d]);
  auto visit = [&](Value linear) {
    Indices digits = delinearize(linear, sizes), indices(rank);
    for (auto [digit, d] : llvm::zip(digits, order))
      indices[d] = digit;
    if (width == 1)
      return body(ArrayRef<Indices>(indices));
    Value first =
        arith::MulIOp::create(builder, loc, indices[fastest], constant(width));
    SmallVector<Indices> run(width, indices);
    for (auto [i, element] : llvm::enumerate(run)) {
      auto behind = static_cast<int64_t>(i);
      Value &index = element[fastest];
      index = arith::AddIOp::create(builder, loc, first, constant(behind));
      neighbours[index] = {first, behind, width};
    }
    body(run);
  };
  int64_t total = ShapedType::getNumElements(sizes);
  if (total == threads)
    return visit(threadId);
  auto visitAll = [&](Value first, int64_t end, int64_t by,
                      function_ref<Value(Value)> linearOf) {
    forLoop(first, end, constant(by), {}, [&](Value at, ValueRange) {
      visit(linearOf(at));
      return SmallVector<Value>();
    });
  };
  if (total % threads != 0)
    return visitAll(threadId, total, threads, [](Value at) { return at; });
  // As many turns for all threads, so that the loop can be unrolled.
  visitAll(constant(0), total, threads, [&](Value at) -> Value {
    return arith::AddIOp::create(builder, loc, at, threadId);
  });
}

void NVVMKernelEmitter::fill(SharedBuffer *buffer, Value tile) {
  bool reads = readsShared(tile);
  int64_t fastest = buffer->shape.empty() ? -1 : contiguousDim(tile);
  int64_t width = 1;
  if (fastest >= 0)
    width = neighboursPerThread(
        buffer->shape[fastest], ShapedType::getNumElements(buffer->shape),
        elementBytes(buffer->elementType), threads, alignmentOf(tile));
  beginNest(reads, /*writesShared=*/true);
  forEachElement(
      buffer->shape,
      [&](Indices indices) {
        storeShared(buffer, indices, element(tile, indices));
      },
      fastest, width);
  endNest(reads, /*writesShared=*/true);
}

int64_t NVVMKernelEmitter::alignmentOf(Value tile) const {
  Operation *op = tile.getDefiningOp();
  if (!op || !isTile(tile) || buffers.contains(tile) || !isVirtualTileOp(op))
    return 0;
  ArrayRef<int64_t> shape = cast<RankedTensorType>(tile.getType()).getShape();
  if (auto load = dyn_cast<LoadOp>(op))
    return accessAlignment(load.getMemory(), load.getOffsets(), shape);
  if (auto gather = dyn_cast<GatherOp>(op))
    return accessAlignment(gather.getMemory(), gather.getOffsets(), shape,
                           /*firstDim=*/1);
  int64_t alignment = 0;
  for (Value operand : op->getOperands())
    alignment = std::gcd(alignment, alignmentOf(operand));
  return alignment;
}

bool NVVMKernelEmitter::isStoredSwapped(Value tile) const {
  if (SharedBuffer *buffer = buffers.lookup(tile))
    return buffer->isSwapped;
  Operation *op = tile.getDefiningOp();
  return op && isVirtualTileOp(op) &&
         cast<RankedTensorType>(tile.getType()).getRank() == 2 &&
         contiguousDim(tile) == 0;
}

SharedBuffer *NVVMKernelEmitter::stage(Value tile) {
  if (SharedBuffer *buffer = buffers.lookup(tile))
    return buffer;
  auto type = cast<RankedTensorType>(tile.getType());
  bool isSwapped = isStoredSwapped(tile);
  // One wide access of padding: vectors of neighbouring rows start in different
  // banks, and stay aligned. Short rows are not worth it.
  int64_t bytes = elementBytes(type);
  int64_t row = type.getRank() == 0 ? 1
                : isSwapped         ? type.getDimSize(0)
                                    : type.getShape().back();
  int64_t padding = row * bytes >= 64 ? maxAccessBytes / bytes : 0;
  SharedBuffer *buffer = shared.create(
      loc, type.getShape(), type.getElementType(), padding, isSwapped);
  fill(buffer, tile);
  buffers[tile] = buffer;
  return buffer;
}

void NVVMKernelEmitter::stageAgainst(Value tile, int64_t fastest) {
  Operation *op = tile.getDefiningOp();
  if (buffers.contains(tile) || !op || !isTile(tile))
    return;
  auto type = cast<RankedTensorType>(tile.getType());
  if (auto trans = dyn_cast<TransOp>(op)) {
    int64_t dim = contiguousDim(tile);
    if (dim != fastest && type.getDimSize(dim) > 1 &&
        type.getDimSize(fastest) > 1 && isWorthKeeping(tile))
      stage(tile);
    return;
  }
  if (OpTrait::hasElementwiseMappableTraits(op))
    for (Value operand : op->getOperands())
      stageAgainst(operand, fastest);
}
