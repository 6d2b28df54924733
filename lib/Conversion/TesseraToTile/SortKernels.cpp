// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "SortKernels.h"
#include "RootBlocks.h"

using namespace mlir;
using namespace tessera;

SmallVector<Type> tessera::sortScratchTypes(ArgsortOp op) {
  MLIRContext *context = op.getContext();
  ArrayRef<int64_t> shape = shapeOf(op.getInput());
  int64_t length = shape[op.getDim()];
  SmallVector<int64_t> rows = {ShapedType::getNumElements(shape) / length,
                               length};
  Type type = getElementTypeOrSelf(op.getInput().getType());
  unsigned width = std::max(32u, type.getIntOrFloatBitWidth());
  Type keys = RankedTensorType::get(rows, IntegerType::get(context, width));
  Type order = RankedTensorType::get(rows, IntegerType::get(context, 32));
  return {keys, keys, order, order};
}

tile::KernelOp tessera::buildSortKernel(OpBuilder &builder, ArgsortOp op,
                                        const TileSizes &sizes) {
  Location loc = op.getLoc();
  SmallVector<int64_t> counts(shapeOf(op.getInput()));
  SmallVector<int64_t> block(counts.size(), 1);
  std::swap(block[op.getDim()], counts[op.getDim()]);
  auto kernel = tile::KernelOp::create(
      builder, loc, builder.getStringAttr("kernel"),
      builder.getDenseI64ArrayAttr({ShapedType::getNumElements(counts)}),
      builder.getI64IntegerAttr(1), /*initial=*/DenseI64ArrayAttr());
  Block *body = builder.createBlock(&kernel.getBody());
  Value input = body->addArgument(memoryTypeOf(op.getInput()), loc);
  Value output = body->addArgument(memoryTypeOf(op.getResult()), loc);
  SmallVector<Value> scratch;
  for (Type type : sortScratchTypes(op)) {
    auto tensor = cast<RankedTensorType>(type);
    scratch.push_back(body->addArgument(
        MemRefType::get(tensor.getShape(), tensor.getElementType()), loc));
  }
  builder.setInsertionPointToEnd(body);
  llvm::DenseMap<Value, Value> memories;
  memories[op.getInput()] = input;
  BlockEmitter emitter(builder, sizes, memories);
  BlockBox box = blockOfProgram(builder, loc, emitter, block, counts);
  SortKeys keys = emitter.emitSortKeys(op, box);
  if (!keys.tile) {
    kernel.erase();
    return {};
  }
  // Blocks are numbered as the rows are.
  Value row = tile::ProgramIdOp::create(builder, loc, builder.getIndexType(),
                                        builder.getI64IntegerAttr(0));
  tile::ArgsortOp::create(builder, loc, keys.tile, output, box.offsets,
                          builder.getI64IntegerAttr(op.getDim()),
                          builder.getI64IntegerAttr(keys.lowBit),
                          builder.getI64IntegerAttr(keys.highBit), scratch[0],
                          scratch[1], scratch[2], scratch[3], row);
  tile::ReturnOp::create(builder, loc);
  return kernel;
}
