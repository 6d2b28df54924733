// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// How a vector of a tile's elements is computed.
#include "CPUKernelEmitter.h"

#include "dialects/Tile/IR/KernelAnalysis.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

/// Elements `indices` of `tile`, and those after them along `lanes.dim`: a
/// vector, or a scalar where all lanes have the same value.
Value CPUKernelEmitter::element(Value tile, Indices indices, Lanes lanes) {
  if (lanes.dim >= 0 && lanes.count > 1 &&
      cast<RankedTensorType>(tile.getType()).getDimSize(lanes.dim) == 1)
    lanes = Lanes();
  if (Value value = turnedElement(tile, indices, lanes))
    return value;
  SmallVector<void *> places;
  for (Value index : indices)
    places.push_back(index.getAsOpaquePointer());
  ElementKey key{tile.getAsOpaquePointer(), lanes.dim, lanes.count, places};
  if (auto found = known.find(key); found != known.end())
    return found->second;
  Value value;
  if (Buffer *buffer = buffers.lookup(tile))
    value = tiles.load(buffer, indices, lanes,
                       getElementTypeOrSelf(tile.getType()));
  else
    value = computeElement(tile, indices, lanes);
  known[key] = value;
  return value;
}

Value CPUKernelEmitter::computeElement(Value tile, const Indices &indices,
                                       Lanes lanes) {
  return llvm::TypeSwitch<Operation *, Value>(tile.getDefiningOp())
      .Case<LoadOp, GatherOp, BroadcastOp, ReshapeOp, TransOp, IotaOp>(
          [&](auto op) { return elementOf(op, indices, lanes); })
      .Case([&](SplatOp op) { return scalars.lookupOrDefault(op.getInput()); })
      .Case([&](arith::ConstantOp op) {
        auto elements = cast<DenseElementsAttr>(op.getValue());
        return constantOf(elements.getSplatValue<TypedAttr>());
      })
      .Default([&](Operation *op) { return elementwise(op, indices, lanes); });
}

/// The same op on vectors, or on scalars where no operand varies along the
/// lanes.
Value CPUKernelEmitter::elementwise(Operation *op, const Indices &indices,
                                    Lanes lanes) {
  SmallVector<Value> operands;
  for (Value operand : op->getOperands())
    operands.push_back(isTile(operand) ? element(operand, indices, lanes)
                                       : scalars.lookupOrDefault(operand));
  bool isVector = llvm::any_of(
      operands, [](Value value) { return isa<VectorType>(value.getType()); });
  if (!isVector)
    lanes = Lanes();
  for (Value &operand : operands)
    operand = code.spread(operand, lanes);
  OperationState state(op->getLoc(), op->getName());
  state.addOperands(operands);
  for (Type result : op->getResultTypes())
    state.addTypes(code.typeOf(getElementTypeOrSelf(result), lanes));
  state.addAttributes(op->getAttrs());
  return builder.create(state)->getResult(0);
}

/// Lane by lane, where lanes do not run along a dimension of the source.
Value CPUKernelEmitter::elementByElement(Value tile, const Indices &indices,
                                         Lanes lanes) {
  SmallVector<Value> elements;
  for (int64_t i = 0; i < lanes.count; ++i) {
    Indices single = indices;
    single[lanes.dim] = code.add(indices[lanes.dim], i);
    elements.push_back(element(tile, single, Lanes()));
  }
  return code.fromElements(elements);
}

Value CPUKernelEmitter::elementOf(BroadcastOp op, Indices indices,
                                  Lanes lanes) {
  auto from = cast<RankedTensorType>(op.getInput().getType());
  for (auto [d, size] : llvm::enumerate(from.getShape()))
    if (size == 1) {
      indices[d] = constant(0);
      if (static_cast<int>(d) == lanes.dim)
        lanes = Lanes();
    }
  return element(op.getInput(), indices, lanes);
}

Value CPUKernelEmitter::elementOf(TransOp op, const Indices &indices,
                                  Lanes lanes) {
  Indices source(indices.size());
  Lanes moved;
  for (auto [to, from] : llvm::enumerate(op.getPermutation())) {
    source[from] = indices[to];
    if (static_cast<int>(to) == lanes.dim)
      moved = {static_cast<int>(from), lanes.count};
  }
  return element(op.getInput(), source, moved);
}

Value CPUKernelEmitter::elementOf(IotaOp op, const Indices &indices,
                                  Lanes lanes) {
  Type type = getElementTypeOrSelf(op.getType());
  Value first = indices[op.getDim()];
  if (static_cast<int>(op.getDim()) != lanes.dim)
    return arith::IndexCastOp::create(builder, loc, type, first);
  Value index = code.laneIndices(first, lanes.count);
  if (type.isInteger(64))
    return index;
  return arith::TruncIOp::create(builder, loc, code.typeOf(type, lanes), index);
}

//===----------------------------------------------------------------------===//
// Reshapes
//===----------------------------------------------------------------------===//

/// Whether only dimensions of size one come and go, so that the others keep
/// their indices.
static bool keepsLongDims(ReshapeOp op) {
  auto sizes = [](Value tile) {
    return llvm::make_filter_range(
        cast<RankedTensorType>(tile.getType()).getShape(),
        [](int64_t n) { return n != 1; });
  };
  return llvm::equal(sizes(op.getInput()), sizes(op.getResult()));
}

/// The dimension of the input whose elements are the same in the same order as
/// those along `dim` of the result; -1 where there is none.
static int dimBefore(ReshapeOp op, int dim) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(op.getType()).getShape();
  ArrayRef<int64_t> from =
      cast<RankedTensorType>(op.getInput().getType()).getShape();
  if (keepsLongDims(op)) {
    for (auto [d, source] :
         llvm::zip(cpu::longDims(shape), cpu::longDims(from)))
      if (d == dim)
        return source;
    return -1;
  }
  bool isSameRow =
      dim + 1 == static_cast<int>(shape.size()) && shape.back() == from.back();
  return isSameRow ? static_cast<int>(from.size()) - 1 : -1;
}

bool CPUKernelEmitter::isContiguous(Value tile, int dim) {
  if (cast<RankedTensorType>(tile.getType()).getDimSize(dim) == 1)
    return true;
  if (Buffer *buffer = buffers.lookup(tile))
    return buffer->strides[dim] == 1;
  Operation *op = tile.getDefiningOp();
  if (isa<SplatOp, IotaOp, arith::ConstantOp>(op))
    return true;
  if (auto load = dyn_cast<LoadOp>(op))
    return memories.lookup(load.getMemory()).strides[dim] == 1;
  if (auto trans = dyn_cast<TransOp>(op))
    return isContiguous(trans.getInput(),
                        static_cast<int>(trans.getPermutation()[dim]));
  if (auto reshape = dyn_cast<ReshapeOp>(op)) {
    int before = dimBefore(reshape, dim);
    return before >= 0 && isContiguous(reshape.getInput(), before);
  }
  bool isInPlace =
      isa<BroadcastOp>(op) || OpTrait::hasElementwiseMappableTraits(op);
  return isInPlace && llvm::all_of(op->getOperands(), [&](Value operand) {
           return !isTile(operand) || isContiguous(operand, dim);
         });
}

/// Where the elements of `op` at `indices` are in its input; in `lanes`, along
/// which dimension of it the lanes run. Nothing where they run along none.
std::optional<cpu::Indices>
CPUKernelEmitter::indicesBefore(ReshapeOp op, const Indices &indices,
                                Lanes &lanes) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(op.getType()).getShape();
  ArrayRef<int64_t> from =
      cast<RankedTensorType>(op.getInput().getType()).getShape();
  Indices source(from.size(), constant(0));
  if (keepsLongDims(op)) {
    Lanes moved;
    for (auto [to, d] : llvm::zip(cpu::longDims(from), cpu::longDims(shape))) {
      source[to] = indices[d];
      if (d == lanes.dim)
        moved = {to, lanes.count};
    }
    lanes = moved;
    return source;
  }

  // Else through the linear index, of the rows if the last dimension stays:
  // then lanes along it stay together.
  int last = static_cast<int>(shape.size()) - 1;
  int fromLast = static_cast<int>(from.size()) - 1;
  bool sameRows = shape[last] == from[fromLast];
  if (lanes.dim >= 0 && !(sameRows && lanes.dim == last))
    return std::nullopt;
  if (sameRows) {
    source[fromLast] = indices[last];
    shape = shape.drop_back();
    from = from.drop_back();
    lanes.dim = lanes.dim < 0 ? -1 : fromLast;
  }
  Value linear = constant(0);
  for (auto [d, size] : llvm::enumerate(shape))
    linear = code.add(code.multiply(linear, size), indices[d]);
  SmallVector<int> dims = cpu::longDims(from);
  for (int d : llvm::reverse(dims)) {
    if (d == dims.front()) {
      source[d] = linear;
      break;
    }
    Value size = constant(from[d]);
    source[d] = arith::RemUIOp::create(builder, loc, linear, size);
    linear = arith::DivUIOp::create(builder, loc, linear, size);
  }
  return source;
}

Value CPUKernelEmitter::elementOf(ReshapeOp op, const Indices &indices,
                                  Lanes lanes) {
  std::optional<Indices> source = indicesBefore(op, indices, lanes);
  if (!source)
    return elementByElement(op.getResult(), indices, lanes);
  return element(op.getInput(), *source, lanes);
}

void CPUKernelEmitter::prefetchElement(Value tile, const Indices &indices,
                                       int level) {
  Operation *op = tile.getDefiningOp();
  if (!op || buffers.contains(tile))
    return;
  if (auto load = dyn_cast<LoadOp>(op)) {
    Indices coordinates;
    for (auto [offset, index] : llvm::zip(load.getOffsets(), indices))
      coordinates.push_back(code.add(scalars.lookupOrDefault(offset), index));
    code.prefetch(address(memories.lookup(load.getMemory()), coordinates),
                  level);
    return;
  }
  Lanes none;
  if (auto trans = dyn_cast<TransOp>(op)) {
    Indices source(indices.size());
    for (auto [to, from] : llvm::enumerate(trans.getPermutation()))
      source[from] = indices[to];
    return prefetchElement(trans.getInput(), source, level);
  }
  if (auto reshape = dyn_cast<ReshapeOp>(op))
    return prefetchElement(reshape.getInput(),
                           *indicesBefore(reshape, indices, none), level);
  if (OpTrait::hasElementwiseMappableTraits(op))
    for (Value operand : op->getOperands())
      if (isTile(operand))
        prefetchElement(operand, indices, level);
}
