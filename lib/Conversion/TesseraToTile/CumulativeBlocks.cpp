// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Cumulative ops: a block has whole rows, piece by piece, and carries what a
// row has come to from one piece to the next.
#include "BlockEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace tessera;

void BlockEmitter::forEachPiece(CumulativeOp op, const BlockBox &box,
                                function_ref<void(const BlockBox &)> body) {
  auto dim = static_cast<size_t>(op.getDim());
  int64_t length = box.sizes[dim], others = 1;
  for (auto [d, size] : llvm::enumerate(box.sizes))
    others *= d == dim ? 1 : size;
  int64_t piece =
      chooseChunk(length, std::max<int64_t>(1, sizes.rowElements / others));
  SmallVector<int64_t> carryShape(box.sizes);
  carryShape[dim] = 1;
  Type type = accumulatorType(getElementTypeOrSelf(op.getType()));
  Value start =
      splat(carryShape, tile::neutralElement(toTileKind(op.getKind()), type));
  int64_t last = (llvm::divideCeil(length, piece) - 1) * piece;
  BlockBox part = box;
  part.sizes[dim] = piece;
  if (last == 0) {
    carry = start;
    return body(part);
  }
  forLoop(last + piece, piece, start,
          [&](Value position, ValueRange carried) -> SmallVector<Value> {
            part.offsets[dim] = position;
            if (op.getReverse())
              part.offsets[dim] = arith::SubIOp::create(
                  builder, loc, constantIndex(last), position);
            // Stays as it is where the op cannot be emitted, which is an error.
            carry = nextCarry = carried[0];
            body(part);
            return {nextCarry};
          });
}

Value BlockEmitter::emitCumulative(CumulativeOp op, const BlockBox &box) {
  Value tile = emit(op.getInput(), box);
  if (!tile)
    return {};
  tile = toF32(tile);
  Type type = getElementTypeOrSelf(tile.getType());
  auto dim = static_cast<int64_t>(op.getDim());
  int64_t length = shapeOf(op.getInput())[dim];
  tile::ReductionKind kind = toTileKind(op.getKind());
  tile = flipForOrder(op, kind, tile);
  // In reverse, the padding behind the end of a row comes first.
  if (op.getReverse() && length % box.sizes[dim] != 0)
    tile = arith::SelectOp::create(
        builder, loc, insideAlong(box.sizes, dim, box.offsets[dim], length),
        tile, splat(box.sizes, tile::neutralElement(kind, type)));
  auto scan = tile::ScanOp::create(
      builder, loc, tile.getType(), carry.getType(), kind, tile, carry,
      static_cast<uint64_t>(dim), op.getExclusive(), op.getReverse());
  nextCarry = scan.getNext();
  Value result = flipForOrder(op, kind, scan.getResult());
  Type element = getElementTypeOrSelf(op.getType());
  return isa<FloatType>(element) ? fromF32(result, element) : result;
}
