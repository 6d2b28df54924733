// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// How a thread computes one element of a tile.
#include "AccessOrder.h"
#include "KernelEmitter.h"

#include "dialects/Tile/IR/IndexRange.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

//===----------------------------------------------------------------------===//
// Small arithmetic
//===----------------------------------------------------------------------===//

Value KernelEmitter::constantI32(int64_t value) {
  return arith::ConstantIntOp::create(builder, loc, value, 32);
}

KernelEmitter::Indices KernelEmitter::delinearize(Value linear,
                                                  ArrayRef<int64_t> shape) {
  Indices indices(shape.size());
  // Division of 32-bit numbers by constants takes a third of the instructions.
  Value rest =
      arith::IndexCastOp::create(builder, loc, builder.getI32Type(), linear);
  for (size_t d = shape.size(); d-- > 0;) {
    Value digit;
    if (shape[d] == 1) {
      indices[d] = constant(0);
      continue;
    }
    bool isMajor = llvm::all_of(shape.take_front(d),
                                [](int64_t size) { return size == 1; });
    if (isMajor) {
      digit = rest;
    } else {
      Value size = constantI32(shape[d]);
      digit = arith::RemUIOp::create(builder, loc, rest, size);
      rest = arith::DivUIOp::create(builder, loc, rest, size);
    }
    indices[d] = arith::IndexCastUIOp::create(builder, loc,
                                              builder.getIndexType(), digit);
  }
  return indices;
}

Value KernelEmitter::linearize(const Indices &indices,
                               ArrayRef<int64_t> shape) {
  Value linear = constant(0);
  for (auto [index, size] : llvm::zip(indices, shape)) {
    linear = arith::MulIOp::create(builder, loc, linear, constant(size));
    linear = arith::AddIOp::create(builder, loc, linear, index);
  }
  return linear;
}

/// Combines the lanes' 32-bit values so that every lane holds the result.
Value KernelEmitter::warpReduce(ReductionKind kind, Value value) {
  Value all = constantI32(-1), clamp = constantI32(31);
  for (int offset = 16; offset > 0; offset /= 2) {
    Value other = NVVM::ShflOp::create(builder, loc, value.getType(), all,
                                       value, constantI32(offset), clamp,
                                       NVVM::ShflKind::bfly, UnitAttr());
    value = combine(kind, value, other);
  }
  return value;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value KernelEmitter::memoryAddress(const Memory &memory,
                                   const Indices &coordinates) {
  Value linear = constant(memory.offset);
  for (auto [index, stride] : llvm::zip(coordinates, memory.strides)) {
    Value scaled = arith::MulIOp::create(builder, loc, index, constant(stride));
    linear = arith::AddIOp::create(builder, loc, linear, scaled);
  }
  Value offset =
      arith::IndexCastOp::create(builder, loc, builder.getI64Type(), linear);
  return LLVM::GEPOp::create(builder, loc, memory.pointer.getType(),
                             memory.elementType, memory.pointer,
                             ArrayRef<LLVM::GEPArg>{offset});
}

Value KernelEmitter::sharedAddress(SharedBuffer *buffer, Indices indices) {
  shared.touch(buffer);
  if (buffer->isSwapped)
    std::swap(indices[0], indices[1]);
  Value linear = constant(0);
  for (auto [d, index] : llvm::enumerate(indices)) {
    // Rows are padded, outer dimensions count whole rows.
    int64_t stride =
        d + 1 == indices.size() ? buffer->rowStride : buffer->shape[d];
    linear = arith::MulIOp::create(builder, loc, linear, constant(stride));
    linear = arith::AddIOp::create(builder, loc, linear, index);
  }
  Value offset =
      arith::IndexCastOp::create(builder, loc, builder.getI64Type(), linear);
  return LLVM::GEPOp::create(builder, loc, buffer->base.getType(),
                             buffer->elementType, buffer->base,
                             ArrayRef<LLVM::GEPArg>{offset});
}

Value KernelEmitter::fromStored(Value value, Type elementType) {
  if (value.getType() == elementType)
    return value;
  return arith::TruncIOp::create(builder, loc, elementType, value);
}

Value KernelEmitter::loadShared(SharedBuffer *buffer, const Indices &indices,
                                Type elementType) {
  Value value = LLVM::LoadOp::create(builder, loc, buffer->elementType,
                                     sharedAddress(buffer, indices));
  return fromStored(value, elementType);
}

SmallVector<Value> KernelEmitter::loadRun(SharedBuffer *buffer, Indices indices,
                                          int64_t count, Type elementType) {
  int64_t bytes = elementBytes(buffer->elementType);
  int64_t width = std::max<int64_t>(1, maxAccessBytes / bytes);
  while (count % width || buffer->rowStride % width)
    width /= 2;
  Value &position = buffer->isSwapped ? indices[0] : indices[1];
  Value first = position;
  SmallVector<Value> run;
  for (int64_t at = 0; at < count; at += width) {
    position = arith::AddIOp::create(builder, loc, first, constant(at));
    if (width == 1) {
      run.push_back(loadShared(buffer, indices, elementType));
      continue;
    }
    auto type = VectorType::get({width}, buffer->elementType);
    Value vector =
        LLVM::LoadOp::create(builder, loc, type, sharedAddress(buffer, indices),
                             /*alignment=*/width * bytes);
    for (int64_t i = 0; i < width; ++i) {
      Value value =
          LLVM::ExtractElementOp::create(builder, loc, vector, constantI32(i));
      run.push_back(fromStored(value, elementType));
    }
  }
  return run;
}

void KernelEmitter::storeShared(SharedBuffer *buffer, const Indices &indices,
                                Value value) {
  if (value.getType().isInteger(1))
    value = arith::ExtUIOp::create(builder, loc, buffer->elementType, value);
  LLVM::StoreOp::create(builder, loc, value, sharedAddress(buffer, indices));
}

std::pair<KernelEmitter::Indices, Value>
KernelEmitter::coordinatesOf(ValueRange offsets, const Indices &indices,
                             ArrayRef<int64_t> tileShape, const Memory &memory,
                             size_t firstDim) {
  Indices coordinates;
  Value inBounds;
  for (auto [i, offset] : llvm::enumerate(offsets)) {
    size_t d = firstDim + i;
    Value coordinate = arith::AddIOp::create(
        builder, loc, scalars.lookupOrDefault(offset), indices[d]);
    coordinates.push_back(coordinate);
    if (isProvenInBounds(offset, tileShape[d], memory.shape[d]))
      continue;
    // One unsigned comparison: a negative coordinate is a large one.
    Value fits = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                                       coordinate, constant(memory.shape[d]));
    inBounds = inBounds
                   ? Value(arith::AndIOp::create(builder, loc, inBounds, fits))
                   : fits;
  }
  return {coordinates, inBounds};
}

Value KernelEmitter::guardedLoad(const Memory &memory, Indices coordinates,
                                 Value inBounds, Value otherwise) {
  auto load = [&]() -> Value {
    return LLVM::LoadOp::create(builder, loc, memory.elementType,
                                memoryAddress(memory, coordinates));
  };
  if (!inBounds)
    return load();
  auto guard = scf::IfOp::create(builder, loc, memory.elementType, inBounds,
                                 /*withElseRegion=*/true);
  OpBuilder::InsertionGuard restore(builder);
  builder.setInsertionPointToEnd(guard.thenBlock());
  scf::YieldOp::create(builder, loc, load());
  builder.setInsertionPointToEnd(guard.elseBlock());
  scf::YieldOp::create(builder, loc, otherwise);
  return guard.getResult(0);
}

Value KernelEmitter::loadElement(LoadOp op, const Indices &indices) {
  Memory memory = memories.lookup(op.getMemory());
  auto type = cast<RankedTensorType>(op.getType());
  auto [coordinates, inBounds] =
      coordinatesOf(op.getOffsets(), indices, type.getShape(), memory);
  Value pad;
  if (inBounds)
    pad =
        op.getPad()
            ? arith::ConstantOp::create(builder, loc, *op.getPad()).getResult()
            : number(type.getElementType(), 0);
  return guardedLoad(memory, coordinates, inBounds, pad);
}

Value KernelEmitter::gatherElement(GatherOp op, const Indices &indices) {
  Memory memory = memories.lookup(op.getMemory());
  auto type = cast<RankedTensorType>(op.getType());
  Value row = element(op.getIndices(), {indices[0]});
  if (row.getType() != builder.getIndexType())
    row = arith::IndexCastOp::create(builder, loc, builder.getIndexType(), row);
  Value inBounds = arith::CmpIOp::create(
      builder, loc, arith::CmpIPredicate::ult, row, constant(memory.shape[0]));
  auto [rest, restInBounds] =
      coordinatesOf(op.getOffsets(), indices, type.getShape(), memory, 1);
  if (restInBounds)
    inBounds = arith::AndIOp::create(builder, loc, inBounds, restInBounds);
  Indices coordinates = {row};
  llvm::append_range(coordinates, rest);
  return guardedLoad(memory, coordinates, inBounds,
                     number(type.getElementType(), 0));
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

static std::pair<void *, SmallVector<void *>> memoKey(Value tile,
                                                      ArrayRef<Value> indices) {
  SmallVector<void *> key;
  for (Value index : indices)
    key.push_back(index.getAsOpaquePointer());
  return {tile.getAsOpaquePointer(), key};
}

void KernelEmitter::remember(Value tile, const Indices &indices, Value value) {
  memo[memoKey(tile, indices)] = value;
}

Value KernelEmitter::element(Value tile, Indices indices) {
  if (SharedBuffer *buffer = buffers.lookup(tile))
    return loadShared(buffer, indices, getElementTypeOrSelf(tile.getType()));
  auto known = memo.find(memoKey(tile, indices));
  if (known != memo.end())
    return known->second;
  Value value = computeElement(tile, indices);
  remember(tile, indices, value);
  return value;
}

Value KernelEmitter::computeElement(Value tile, const Indices &indices) {
  Operation *op = tile.getDefiningOp();
  auto type = cast<RankedTensorType>(tile.getType());
  if (auto load = dyn_cast<LoadOp>(op))
    return loadElement(load, indices);
  if (auto gather = dyn_cast<GatherOp>(op))
    return gatherElement(gather, indices);
  if (auto broadcast = dyn_cast<BroadcastOp>(op)) {
    Indices source = indices;
    auto from = cast<RankedTensorType>(broadcast.getInput().getType());
    for (auto [d, size] : llvm::enumerate(from.getShape()))
      if (size == 1)
        source[d] = constant(0);
    return element(broadcast.getInput(), source);
  }
  if (auto reshape = dyn_cast<ReshapeOp>(op)) {
    auto from = cast<RankedTensorType>(reshape.getInput().getType());
    // Where only unit dimensions come and go the others keep their indices.
    auto notOne = [](int64_t size) { return size != 1; };
    if (llvm::equal(llvm::make_filter_range(from.getShape(), notOne),
                    llvm::make_filter_range(type.getShape(), notOne))) {
      Indices kept, source;
      for (auto [index, size] : llvm::zip(indices, type.getShape()))
        if (size != 1)
          kept.push_back(index);
      unsigned next = 0;
      for (int64_t size : from.getShape())
        source.push_back(size == 1 ? constant(0) : kept[next++]);
      return element(reshape.getInput(), source);
    }
    Value linear = linearize(indices, type.getShape());
    return element(reshape.getInput(), delinearize(linear, from.getShape()));
  }
  if (auto trans = dyn_cast<TransOp>(op)) {
    Indices source(indices.size());
    for (auto [to, from] : llvm::enumerate(trans.getPermutation()))
      source[from] = indices[to];
    return element(trans.getInput(), source);
  }
  if (auto iota = dyn_cast<IotaOp>(op))
    return arith::IndexCastOp::create(builder, loc, type.getElementType(),
                                      indices[iota.getDim()]);
  if (auto splat = dyn_cast<SplatOp>(op))
    return scalars.lookupOrDefault(splat.getInput());
  if (auto constantOp = dyn_cast<arith::ConstantOp>(op)) {
    auto elements = cast<DenseElementsAttr>(constantOp.getValue());
    return arith::ConstantOp::create(builder, loc,
                                     elements.getSplatValue<TypedAttr>());
  }
  // An elementwise op: the same op on elements.
  SmallVector<Value> operands;
  for (Value operand : op->getOperands())
    operands.push_back(isa<RankedTensorType>(operand.getType())
                           ? element(operand, indices)
                           : scalars.lookupOrDefault(operand));
  OperationState state(op->getLoc(), op->getName());
  state.addOperands(operands);
  for (Type result : op->getResultTypes())
    state.addTypes(getElementTypeOrSelf(result));
  state.addAttributes(op->getAttrs());
  return builder.create(state)->getResult(0);
}
