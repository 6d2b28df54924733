// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// How a vector of a tile's elements is computed.
#include "CPUKernelEmitter.h"

#include "dialects/Tile/IR/IndexRange.h"
#include "dialects/Tile/IR/KernelAnalysis.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

//===----------------------------------------------------------------------===//
// Small arithmetic
//===----------------------------------------------------------------------===//

Value CPUKernelEmitter::add(Value a, Value b) {
  if (matchPattern(a, m_Zero()))
    return b;
  if (matchPattern(b, m_Zero()))
    return a;
  return arith::AddIOp::create(builder, loc, a, b);
}

Value CPUKernelEmitter::add(Value a, int64_t b) { return add(a, constant(b)); }

/// A scalar in every lane; vectors as they are.
Value CPUKernelEmitter::spread(Value value, Lanes lanes) {
  if (lanes.dim < 0 || isa<VectorType>(value.getType()))
    return value;
  auto type = VectorType::get({lanes.count}, value.getType());
  return vector::BroadcastOp::create(builder, loc, type, value);
}

/// [first, first + 1, ...] as i64.
Value CPUKernelEmitter::laneIndices(Value first, int64_t count) {
  Type i64 = builder.getI64Type();
  auto type = VectorType::get({count}, i64);
  SmallVector<int64_t> steps = llvm::to_vector(llvm::seq<int64_t>(count));
  Value lane = arith::ConstantOp::create(
      builder, loc, DenseElementsAttr::get(type, ArrayRef<int64_t>(steps)));
  Value start = arith::IndexCastOp::create(builder, loc, i64, first);
  Value starts = vector::BroadcastOp::create(builder, loc, type, start);
  return arith::AddIOp::create(builder, loc, starts, lane);
}

/// Combines the lanes of a vector pairwise, in a fixed order.
Value CPUKernelEmitter::acrossLanes(ReductionKind kind, Value value) {
  auto type = cast<VectorType>(value.getType());
  int64_t count = type.getNumElements();
  while (count > 1 && count % 2 == 0) {
    SmallVector<int64_t> low = llvm::to_vector(llvm::seq<int64_t>(count / 2));
    SmallVector<int64_t> high =
        llvm::to_vector(llvm::seq<int64_t>(count / 2, count));
    Value a = vector::ShuffleOp::create(builder, loc, value, value, low);
    Value b = vector::ShuffleOp::create(builder, loc, value, value, high);
    value = combine(kind, a, b);
    count /= 2;
  }
  Value total = vector::ExtractOp::create(builder, loc, value, 0);
  for (int64_t lane = 1; lane < count; ++lane)
    total = combine(kind, total,
                    vector::ExtractOp::create(builder, loc, value, lane));
  return total;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value CPUKernelEmitter::address(Value base, Type elementType,
                                ArrayRef<int64_t> strides, int64_t offset,
                                const Indices &indices) {
  Value linear = constant(offset);
  for (auto [index, stride] : llvm::zip(indices, strides)) {
    if (matchPattern(index, m_Zero()))
      continue;
    Value scaled = index;
    if (stride != 1)
      scaled = arith::MulIOp::create(builder, loc, index, constant(stride));
    linear = add(linear, scaled);
  }
  Value at =
      arith::IndexCastOp::create(builder, loc, builder.getI64Type(), linear);
  return LLVM::GEPOp::create(builder, loc, base.getType(), elementType, base,
                             ArrayRef<LLVM::GEPArg>{at});
}

static unsigned bytesOf(Type elementType) {
  return (elementType.getIntOrFloatBitWidth() + 7) / 8;
}

Value CPUKernelEmitter::loadAt(Value address, Type elementType, int64_t count) {
  Type type = elementType;
  if (count > 0)
    type = VectorType::get({count}, elementType);
  return LLVM::LoadOp::create(builder, loc, type, address,
                              bytesOf(elementType));
}

void CPUKernelEmitter::storeAt(Value value, Value address) {
  LLVM::StoreOp::create(builder, loc, value, address,
                        bytesOf(getElementTypeOrSelf(value.getType())));
}

Value CPUKernelEmitter::loadBuffer(Buffer *buffer, const Indices &indices,
                                   Lanes lanes, Type elementType) {
  Value value;
  Value at =
      address(buffer->base, buffer->elementType, buffer->strides, 0, indices);
  if (lanes.dim < 0) {
    value = loadAt(at, buffer->elementType, 0);
  } else if (buffer->strides[lanes.dim] == 1) {
    value = loadAt(at, buffer->elementType, lanes.count);
  } else {
    SmallVector<Value> elements;
    for (int64_t lane = 0; lane < lanes.count; ++lane) {
      Indices single = indices;
      single[lanes.dim] = add(single[lanes.dim], lane);
      elements.push_back(loadAt(address(buffer->base, buffer->elementType,
                                        buffer->strides, 0, single),
                                buffer->elementType, 0));
    }
    value = vector::FromElementsOp::create(
        builder, loc, VectorType::get({lanes.count}, buffer->elementType),
        elements);
  }
  if (elementType.isInteger(1) && !buffer->elementType.isInteger(1)) {
    Type narrow = builder.getI1Type();
    if (auto vector = dyn_cast<VectorType>(value.getType()))
      narrow = vector.clone(narrow);
    value = arith::TruncIOp::create(builder, loc, narrow, value);
  }
  return value;
}

void CPUKernelEmitter::storeBuffer(Buffer *buffer, const Indices &indices,
                                   Lanes lanes, Value value) {
  value = spread(value, lanes);
  if (getElementTypeOrSelf(value.getType()).isInteger(1)) {
    Type wide = buffer->elementType;
    if (auto vector = dyn_cast<VectorType>(value.getType()))
      wide = vector.clone(wide);
    value = arith::ExtUIOp::create(builder, loc, wide, value);
  }
  if (lanes.dim < 0 || buffer->strides[lanes.dim] == 1)
    return storeAt(value, address(buffer->base, buffer->elementType,
                                  buffer->strides, 0, indices));
  for (int64_t lane = 0; lane < lanes.count; ++lane) {
    Indices single = indices;
    single[lanes.dim] = add(single[lanes.dim], lane);
    storeAt(
        vector::ExtractOp::create(builder, loc, value, lane),
        address(buffer->base, buffer->elementType, buffer->strides, 0, single));
  }
}

void CPUKernelEmitter::coordinatesOf(ValueRange offsets, const Indices &indices,
                                     ArrayRef<int64_t> tileShape,
                                     const Memory &memory, Lanes lanes,
                                     size_t firstDim, Indices &coordinates,
                                     Value &condition, Value &mask) {
  for (auto [i, offset] : llvm::enumerate(offsets)) {
    size_t d = firstDim + i;
    Value coordinate = add(scalars.lookupOrDefault(offset), indices[d]);
    coordinates.push_back(coordinate);
    if (isProvenInBounds(offset, tileShape[d], memory.shape[d]))
      continue;
    // One unsigned comparison: a negative coordinate is a large one.
    if (static_cast<int>(d) == lanes.dim) {
      Value extent = arith::ConstantOp::create(
          builder, loc,
          DenseElementsAttr::get(
              VectorType::get({lanes.count}, builder.getI64Type()),
              memory.shape[d]));
      mask =
          arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                                laneIndices(coordinate, lanes.count), extent);
      continue;
    }
    Value fits = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                                       coordinate, constant(memory.shape[d]));
    condition =
        condition ? Value(arith::AndIOp::create(builder, loc, condition, fits))
                  : fits;
  }
}

Value CPUKernelEmitter::loadMemory(const Memory &memory,
                                   const Indices &coordinates, Lanes lanes,
                                   Value condition, Value mask, TypedAttr pad) {
  auto padValue = [&] {
    Value value = arith::ConstantOp::create(builder, loc, pad);
    return spread(value, lanes);
  };
  auto load = [&]() -> Value {
    if (lanes.dim < 0)
      return loadAt(address(memory.pointer, memory.elementType, memory.strides,
                            memory.offset, coordinates),
                    memory.elementType, 0);
    auto type = VectorType::get({lanes.count}, memory.elementType);
    if (memory.strides[lanes.dim] == 1) {
      Value at = address(memory.pointer, memory.elementType, memory.strides,
                         memory.offset, coordinates);
      if (!mask)
        return loadAt(at, memory.elementType, lanes.count);
      return LLVM::MaskedLoadOp::create(builder, loc, type, at, mask,
                                        padValue(),
                                        bytesOf(memory.elementType));
    }
    SmallVector<Value> elements;
    for (int64_t lane = 0; lane < lanes.count; ++lane) {
      Indices single = coordinates;
      single[lanes.dim] = add(single[lanes.dim], lane);
      Value inside =
          mask ? Value(vector::ExtractOp::create(builder, loc, mask, lane))
               : Value();
      elements.push_back(
          loadMemory(memory, single, Lanes(), inside, Value(), pad));
    }
    return vector::FromElementsOp::create(builder, loc, type, elements);
  };
  if (!condition)
    return load();
  Type type = memory.elementType;
  if (lanes.dim >= 0)
    type = VectorType::get({lanes.count}, type);
  auto check = scf::IfOp::create(builder, loc, type, condition,
                                 /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(check.thenBlock());
  scf::YieldOp::create(builder, loc, load());
  builder.setInsertionPointToEnd(check.elseBlock());
  scf::YieldOp::create(builder, loc, padValue());
  return check.getResult(0);
}

Value CPUKernelEmitter::loadElement(LoadOp op, const Indices &indices,
                                    Lanes lanes) {
  Memory memory = memories.lookup(op.getMemory());
  auto type = cast<RankedTensorType>(op.getType());
  Indices coordinates;
  Value condition, mask;
  coordinatesOf(op.getOffsets(), indices, type.getShape(), memory, lanes, 0,
                coordinates, condition, mask);
  TypedAttr pad =
      op.getPad() ? *op.getPad()
                  : cast<TypedAttr>(builder.getZeroAttr(type.getElementType()));
  return loadMemory(memory, coordinates, lanes, condition, mask, pad);
}

Value CPUKernelEmitter::gatherElement(GatherOp op, const Indices &indices,
                                      Lanes lanes) {
  if (lanes.dim == 0)
    return elementByElement(op.getResult(), indices, lanes);
  Memory memory = memories.lookup(op.getMemory());
  auto type = cast<RankedTensorType>(op.getType());
  Value row = element(op.getIndices(), {indices[0]}, Lanes());
  row = arith::IndexCastOp::create(builder, loc, builder.getIndexType(), row);
  Indices coordinates = {row};
  Value condition = arith::CmpIOp::create(
      builder, loc, arith::CmpIPredicate::ult, row, constant(memory.shape[0]));
  Value mask;
  coordinatesOf(op.getOffsets(), indices, type.getShape(), memory, lanes, 1,
                coordinates, condition, mask);
  auto zero = cast<TypedAttr>(builder.getZeroAttr(type.getElementType()));
  return loadMemory(memory, coordinates, lanes, condition, mask, zero);
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

/// Elements `indices` of `tile`, and those after them along `lanes.dim`: a
/// vector, or a scalar where all lanes have the same value.
Value CPUKernelEmitter::element(Value tile, Indices indices, Lanes lanes) {
  if (lanes.dim >= 0 &&
      cast<RankedTensorType>(tile.getType()).getDimSize(lanes.dim) == 1 &&
      lanes.count > 1)
    lanes = Lanes();
  SmallVector<void *> places;
  for (Value index : indices)
    places.push_back(index.getAsOpaquePointer());
  Key key{tile.getAsOpaquePointer(), lanes.dim, lanes.count, places};
  auto known = memo.find(key);
  if (known != memo.end())
    return known->second;
  Value value;
  if (Buffer *buffer = buffers.lookup(tile))
    value = loadBuffer(buffer, indices, lanes,
                       getElementTypeOrSelf(tile.getType()));
  else
    value = computeElement(tile, indices, lanes);
  memo[key] = value;
  return value;
}

/// Lane by lane, where lanes do not lie along a dimension of the source.
Value CPUKernelEmitter::elementByElement(Value tile, Indices indices,
                                         Lanes lanes) {
  SmallVector<Value> elements;
  for (int64_t lane = 0; lane < lanes.count; ++lane) {
    Indices single = indices;
    single[lanes.dim] = add(indices[lanes.dim], lane);
    elements.push_back(element(tile, single, Lanes()));
  }
  return vector::FromElementsOp::create(
      builder, loc, VectorType::get({lanes.count}, elements.front().getType()),
      elements);
}

Value CPUKernelEmitter::computeElement(Value tile, const Indices &indices,
                                       Lanes lanes) {
  Operation *op = tile.getDefiningOp();
  auto type = cast<RankedTensorType>(tile.getType());
  if (auto load = dyn_cast<LoadOp>(op))
    return loadElement(load, indices, lanes);
  if (auto gather = dyn_cast<GatherOp>(op))
    return gatherElement(gather, indices, lanes);
  if (auto broadcast = dyn_cast<BroadcastOp>(op)) {
    Indices source = indices;
    auto from = cast<RankedTensorType>(broadcast.getInput().getType());
    for (auto [d, size] : llvm::enumerate(from.getShape()))
      if (size == 1) {
        source[d] = constant(0);
        if (static_cast<int>(d) == lanes.dim)
          lanes = Lanes();
      }
    return element(broadcast.getInput(), source, lanes);
  }
  if (auto reshape = dyn_cast<ReshapeOp>(op)) {
    auto from = cast<RankedTensorType>(reshape.getInput().getType());
    auto notOne = [](int64_t size) { return size != 1; };
    // Where only unit dimensions come and go the others keep their indices.
    if (llvm::equal(llvm::make_filter_range(from.getShape(), notOne),
                    llvm::make_filter_range(type.getShape(), notOne))) {
      SmallVector<std::pair<Value, int>> kept;
      for (auto [d, size] : llvm::enumerate(type.getShape()))
        if (size != 1)
          kept.emplace_back(indices[d], static_cast<int>(d));
      Indices source;
      Lanes moved;
      unsigned next = 0;
      for (auto [d, size] : llvm::enumerate(from.getShape())) {
        if (size == 1) {
          source.push_back(constant(0));
          continue;
        }
        if (kept[next].second == lanes.dim)
          moved = {static_cast<int>(d), lanes.count};
        source.push_back(kept[next++].first);
      }
      return element(reshape.getInput(), source, moved);
    }
    // The same where the last dimension stays and the lanes lie along it.
    int rank = type.getRank(), fromRank = from.getRank();
    bool sameRows = type.getShape().back() == from.getShape().back();
    if (lanes.dim >= 0 && !(sameRows && lanes.dim == rank - 1))
      return elementByElement(tile, indices, lanes);
    Value linear = constant(0);
    int keep = sameRows ? 1 : 0;
    for (int d = 0; d < rank - keep; ++d) {
      if (type.getDimSize(d) != 1 && !matchPattern(linear, m_Zero()))
        linear = arith::MulIOp::create(builder, loc, linear,
                                       constant(type.getDimSize(d)));
      linear = add(linear, indices[d]);
    }
    Indices source(fromRank, constant(0));
    if (sameRows)
      source[fromRank - 1] = indices[rank - 1];
    for (int d = fromRank - keep; d-- > 0;) {
      int64_t size = from.getDimSize(d);
      if (size == 1)
        continue;
      bool isMajor = llvm::all_of(from.getShape().take_front(d),
                                  [](int64_t s) { return s == 1; });
      if (isMajor) {
        source[d] = linear;
        break;
      }
      source[d] = arith::RemUIOp::create(builder, loc, linear, constant(size));
      linear = arith::DivUIOp::create(builder, loc, linear, constant(size));
    }
    return element(reshape.getInput(), source,
                   lanes.dim < 0 ? Lanes() : Lanes{fromRank - 1, lanes.count});
  }
  if (auto trans = dyn_cast<TransOp>(op)) {
    Indices source(indices.size());
    Lanes moved;
    for (auto [to, from] : llvm::enumerate(trans.getPermutation())) {
      source[from] = indices[to];
      if (static_cast<int>(to) == lanes.dim)
        moved = {static_cast<int>(from), lanes.count};
    }
    return element(trans.getInput(), source, moved);
  }
  if (auto iota = dyn_cast<IotaOp>(op)) {
    Value first = indices[iota.getDim()];
    if (static_cast<int>(iota.getDim()) != lanes.dim)
      return arith::IndexCastOp::create(builder, loc, type.getElementType(),
                                        first);
    Value index = laneIndices(first, lanes.count);
    if (type.getElementType().isInteger(64))
      return index;
    auto vectorType = VectorType::get({lanes.count}, type.getElementType());
    return arith::TruncIOp::create(builder, loc, vectorType, index);
  }
  if (auto splat = dyn_cast<SplatOp>(op))
    return scalars.lookupOrDefault(splat.getInput());
  if (auto constantOp = dyn_cast<arith::ConstantOp>(op)) {
    auto elements = cast<DenseElementsAttr>(constantOp.getValue());
    return arith::ConstantOp::create(builder, loc,
                                     elements.getSplatValue<TypedAttr>());
  }
  // An elementwise op: the same op on vectors, or on scalars where no operand
  // varies along the lanes.
  SmallVector<Value> operands;
  bool isVector = false;
  for (Value operand : op->getOperands()) {
    operands.push_back(isTile(operand) ? element(operand, indices, lanes)
                                       : scalars.lookupOrDefault(operand));
    isVector |= isa<VectorType>(operands.back().getType());
  }
  if (isVector)
    for (Value &operand : operands)
      operand = spread(operand, lanes);
  OperationState state(op->getLoc(), op->getName());
  state.addOperands(operands);
  for (Type result : op->getResultTypes()) {
    Type single = getElementTypeOrSelf(result);
    state.addTypes(isVector ? Type(VectorType::get({lanes.count}, single))
                            : single);
  }
  state.addAttributes(op->getAttrs());
  return builder.create(state)->getResult(0);
}
