// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Elements of the kernel's memrefs: their addresses, which of them exist, and
// how they are read and written.
#include "CPUKernelEmitter.h"

#include "dialects/Tile/IR/IndexRange.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

//===----------------------------------------------------------------------===//
// Addresses
//===----------------------------------------------------------------------===//

Value CPUKernelEmitter::address(const Memory &memory,
                                const Indices &coordinates) {
  return code.address(memory.pointer, memory.elementType, memory.strides,
                      memory.offset, coordinates);
}

void CPUKernelEmitter::addCoordinates(Place &place, ValueRange offsets,
                                      const Indices &indices,
                                      ArrayRef<int64_t> tileShape,
                                      const Memory &memory, Lanes lanes) {
  for (Value offset : offsets) {
    size_t d = place.coordinates.size();
    Value coordinate = code.add(scalars.lookupOrDefault(offset), indices[d]);
    place.coordinates.push_back(coordinate);
    int64_t extent = memory.shape[d];
    if (isProvenInBounds(offset, tileShape[d], extent))
      continue;
    if (static_cast<int>(d) == lanes.dim) {
      auto type = VectorType::get({lanes.count}, builder.getI64Type());
      Value extents = constantOf(DenseElementsAttr::get(type, extent));
      place.mask =
          code.isBelow(code.laneIndices(coordinate, lanes.count), extents);
      continue;
    }
    Value fits = code.isBelow(coordinate, constant(extent));
    if (place.condition)
      fits = arith::AndIOp::create(builder, loc, place.condition, fits);
    place.condition = fits;
  }
}

//===----------------------------------------------------------------------===//
// Loads
//===----------------------------------------------------------------------===//

/// `pad` where nothing exists.
Value CPUKernelEmitter::loadMemory(const Memory &memory, const Place &place,
                                   Lanes lanes, TypedAttr pad) {
  if (!place.condition)
    return loadLanes(memory, place, lanes, pad);
  auto check =
      scf::IfOp::create(builder, loc, code.typeOf(memory.elementType, lanes),
                        place.condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(check.thenBlock());
  scf::YieldOp::create(builder, loc, loadLanes(memory, place, lanes, pad));
  builder.setInsertionPointToEnd(check.elseBlock());
  scf::YieldOp::create(builder, loc, code.spread(constantOf(pad), lanes));
  return check.getResult(0);
}

/// The same where at least one lane exists.
Value CPUKernelEmitter::loadLanes(const Memory &memory, const Place &place,
                                  Lanes lanes, TypedAttr pad) {
  if (lanes.dim < 0)
    return code.loadAt(address(memory, place.coordinates), memory.elementType,
                       0);
  if (memory.strides[lanes.dim] == 1) {
    Value at = address(memory, place.coordinates);
    if (!place.mask)
      return code.loadAt(at, memory.elementType, lanes.count);
    return LLVM::MaskedLoadOp::create(
        builder, loc, code.typeOf(memory.elementType, lanes), at, place.mask,
        code.spread(constantOf(pad), lanes),
        cpu::Code::bytesOf(memory.elementType));
  }
  SmallVector<Value> elements;
  for (int64_t i = 0; i < lanes.count; ++i) {
    Place single{place.coordinates, {}, {}};
    single.coordinates[lanes.dim] = code.add(single.coordinates[lanes.dim], i);
    if (place.mask)
      single.condition = code.lane(place.mask, i);
    elements.push_back(loadMemory(memory, single, Lanes(), pad));
  }
  return code.fromElements(elements);
}

Value CPUKernelEmitter::elementOf(LoadOp op, const Indices &indices,
                                  Lanes lanes) {
  Memory memory = memories.lookup(op.getMemory());
  auto type = cast<RankedTensorType>(op.getType());
  Place place;
  addCoordinates(place, op.getOffsets(), indices, type.getShape(), memory,
                 lanes);
  auto zero = cast<TypedAttr>(builder.getZeroAttr(type.getElementType()));
  return loadMemory(memory, place, lanes, op.getPad().value_or(zero));
}

Value CPUKernelEmitter::elementOf(GatherOp op, const Indices &indices,
                                  Lanes lanes) {
  if (lanes.dim == 0)
    return elementByElement(op.getResult(), indices, lanes);
  Memory memory = memories.lookup(op.getMemory());
  auto type = cast<RankedTensorType>(op.getType());
  Value row = element(op.getIndices(), {indices[0]}, Lanes());
  row = arith::IndexCastOp::create(builder, loc, builder.getIndexType(), row);
  Place place{{row}, code.isBelow(row, constant(memory.shape[0])), {}};
  addCoordinates(place, op.getOffsets(), indices, type.getShape(), memory,
                 lanes);
  auto zero = cast<TypedAttr>(builder.getZeroAttr(type.getElementType()));
  return loadMemory(memory, place, lanes, zero);
}

//===----------------------------------------------------------------------===//
// Stores
//===----------------------------------------------------------------------===//

void CPUKernelEmitter::emitStores(ArrayRef<StoreOp> ops) {
  StoreOp first = ops.front();
  SmallVector<Value> stored;
  for (StoreOp op : ops)
    stored.push_back(op.getValue());
  forEachVectorOf(
      first.getValue().getType().getShape(), stored,
      [&](Indices indices, Lanes lanes) { storeVector(ops, indices, lanes); });
}

void CPUKernelEmitter::storeVector(ArrayRef<StoreOp> ops,
                                   const Indices &indices, Lanes lanes) {
  StoreOp first = ops.front();
  Memory memory = memories.lookup(first.getMemory());
  Place place;
  addCoordinates(place, first.getOffsets(), indices,
                 first.getValue().getType().getShape(), memory, lanes);
  auto store = [&] {
    SmallVector<Value> values;
    for (StoreOp op : ops)
      values.push_back(
          code.spread(element(op.getValue(), indices, lanes), lanes));
    for (size_t i = 0; i < ops.size(); ++i) {
      StoreOp op = ops[i];
      storeLanes(memories.lookup(op.getMemory()), place, lanes, values[i]);
    }
  };
  if (!place.condition)
    return store();
  FreshElements fresh(*this);
  auto check = scf::IfOp::create(builder, loc, place.condition, false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(check.thenBlock()->getTerminator());
  store();
}

/// Stores the lanes that exist, where at least one does.
void CPUKernelEmitter::storeLanes(const Memory &memory, const Place &place,
                                  Lanes lanes, Value value) {
  if (lanes.dim < 0 || memory.strides[lanes.dim] == 1) {
    Value at = address(memory, place.coordinates);
    if (!place.mask)
      return code.storeAt(value, at);
    LLVM::MaskedStoreOp::create(builder, loc, value, at, place.mask,
                                cpu::Code::bytesOf(memory.elementType));
    return;
  }
  for (int64_t i = 0; i < lanes.count; ++i) {
    Indices single = place.coordinates;
    single[lanes.dim] = code.add(single[lanes.dim], i);
    OpBuilder::InsertionGuard guard(builder);
    if (place.mask) {
      auto check =
          scf::IfOp::create(builder, loc, code.lane(place.mask, i), false);
      builder.setInsertionPoint(check.thenBlock()->getTerminator());
    }
    code.storeAt(code.lane(value, i), address(memory, single));
  }
}
