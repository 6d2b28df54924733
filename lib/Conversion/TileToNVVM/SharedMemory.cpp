// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "SharedMemory.h"
#include "tessera/Analysis/ArenaPlanner.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace tessera;

/// Vector accesses of up to 16 bytes stay aligned.
static constexpr int64_t bufferAlignment = 16;

SharedBuffer *SharedMemory::create(Location loc, ArrayRef<int64_t> shape,
                                   Type elementType, int64_t rowPadding,
                                   bool isSwapped) {
  SharedBuffer &buffer = buffers.emplace_back();
  buffer.elementType =
      elementType.isInteger(1) ? builder.getI8Type() : elementType;
  buffer.shape.assign(shape.begin(), shape.end());
  buffer.isSwapped = isSwapped;
  int64_t row = shape.empty() ? 1 : isSwapped ? shape.front() : shape.back();
  buffer.rowStride = row + rowPadding;
  int64_t rows = ShapedType::getNumElements(shape) / row;
  buffer.bytes = rows * buffer.rowStride *
                 ((buffer.elementType.getIntOrFloatBitWidth() + 7) / 8);
  buffer.firstStep = buffer.lastStep = step;

  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointAfterValue(base);
  buffer.base =
      LLVM::GEPOp::create(builder, loc, base.getType(), builder.getI8Type(),
                          base, ArrayRef<LLVM::GEPArg>{0});
  return &buffer;
}

void SharedMemory::touch(SharedBuffer *buffer) { buffer->lastStep = step; }

void SharedMemory::leaveLoop() {
  int64_t start = loopStarts.pop_back_val();
  for (SharedBuffer &buffer : buffers)
    if (buffer.firstStep <= start && buffer.lastStep >= start)
      buffer.lastStep = step;
}

int64_t SharedMemory::place() {
  std::vector<ArenaRequest> requests;
  for (const SharedBuffer &buffer : buffers)
    requests.push_back({buffer.bytes, buffer.firstStep, buffer.lastStep});
  ArenaPlan plan = planArena(requests, bufferAlignment);
  for (auto [buffer, offset] : llvm::zip(buffers, plan.offsets))
    buffer.base.getDefiningOp<LLVM::GEPOp>().setRawConstantIndices(
        {static_cast<int32_t>(offset)});
  return plan.bytes;
}
