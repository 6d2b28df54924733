// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "CPUStackTiles.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::cpu;

constexpr int64_t shortestPaddedRow = 8;

Buffer *StackTiles::create(ArrayRef<int64_t> shape, Type elementType) {
  Buffer &buffer = storage.emplace_back();
  buffer.elementType =
      elementType.isInteger(1) ? code.builder.getI8Type() : elementType;
  buffer.shape.assign(shape.begin(), shape.end());
  buffer.strides.resize(shape.size());
  // Rows are padded to whole panels of products, so that vectors at their ends
  // stay inside; short rows would mostly be padding.
  int64_t stride = 1;
  for (size_t d = shape.size(); d-- > 0;) {
    buffer.strides[d] = stride;
    int64_t size = shape[d];
    if (d + 1 == shape.size() && size >= shortestPaddedRow)
      size = llvm::alignTo(size, 2 * lanes);
    stride *= size;
  }
  int64_t bytes =
      stride * ((buffer.elementType.getIntOrFloatBitWidth() + 7) / 8);
  bytes = llvm::alignTo(bytes, 64);
  bytesOfAll += bytes;
  OpBuilder::InsertionGuard guard(code.builder);
  code.builder.setInsertionPointToStart(entry);
  auto pointer = LLVM::LLVMPointerType::get(code.builder.getContext());
  Value count = LLVM::ConstantOp::create(code.builder, code.loc,
                                         code.builder.getI64Type(),
                                         code.builder.getI64IntegerAttr(bytes));
  buffer.base = LLVM::AllocaOp::create(code.builder, code.loc, pointer,
                                       code.builder.getI8Type(), count,
                                       /*alignment=*/64);
  return &buffer;
}

Buffer *StackTiles::view(Value base, ArrayRef<int64_t> shape,
                         ArrayRef<int64_t> strides, Type elementType) {
  Buffer &buffer = storage.emplace_back();
  buffer.elementType = elementType;
  buffer.shape.assign(shape.begin(), shape.end());
  buffer.strides.assign(strides.begin(), strides.end());
  buffer.base = base;
  return &buffer;
}

Value StackTiles::load(Buffer *buffer, const Indices &indices, Lanes lanes,
                       Type elementType) {
  auto load = [&](const Indices &at, int64_t count) {
    return code.loadAt(
        code.address(buffer->base, buffer->elementType, buffer->strides, 0, at),
        buffer->elementType, count);
  };
  Value value;
  if (lanes.dim < 0) {
    value = load(indices, 0);
  } else if (buffer->strides[lanes.dim] == 1) {
    value = load(indices, lanes.count);
  } else {
    SmallVector<Value> elements;
    for (int64_t i = 0; i < lanes.count; ++i) {
      Indices single = indices;
      single[lanes.dim] = code.add(single[lanes.dim], i);
      elements.push_back(load(single, 0));
    }
    value = code.fromElements(elements);
  }
  if (elementType.isInteger(1) && !buffer->elementType.isInteger(1))
    value = arith::TruncIOp::create(
        code.builder, code.loc, code.typeOf(code.builder.getI1Type(), lanes),
        value);
  return value;
}

void StackTiles::store(Buffer *buffer, const Indices &indices, Lanes lanes,
                       Value value) {
  value = code.spread(value, lanes);
  if (getElementTypeOrSelf(value.getType()).isInteger(1))
    value = arith::ExtUIOp::create(
        code.builder, code.loc, code.typeOf(buffer->elementType, lanes), value);
  auto store = [&](Value stored, const Indices &at) {
    code.storeAt(stored, code.address(buffer->base, buffer->elementType,
                                      buffer->strides, 0, at));
  };
  if (lanes.dim < 0 || buffer->strides[lanes.dim] == 1)
    return store(value, indices);
  for (int64_t i = 0; i < lanes.count; ++i) {
    Indices single = indices;
    single[lanes.dim] = code.add(single[lanes.dim], i);
    store(code.lane(value, i), single);
  }
}
