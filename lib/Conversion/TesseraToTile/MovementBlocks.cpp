// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Ops that move or make elements: a block of the result names a block of the
// operand.
#include "BlockEmitter.h"
#include "KernelGroups.h"

using namespace mlir;
using namespace tessera;

Value BlockEmitter::emitBroadcast(BroadcastOp op, const BlockBox &box) {
  SmallVector<int64_t> from = shapeOf1(op.getInput());
  BlockBox source;
  SmallVector<int64_t> shape(box.sizes.size(), 1);
  if (op.getDims().empty()) {
    source.offsets = {constantIndex(0)};
    source.sizes = {1};
  }
  for (auto [i, dim] : llvm::enumerate(op.getDims())) {
    bool repeats = from[i] == 1;
    source.offsets.push_back(repeats ? constantIndex(0) : box.offsets[dim]);
    source.sizes.push_back(repeats ? 1 : box.sizes[dim]);
    shape[dim] = source.sizes.back();
  }
  Value tile = emit(op.getInput(), source);
  return tile ? broadcastTo(reshape(tile, shape), box.sizes) : Value();
}

/// One dimension cut into pieces: a part of one, or whole ones.
Value BlockEmitter::emitCut(ReshapeOp op, int64_t dim, const BlockBox &box) {
  BlockBox source;
  for (auto [d, size] : llvm::enumerate(box.sizes)) {
    if (static_cast<int64_t>(d) == dim + 1)
      continue;
    source.offsets.push_back(box.offsets[d]);
    source.sizes.push_back(size);
  }
  int64_t piece = shapeOf(op.getResult())[dim + 1];
  int64_t pieces = source.sizes[dim], part = box.sizes[dim + 1];
  if (pieces != 1 && part != piece) {
    op.emitOpError("is computed in a block of parts of several pieces of "
                   "dimension ")
        << dim;
    return {};
  }
  Value first = source.offsets[dim];
  APInt number;
  if (matchPattern(first, m_ConstantInt(&number)))
    first = constantIndex(number.getSExtValue() * piece);
  else
    first = arith::MulIOp::create(builder, loc, first, constantIndex(piece));
  source.offsets[dim] = addIndices(first, box.offsets[dim + 1]);
  source.sizes[dim] = pieces * part;
  Value tile = emit(op.getInput(), source);
  return tile ? reshape(tile, box.sizes) : Value();
}

/// Dimensions of size one come and go, the others keep their order; or one is
/// cut.
Value BlockEmitter::emitReshape(ReshapeOp op, const BlockBox &box) {
  if (std::optional<int64_t> dim = cutDim(op))
    return emitCut(op, *dim, box);
  SmallVector<int64_t> from = shapeOf1(op.getInput()),
                       to = shapeOf1(op.getResult()), shape(to.size(), 1);
  BlockBox source;
  size_t next = 0;
  for (int64_t size : from) {
    while (size != 1 && to[next] == 1)
      ++next;
    source.offsets.push_back(size == 1 ? constantIndex(0) : box.offsets[next]);
    source.sizes.push_back(size == 1 ? 1 : box.sizes[next]);
    if (size == 1)
      continue;
    shape[next] = box.sizes[next];
    ++next;
  }
  Value tile = emit(op.getInput(), source);
  return tile ? broadcastTo(reshape(tile, shape), box.sizes) : Value();
}

Value BlockEmitter::emitTranspose(TransposeOp op, const BlockBox &box) {
  BlockBox source;
  source.offsets.resize(box.offsets.size());
  source.sizes.resize(box.sizes.size());
  for (auto [to, from] : llvm::enumerate(op.getPermutation())) {
    source.offsets[from] = box.offsets[to];
    source.sizes[from] = box.sizes[to];
  }
  Value tile = emit(op.getInput(), source);
  return tile ? transpose(tile, op.getPermutation()) : Value();
}

Value BlockEmitter::emitSlice(SliceOp op, const BlockBox &box) {
  bool isStrided =
      llvm::any_of(op.getStrides(), [](int64_t s) { return s != 1; });
  if (!isStrided) {
    BlockBox source = box;
    for (auto [d, start] : llvm::enumerate(op.getStarts()))
      source.offsets[d] = addIndex(box.offsets[d], start);
    return emit(op.getInput(), source);
  }
  // Every stride-th element, through a view of the input, which is in memory.
  Value memory = memories.lookup(op.getInput());
  if (!memory) {
    op.emitOpError("with a stride reads a value that is not in memory");
    return {};
  }
  auto type = cast<MemRefType>(memory.getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  (void)type.getStridesAndOffset(strides, offset);
  for (auto [d, start] : llvm::enumerate(op.getStarts())) {
    offset += start * strides[d];
    // Where there is one element only, the product may exceed 64 bits.
    if (shapeOf(op.getResult())[d] > 1)
      strides[d] *= op.getStrides()[d];
  }
  Value view = viewOf(memory, offset, shapeOf1(op.getResult()), strides);
  Value tile = tile::LoadOp::create(builder, loc,
                                    tileType(box.sizes, type.getElementType()),
                                    view, box.offsets, TypedAttr());
  return fromMemory(tile, getElementTypeOrSelf(op.getType()));
}

Value BlockEmitter::viewOf(Value memory, int64_t offset,
                           ArrayRef<int64_t> shape, ArrayRef<int64_t> strides) {
  auto type = cast<MemRefType>(memory.getType());
  auto layout = StridedLayoutAttr::get(builder.getContext(), offset, strides);
  return memref::ReinterpretCastOp::create(
      builder, loc, MemRefType::get(shape, type.getElementType(), layout),
      memory, offset, shape, strides);
}

Value BlockEmitter::emitPad(PadOp op, const BlockBox &box) {
  BlockBox source = box;
  SmallVector<int64_t> shape = shapeOf1(op.getInput());
  for (auto [d, low] : llvm::enumerate(op.getLow()))
    source.offsets[d] = addIndex(box.offsets[d], -low);
  Value tile = emit(op.getInput(), source);
  if (!tile)
    return {};
  Value pad = splat(box.sizes, cast<TypedAttr>(op.getValue()));
  for (size_t d = 0; d < shape.size(); ++d) {
    if (op.getLow()[d] == 0 && op.getHigh()[d] == 0)
      continue;
    Value inside = insideAlong(box.sizes, d, source.offsets[d], shape[d]);
    tile = arith::SelectOp::create(builder, loc, inside, tile, pad);
  }
  return tile;
}

Value BlockEmitter::emitConcatenate(ConcatenateOp op, const BlockBox &box) {
  int64_t dim = op.getDim(), start = 0;
  Value result;
  for (Value input : op.getInputs()) {
    int64_t size = shapeOf(input)[dim];
    BlockBox source = box;
    source.offsets[dim] = addIndex(box.offsets[dim], -start);
    Value tile = emit(input, source);
    if (!tile)
      return {};
    if (result) {
      Value inside = insideAlong(box.sizes, dim, source.offsets[dim], size);
      result = arith::SelectOp::create(builder, loc, inside, tile, result);
    } else {
      result = tile;
    }
    start += size;
  }
  return result;
}

bool BlockEmitter::canStoreParts(ConcatenateOp op, ArrayRef<int64_t> block) {
  int64_t dim = op.getDim(), size = block[dim];
  return size == shapeOf(op.getResult())[dim] ||
         llvm::all_of(op.getInputs(), [&](Value input) {
           return shapeOf(input)[dim] % size == 0;
         });
}

bool BlockEmitter::storeParts(ConcatenateOp op, const BlockBox &box,
                              Value output) {
  loc = op.getLoc();
  int64_t dim = op.getDim(), start = 0, size = box.sizes[dim];
  bool isWhole = size == shapeOf(op.getResult())[dim], isComplete = true;
  for (Value input : op.getInputs()) {
    int64_t length = shapeOf(input)[dim];
    BlockBox source = box, part = box;
    auto storePart = [&](Value, ValueRange) -> SmallVector<Value> {
      if (Value tile = emit(input, source))
        store(tile, output, part.offsets);
      else
        isComplete = false;
      return {};
    };
    if (isWhole) {
      source.sizes[dim] = length;
      part.offsets[dim] = constantIndex(start);
      storePart({}, {});
    } else {
      // Once if the block is in this input, else not at all. What is read is
      // inside in any case, so that no target has to check.
      Value first = addIndex(box.offsets[dim], -start);
      Value isInside =
          arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, first,
                                constantIndex(length));
      Value times = arith::IndexCastUIOp::create(
          builder, loc, builder.getIndexType(), isInside);
      first = arith::MaxSIOp::create(builder, loc, first, constantIndex(0));
      source.offsets[dim] = arith::MinSIOp::create(
          builder, loc, first, constantIndex(length - size));
      forLoop(times, 1, {}, storePart);
    }
    start += length;
  }
  return isComplete;
}

Value BlockEmitter::emitIota(IotaOp op, const BlockBox &box) {
  Type type = getElementTypeOrSelf(op.getType());
  Value index = indicesAlong(box.sizes, op.getDim(), box.offsets[op.getDim()]);
  if (op.getOffset()) {
    Value start = emit(op.getOffset(), {{constantIndex(0)}, {1}});
    if (!start)
      return {};
    SmallVector<int64_t> ones(box.sizes.size(), 1);
    start = broadcastTo(reshape(start, ones), box.sizes);
    // In 32 bits the sum wraps as converting it to them does.
    if (getElementTypeOrSelf(index.getType()).isInteger(64) ||
        !isa<IntegerType>(type) || type.getIntOrFloatBitWidth() != 32) {
      index = toI64(index);
      start = toI64(start);
    }
    index = arith::AddIOp::create(builder, loc, index, start);
  }
  return emitConvert(index, getElementTypeOrSelf(index.getType()), type);
}

Value BlockEmitter::emitConstant(ConstantOp op, const BlockBox &box) {
  auto attr = cast<SplatElementsAttr>(op.getValue());
  return splat(box.sizes, attr.getSplatValue<TypedAttr>());
}
