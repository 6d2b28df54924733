// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Indices, addresses, and accesses to global and shared memory.
#include "AccessOrder.h"
#include "NVVMKernelEmitter.h"

#include "dialects/Tile/IR/IndexRange.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

//===----------------------------------------------------------------------===//
// Indices
//===----------------------------------------------------------------------===//

Value NVVMKernelEmitter::constantI32(int64_t value) {
  return arith::ConstantIntOp::create(builder, loc, value, 32);
}

NVVMKernelEmitter::Indices
NVVMKernelEmitter::delinearize(Value linear, ArrayRef<int64_t> shape) {
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

Value NVVMKernelEmitter::linearize(const Indices &indices,
                                   ArrayRef<int64_t> shape) {
  Value linear = constant(0);
  for (auto [index, size] : llvm::zip(indices, shape)) {
    linear = arith::MulIOp::create(builder, loc, linear, constant(size));
    linear = arith::AddIOp::create(builder, loc, linear, index);
  }
  return linear;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value NVVMKernelEmitter::memoryAddress(const Memory &memory,
                                       const Place &place) {
  Value linear = constant(memory.offset);
  for (auto [coordinate, behind, stride] :
       llvm::zip(place.coordinates, place.behind, memory.strides)) {
    Value index = coordinate;
    if (behind)
      index = arith::AddIOp::create(builder, loc, index, constant(behind));
    Value scaled = arith::MulIOp::create(builder, loc, index, constant(stride));
    linear = arith::AddIOp::create(builder, loc, linear, scaled);
  }
  Value offset =
      arith::IndexCastOp::create(builder, loc, builder.getI64Type(), linear);
  return LLVM::GEPOp::create(builder, loc, memory.pointer.getType(),
                             memory.elementType, memory.pointer,
                             ArrayRef<LLVM::GEPArg>{offset});
}

Value NVVMKernelEmitter::sharedAddress(SharedBuffer *buffer, Indices indices) {
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

Value NVVMKernelEmitter::fromStored(Value value, Type elementType) {
  if (value.getType() == elementType)
    return value;
  return arith::TruncIOp::create(builder, loc, elementType, value);
}

Value NVVMKernelEmitter::loadShared(SharedBuffer *buffer,
                                    const Indices &indices, Type elementType) {
  Value value = LLVM::LoadOp::create(builder, loc, buffer->elementType,
                                     sharedAddress(buffer, indices));
  return fromStored(value, elementType);
}

SmallVector<Value> NVVMKernelEmitter::loadRun(SharedBuffer *buffer,
                                              Indices indices, int64_t count,
                                              Type elementType) {
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

void NVVMKernelEmitter::storeShared(SharedBuffer *buffer,
                                    const Indices &indices, Value value) {
  if (value.getType().isInteger(1))
    value = arith::ExtUIOp::create(builder, loc, buffer->elementType, value);
  LLVM::StoreOp::create(builder, loc, value, sharedAddress(buffer, indices));
}

Value NVVMKernelEmitter::isBelow(Value coordinate, int64_t size) {
  // One unsigned comparison: a negative coordinate is a large one.
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                               coordinate, constant(size));
}

NVVMKernelEmitter::Place NVVMKernelEmitter::placeOf(ValueRange offsets,
                                                    const Indices &indices,
                                                    ArrayRef<int64_t> tileShape,
                                                    const Memory &memory,
                                                    size_t firstDim) {
  Place place;
  for (auto [i, offset] : llvm::enumerate(offsets)) {
    size_t d = firstDim + i;
    bool isProven = isProvenInBounds(offset, tileShape[d], memory.shape[d]);
    Value index = indices[d];
    Neighbour run = neighbours.lookup(index);
    bool isTogether = !isProven && run.first &&
                      areInBoundsTogether(offset, run.count, memory.shape[d]);
    if (isTogether)
      index = run.first;
    Value coordinate = arith::AddIOp::create(
        builder, loc, scalars.lookupOrDefault(offset), index);
    place.coordinates.push_back(coordinate);
    place.behind.push_back(isTogether ? run.behind : 0);
    place.fits.push_back(isProven ? Value()
                                  : isBelow(coordinate, memory.shape[d]));
  }
  return place;
}

Value NVVMKernelEmitter::allFit(const Place &place) {
  Value all;
  for (Value fits : place.fits)
    if (fits)
      all = all ? Value(arith::AndIOp::create(builder, loc, all, fits)) : fits;
  return all;
}

Value NVVMKernelEmitter::guardedLoad(const Memory &memory, Place place,
                                     Value otherwise) {
  // Without a branch, so that loads side by side can become one: where a
  // coordinate does not fit, 0 does.
  for (auto [coordinate, fits] : llvm::zip(place.coordinates, place.fits))
    if (fits)
      coordinate =
          arith::SelectOp::create(builder, loc, fits, coordinate, constant(0));
  Value value = LLVM::LoadOp::create(builder, loc, memory.elementType,
                                     memoryAddress(memory, place));
  Value inBounds = allFit(place);
  return inBounds
             ? arith::SelectOp::create(builder, loc, inBounds, value, otherwise)
             : value;
}
