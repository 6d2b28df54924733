// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "BlockEmitter.h"
#include "KernelGroups.h"
#include "dialects/Tile/IR/IndexRange.h"

using namespace mlir;
using namespace tessera;

tile::ReductionKind tessera::toTileKind(dist::ReductionKind kind) {
  switch (kind) {
  case dist::ReductionKind::sum:
    return tile::ReductionKind::sum;
  case dist::ReductionKind::max:
    return tile::ReductionKind::max;
  case dist::ReductionKind::min:
    return tile::ReductionKind::min;
  case dist::ReductionKind::prod:
    return tile::ReductionKind::prod;
  }
  llvm_unreachable("unknown reduction");
}

SmallVector<int64_t> BlockEmitter::shapeOf1(Value value) {
  SmallVector<int64_t> shape(shapeOf(value));
  if (shape.empty())
    shape.push_back(1);
  return shape;
}

Value BlockEmitter::constantIndex(int64_t value) {
  Value &known = constants[value];
  if (!known) {
    OpBuilder::InsertionGuard guard(builder);
    auto kernel = builder.getInsertionBlock()
                      ->getParentOp()
                      ->getParentOfType<tile::KernelOp>();
    if (!kernel)
      kernel = cast<tile::KernelOp>(builder.getInsertionBlock()->getParentOp());
    builder.setInsertionPointToStart(&kernel.getBlock());
    known = arith::ConstantIndexOp::create(builder, kernel.getLoc(), value);
  }
  return known;
}

Value BlockEmitter::addIndex(Value a, int64_t b) {
  if (b == 0)
    return a;
  APInt constant;
  if (matchPattern(a, m_ConstantInt(&constant)))
    return constantIndex(constant.getSExtValue() + b);
  // Equal sums are one value, so that equal boxes are computed once.
  if (auto inner = a.getDefiningOp<arith::AddIOp>())
    if (matchPattern(inner.getRhs(), m_ConstantInt(&constant)))
      return addIndex(inner.getLhs(), constant.getSExtValue() + b);
  Value &known = sums[{a.getAsOpaquePointer(), b}];
  if (!known)
    known = arith::AddIOp::create(builder, loc, a, constantIndex(b));
  return known;
}

Value BlockEmitter::addIndices(Value a, Value b) {
  if (matchPattern(a, m_Zero()))
    return b;
  if (matchPattern(b, m_Zero()))
    return a;
  return arith::AddIOp::create(builder, loc, a, b);
}

Value BlockEmitter::emit(Value value, const BlockBox &box) {
  Key key{value.getAsOpaquePointer(), {}};
  for (auto [offset, size] : llvm::zip(box.offsets, box.sizes))
    key.second.emplace_back(offset.getAsOpaquePointer(), size);
  auto known = memo.find(key);
  if (known != memo.end())
    return known->second;
  Location outer = loc;
  if (value.getDefiningOp())
    loc = value.getLoc();
  Value tile =
      memories.contains(value) ? load(value, box) : compute(value, box);
  loc = outer;
  memo[key] = tile;
  return tile;
}

Value BlockEmitter::load(Value value, const BlockBox &box) {
  Value memory = memories.lookup(value);
  auto type = cast<MemRefType>(memory.getType());
  Value tile = tile::LoadOp::create(builder, loc,
                                    tileType(box.sizes, type.getElementType()),
                                    memory, box.offsets, TypedAttr());
  return fromMemory(tile, getElementTypeOrSelf(value.getType()));
}

void BlockEmitter::store(Value tile, Value memory, ValueRange offsets) {
  auto type = cast<RankedTensorType>(tile.getType());
  if (type.getElementType().isInteger(1))
    tile = arith::ExtUIOp::create(
        builder, loc, type.clone(getElementTypeOrSelf(memory.getType())), tile);
  tile::StoreOp::create(builder, loc, tile, memory, offsets);
}

Value BlockEmitter::fromMemory(Value tile, Type elementType) {
  return elementType.isInteger(1) ? isNotZero(tile) : tile;
}

Value BlockEmitter::compute(Value value, const BlockBox &box) {
  Operation *op = value.getDefiningOp();
  if (!op) {
    emitError(value.getLoc(), "a kernel uses a value that is not its input");
    return {};
  }
  if (isElementwise(op))
    return emitElementwise(op, box);
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](BroadcastOp op) { return emitBroadcast(op, box); })
      .Case([&](ReshapeOp op) { return emitReshape(op, box); })
      .Case([&](TransposeOp op) { return emitTranspose(op, box); })
      .Case([&](SliceOp op) { return emitSlice(op, box); })
      .Case([&](PadOp op) { return emitPad(op, box); })
      .Case([&](ConcatenateOp op) { return emitConcatenate(op, box); })
      .Case([&](GatherOp op) { return emitGather(op, box); })
      .Case([&](DynamicSliceOp op) { return emitDynamicSlice(op, box); })
      .Case([&](IotaOp op) { return emitIota(op, box); })
      .Case([&](ConstantOp op) { return emitConstant(op, box); })
      .Case([&](ReduceOp op) { return emitReduce(op, box); })
      .Case([&](CumulativeOp op) { return emitCumulative(op, box); })
      .Case([&](SoftmaxOp op) { return emitSoftmax(op, box); })
      .Case([&](LayerNormOp op) { return emitLayerNorm(op, box); })
      .Case([&](RmsNormOp op) { return emitRmsNorm(op, box); })
      .Case([&](NormTangentOp op) { return emitNormTangent(op, box); })
      .Case([&](LogsumexpOp op) { return emitLogsumexp(op, box); })
      .Case([&](CrossEntropyOp op) { return emitCrossEntropy(op, box); })
      .Case([&](ContractOp op) { return emitContract(op, box); })
      .Case([&](AttentionOp op) { return emitAttention(op, box); })
      .Case([&](RngOp op) { return emitRng(op, box); })
      .Default(
          [](Operation *op) {
            InFlightDiagnostic error =
                op->emitOpError("cannot be part of a kernel");
            error.attachNote()
                << "give it an emitter in "
                   "lib/Conversion/TesseraToTile/BlockEmitter.cpp or "
                   "decompose it before this pass";
            return Value();
          });
}

//===----------------------------------------------------------------------===//
// Helpers
//===----------------------------------------------------------------------===//

/// Tiles are signless; the ops on them know the sign.
static Type signlessType(Type type) {
  if (!type.isUnsignedInteger())
    return type;
  return IntegerType::get(type.getContext(), type.getIntOrFloatBitWidth());
}

RankedTensorType BlockEmitter::tileType(ArrayRef<int64_t> shape,
                                        Type elementType) {
  return RankedTensorType::get(shape, signlessType(elementType));
}

Value BlockEmitter::splat(ArrayRef<int64_t> shape, TypedAttr element) {
  auto type = tileType(shape, element.getType());
  if (element.getType().isUnsignedInteger())
    element = builder.getIntegerAttr(type.getElementType(),
                                     cast<IntegerAttr>(element).getValue());
  return arith::ConstantOp::create(builder, loc,
                                   SplatElementsAttr::get(type, element));
}

Value BlockEmitter::splatNumber(ArrayRef<int64_t> shape, Type type,
                                double value) {
  if (isa<FloatType>(type))
    return splat(shape, builder.getFloatAttr(type, value));
  return splat(shape,
               builder.getIntegerAttr(type, static_cast<int64_t>(value)));
}

Value BlockEmitter::reshape(Value tile, ArrayRef<int64_t> shape) {
  auto type = cast<RankedTensorType>(tile.getType());
  if (type.getShape() == shape)
    return tile;
  return tile::ReshapeOp::create(builder, loc,
                                 tileType(shape, type.getElementType()), tile);
}

Value BlockEmitter::broadcastTo(Value tile, ArrayRef<int64_t> shape) {
  auto type = cast<RankedTensorType>(tile.getType());
  if (type.getShape() == shape)
    return tile;
  return tile::BroadcastOp::create(
      builder, loc, tileType(shape, type.getElementType()), tile);
}

Value BlockEmitter::transpose(Value tile, ArrayRef<int64_t> permutation) {
  if (llvm::equal(permutation, llvm::seq<int64_t>(permutation.size())))
    return tile;
  auto type = cast<RankedTensorType>(tile.getType());
  SmallVector<int64_t> shape;
  for (int64_t dim : permutation)
    shape.push_back(type.getDimSize(dim));
  return tile::TransOp::create(
      builder, loc, tileType(shape, type.getElementType()), tile, permutation);
}

Value BlockEmitter::reduce(tile::ReductionKind kind, Value tile, int64_t dim,
                           bool areNumbers) {
  auto type = cast<RankedTensorType>(tile.getType());
  if (type.getDimSize(dim) == 1)
    return tile;
  SmallVector<int64_t> shape(type.getShape());
  shape[dim] = 1;
  return tile::ReduceOp::create(builder, loc,
                                tileType(shape, type.getElementType()), kind,
                                tile, static_cast<uint64_t>(dim), areNumbers);
}

Value BlockEmitter::indicesAlong(ArrayRef<int64_t> shape, int64_t dim,
                                 Value offset, int64_t end) {
  std::optional<tile::IndexRange> range = tile::getIndexRange(offset);
  bool isNarrow = range && llvm::isInt<32>(range->min) &&
                  llvm::isInt<32>(range->max + shape[dim]) &&
                  llvm::isInt<32>(end);
  Type type = isNarrow ? builder.getI32Type() : builder.getI64Type();
  Value index = tile::IotaOp::create(builder, loc, tileType(shape, type),
                                     builder.getI64IntegerAttr(dim));
  if (matchPattern(offset, m_Zero()))
    return index;
  Value start = arith::IndexCastOp::create(builder, loc, type, offset);
  Value starts =
      tile::SplatOp::create(builder, loc, tileType(shape, type), start);
  return arith::AddIOp::create(builder, loc, index, starts);
}

Value BlockEmitter::toI64(Value tile) {
  auto type = cast<RankedTensorType>(tile.getType());
  if (type.getElementType().isInteger(64))
    return tile;
  return arith::ExtSIOp::create(builder, loc, type.clone(builder.getI64Type()),
                                tile);
}

Value BlockEmitter::insideAlong(ArrayRef<int64_t> shape, int64_t dim,
                                Value offset, int64_t end) {
  Value index = indicesAlong(shape, dim, offset, end);
  Value limit =
      splat(shape,
            builder.getIntegerAttr(getElementTypeOrSelf(index.getType()), end));
  // Unsigned: negative indices become large.
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, index,
                               limit);
}

Type BlockEmitter::accumulatorType(Type elementType) {
  bool isNarrow =
      isa<FloatType>(elementType) && elementType.getIntOrFloatBitWidth() < 32;
  return isNarrow ? builder.getF32Type() : signlessType(elementType);
}

Value BlockEmitter::toF32(Value tile) {
  auto type = cast<RankedTensorType>(tile.getType());
  if (accumulatorType(type.getElementType()) == type.getElementType())
    return tile;
  return arith::ExtFOp::create(builder, loc, type.clone(builder.getF32Type()),
                               tile);
}

Value BlockEmitter::fromF32(Value tile, Type elementType) {
  auto type = cast<RankedTensorType>(tile.getType());
  if (type.getElementType() == elementType)
    return tile;
  return arith::TruncFOp::create(builder, loc, type.clone(elementType), tile);
}

SmallVector<Value> BlockEmitter::forLoop(int64_t end, int64_t step,
                                         ValueRange inits, LoopBody body) {
  return forLoop(constantIndex(end), step, inits, body);
}

SmallVector<Value> BlockEmitter::forLoop(Value end, int64_t step,
                                         ValueRange inits, LoopBody body) {
  return forLoop({constantIndex(0), end, constantIndex(step)}, inits, body);
}

SmallVector<Value> BlockEmitter::forLoop(LoopRange range, ValueRange inits,
                                         LoopBody body) {
  // What is computed inside is not known outside.
  auto outside = memo;
  auto outsideSums = sums;
  auto outsideLogSums = logSums;
  SmallVector<Value> results = emitForLoop(builder, loc, range, inits, body);
  memo = std::move(outside);
  sums = std::move(outsideSums);
  logSums = std::move(outsideLogSums);
  return results;
}
