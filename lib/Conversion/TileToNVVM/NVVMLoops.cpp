// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Loops: sums of products are carried in registers, other tiles in shared
// memory, scalars as they are.
#include "NVVMKernelEmitter.h"

#include "dialects/Tile/IR/KernelAnalysis.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

/// The product that carried tile `index` of `loop` is only added to, if its
/// sums fit the threads' registers.
DotOp NVVMKernelEmitter::productInRegisters(scf::ForOp loop, unsigned index) {
  auto op = loop.getYieldedValues()[index].getDefiningOp<DotOp>();
  if (!op || !accumulatesInPlace(op) ||
      getAccumulatorSource(op) != loop.getRegionIterArg(index))
    return {};
  Rectangle rectangle = chooseRectangle(op);
  return rectangle.owners() <= threads ? op : DotOp();
}

/// Puts the sums of a carried product into registers. Threads beyond the last
/// rectangle compute one again and keep it for themselves.
void NVVMKernelEmitter::carryInRegisters(DotOp op, Value init, Value argument) {
  Registers carried;
  Rectangle &rectangle = carried.rectangle;
  rectangle = chooseRectangle(op);
  beginNest(readsShared(init), /*writesShared=*/false);
  int64_t owners = rectangle.owners();
  Value owner = threadId;
  if (owners < threads) {
    owner = arith::RemUIOp::create(builder, loc, threadId, constant(owners));
    carried.isOwner = arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::ult, threadId, constant(owners));
  }
  locate(rectangle, owner);
  carried.values = elementsOf(init, rectangle);
  endNest(readsShared(init), /*writesShared=*/false);
  registers[argument] = carried;
}

/// Registers to shared memory, where all threads see them.
SharedBuffer *NVVMKernelEmitter::spill(const Registers &carried,
                                       RankedTensorType type) {
  beginNest(/*readsShared=*/false, /*writesShared=*/true);
  // It is first live in this nest, and may reuse the memory of the factors.
  SharedBuffer *buffer =
      shared.create(loc, type.getShape(), type.getElementType());
  {
    OpBuilder::InsertionGuard restore(builder);
    if (carried.isOwner) {
      auto guard = scf::IfOp::create(builder, loc, carried.isOwner, false);
      builder.setInsertionPoint(guard.thenBlock()->getTerminator());
    }
    storeRectangle(buffer, carried.rectangle, carried.values);
  }
  endNest(/*readsShared=*/false, /*writesShared=*/true);
  return buffer;
}

/// Brings the tiles that `loop` carries to where they stay: sums of products to
/// registers, others to shared memory.
NVVMKernelEmitter::CarriedTiles NVVMKernelEmitter::carryTiles(scf::ForOp loop) {
  CarriedTiles carried;
  carried.buffers.resize(loop.getNumRegionIterArgs());
  for (auto [i, init] : llvm::enumerate(loop.getInitArgs())) {
    if (!isTile(init))
      continue;
    Value argument = loop.getRegionIterArg(i);
    if (DotOp op = productInRegisters(loop, i)) {
      carryInRegisters(op, init, argument);
      carried.products.push_back(argument);
      continue;
    }
    auto type = cast<RankedTensorType>(init.getType());
    SharedBuffer *buffer =
        shared.create(loc, type.getShape(), type.getElementType());
    fill(buffer, init);
    carried.buffers[i] = buffers[argument] = buffers[loop.getResult(i)] =
        buffer;
  }
  return carried;
}

/// All sums that the loop carries in registers, product after product.
SmallVector<Value>
NVVMKernelEmitter::sumsOf(const CarriedTiles &carried) const {
  SmallVector<Value> sums;
  for (Value argument : carried.products)
    llvm::append_range(sums, registers.find(argument)->second.values);
  return sums;
}

void NVVMKernelEmitter::setSums(const CarriedTiles &carried,
                                ValueRange values) {
  for (Value argument : carried.products) {
    Registers &held = registers[argument];
    size_t count = held.values.size();
    held.values = llvm::to_vector(values.take_front(count));
    values = values.drop_front(count);
  }
}

LogicalResult NVVMKernelEmitter::emitFor(scf::ForOp loop) {
  // Factors that no iteration changes are brought once.
  loop.walk([&](DotOp op) {
    for (Value factor : {op.getLhs(), op.getRhs()})
      if (loop.isDefinedOutsideOfLoop(factor))
        stage(factor);
  });
  CarriedTiles carried = carryTiles(loop);
  SmallVector<Value> inits = sumsOf(carried);
  auto touchAll = [&] {
    for (SharedBuffer *buffer : carried.buffers)
      if (buffer)
        shared.touch(buffer);
  };
  settle();
  shared.enterLoop();
  touchAll();
  scf::ForOp emitted;
  {
    OpBuilder::InsertionGuard guard(builder);
    emitted = beginFor(loop, inits);
    setSums(carried, emitted.getRegionIterArgs().take_back(inits.size()));
    if (failed(emitBlock(*loop.getBody())))
      return failure();
    loc = loop.getLoc();
    emitYield(loop, carried.buffers);
    settle();
    yieldScalars(loop, sumsOf(carried));
  }
  setSums(carried, emitted.getResults().take_back(inits.size()));
  touchAll();
  shared.leaveLoop();
  memo.clear();
  for (Value argument : carried.products) {
    unsigned index = cast<BlockArgument>(argument).getArgNumber() -
                     loop.getNumInductionVars();
    buffers[loop.getResult(index)] =
        spill(registers[argument], cast<RankedTensorType>(argument.getType()));
    registers.erase(argument);
  }
  return success();
}

/// Brings the new values of loop-carried tiles into their buffers. New values
/// may depend on old ones anywhere, so all are complete before any is moved.
void NVVMKernelEmitter::emitYield(scf::ForOp loop,
                                  ArrayRef<SharedBuffer *> carried) {
  SmallVector<std::pair<SharedBuffer *, SharedBuffer *>> moves;
  for (auto [value, buffer] : llvm::zip(loop.getYieldedValues(), carried)) {
    if (!buffer || buffers.lookup(value) == buffer)
      continue;
    SharedBuffer *from = nullptr;
    if (llvm::is_contained(carried, buffers.lookup(value))) {
      // Another carried tile, which may be overwritten first.
      from = shared.create(loc, buffer->shape, buffer->elementType);
      fill(from, value);
    } else {
      from = stage(value);
    }
    moves.emplace_back(buffer, from);
  }
  if (moves.empty())
    return;
  beginNest(/*readsShared=*/true, /*writesShared=*/true);
  for (auto [to, from] : moves)
    forEachElement(to->shape, [&, to = to, from = from](Indices indices) {
      storeShared(to, indices, loadShared(from, indices, to->elementType));
    });
  endNest(/*readsShared=*/true, /*writesShared=*/true);
}
