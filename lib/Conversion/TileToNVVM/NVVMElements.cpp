// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// How a thread computes one element of a tile.
#include "NVVMKernelEmitter.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

static std::pair<void *, SmallVector<void *>> memoKey(Value tile,
                                                      ArrayRef<Value> indices) {
  SmallVector<void *> key;
  for (Value index : indices)
    key.push_back(index.getAsOpaquePointer());
  return {tile.getAsOpaquePointer(), key};
}

void NVVMKernelEmitter::remember(Value tile, const Indices &indices,
                                 Value value) {
  memo[memoKey(tile, indices)] = value;
}

Value NVVMKernelEmitter::element(Value tile, Indices indices) {
  if (SharedBuffer *buffer = buffers.lookup(tile))
    return loadShared(buffer, indices, getElementTypeOrSelf(tile.getType()));
  auto known = memo.find(memoKey(tile, indices));
  if (known != memo.end())
    return known->second;
  Value value = computeElement(tile, indices);
  remember(tile, indices, value);
  return value;
}

Value NVVMKernelEmitter::loadElement(LoadOp op, const Indices &indices) {
  Memory memory = memories.lookup(op.getMemory());
  auto type = cast<RankedTensorType>(op.getType());
  Place place = placeOf(op.getOffsets(), indices, type.getShape(), memory,
                        /*firstDim=*/0);
  Value pad =
      op.getPad()
          ? arith::ConstantOp::create(builder, loc, *op.getPad()).getResult()
          : number(type.getElementType(), 0);
  return guardedLoad(memory, place, pad);
}

Value NVVMKernelEmitter::gatherElement(GatherOp op, const Indices &indices) {
  Memory memory = memories.lookup(op.getMemory());
  auto type = cast<RankedTensorType>(op.getType());
  Value row = element(op.getIndices(), {indices[0]});
  if (row.getType() != builder.getIndexType())
    row = arith::IndexCastOp::create(builder, loc, builder.getIndexType(), row);
  Place place = placeOf(op.getOffsets(), indices, type.getShape(), memory,
                        /*firstDim=*/1);
  place.coordinates.insert(place.coordinates.begin(), row);
  place.fits.insert(place.fits.begin(), isBelow(row, memory.shape[0]));
  place.behind.insert(place.behind.begin(), 0);
  return guardedLoad(memory, place, number(type.getElementType(), 0));
}

Value NVVMKernelEmitter::broadcastElement(BroadcastOp op, Indices indices) {
  auto from = cast<RankedTensorType>(op.getInput().getType());
  for (auto [d, size] : llvm::enumerate(from.getShape()))
    if (size == 1)
      indices[d] = constant(0);
  return element(op.getInput(), indices);
}

Value NVVMKernelEmitter::reshapeElement(ReshapeOp op, const Indices &indices) {
  auto from = cast<RankedTensorType>(op.getInput().getType());
  auto to = cast<RankedTensorType>(op.getType());
  // Where only unit dimensions come and go the others keep their indices.
  auto notOne = [](int64_t size) { return size != 1; };
  if (!llvm::equal(llvm::make_filter_range(from.getShape(), notOne),
                   llvm::make_filter_range(to.getShape(), notOne))) {
    Value linear = linearize(indices, to.getShape());
    return element(op.getInput(), delinearize(linear, from.getShape()));
  }
  Indices kept, source;
  for (auto [index, size] : llvm::zip(indices, to.getShape()))
    if (size != 1)
      kept.push_back(index);
  unsigned next = 0;
  for (int64_t size : from.getShape())
    source.push_back(size == 1 ? constant(0) : kept[next++]);
  return element(op.getInput(), source);
}

Value NVVMKernelEmitter::transposedElement(TransOp op, const Indices &indices) {
  Indices source(indices.size());
  for (auto [to, from] : llvm::enumerate(op.getPermutation()))
    source[from] = indices[to];
  return element(op.getInput(), source);
}

/// The same op on elements.
Value NVVMKernelEmitter::elementwiseElement(Operation *op,
                                            const Indices &indices) {
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

Value NVVMKernelEmitter::computeElement(Value tile, const Indices &indices) {
  return llvm::TypeSwitch<Operation *, Value>(tile.getDefiningOp())
      .Case([&](LoadOp op) { return loadElement(op, indices); })
      .Case([&](GatherOp op) { return gatherElement(op, indices); })
      .Case([&](BroadcastOp op) { return broadcastElement(op, indices); })
      .Case([&](ReshapeOp op) { return reshapeElement(op, indices); })
      .Case([&](TransOp op) { return transposedElement(op, indices); })
      .Case([&](IotaOp op) {
        return arith::IndexCastOp::create(builder, loc,
                                          getElementTypeOrSelf(op.getType()),
                                          indices[op.getDim()]);
      })
      .Case([&](SplatOp op) { return scalars.lookupOrDefault(op.getInput()); })
      .Case([&](arith::ConstantOp op) {
        auto elements = cast<DenseElementsAttr>(op.getValue());
        return arith::ConstantOp::create(builder, loc,
                                         elements.getSplatValue<TypedAttr>());
      })
      .Default([&](Operation *op) { return elementwiseElement(op, indices); });
}
