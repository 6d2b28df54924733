// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelEmitterBase.h"

#include "dialects/Tile/IR/KernelAnalysis.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

KernelEmitterBase::KernelEmitterBase(KernelOp kernel, OpBuilder &builder,
                                     ValueRange pointers, Block *entry,
                                     StringRef target)
    : kernel(kernel), builder(builder), loc(kernel.getLoc()), entry(entry),
      constants(builder, loc, entry), target(target) {
  for (auto [memref, pointer] :
       llvm::zip(kernel.getBlock().getArguments(), pointers)) {
    auto type = cast<MemRefType>(memref.getType());
    Memory memory{pointer,
                  type.getElementType(),
                  llvm::to_vector(type.getShape()),
                  {},
                  0};
    (void)type.getStridesAndOffset(memory.strides, memory.offset);
    memories[memref] = memory;
  }
}

//===----------------------------------------------------------------------===//
// Statements
//===----------------------------------------------------------------------===//

LogicalResult KernelEmitterBase::run() { return emitBlock(kernel.getBlock()); }

LogicalResult KernelEmitterBase::emitBlock(Block &block) {
  for (auto it = block.begin(); it != block.end();) {
    if (emittedBefore.contains(&*it)) {
      ++it;
      continue;
    }
    loc = it->getLoc();
    if (auto store = dyn_cast<StoreOp>(*it)) {
      SmallVector<StoreOp> stores = storesTogether(store);
      emitStores(stores);
      it = std::next(stores.back()->getIterator());
      continue;
    }
    if (failed(emitOp(&*it++)))
      return failure();
  }
  return success();
}

LogicalResult KernelEmitterBase::emitOp(Operation *op) {
  if (isa<ReturnOp, scf::YieldOp>(op))
    return success();
  if (isVirtualTileOp(op))
    return emitVirtual(op), success();
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return emitFor(loop);
  if (auto reduce = dyn_cast<ReduceOp>(op))
    return emitReduce(reduce), success();
  if (auto scan = dyn_cast<ScanOp>(op))
    return emitScan(scan), success();
  if (auto dot = dyn_cast<DotOp>(op))
    return emitDot(dot), success();
  if (auto scatter = dyn_cast<ScatterOp>(op))
    return emitScatter(scatter), success();
  if (auto argsort = dyn_cast<ArgsortOp>(op))
    return emitArgsort(argsort), success();
  if (auto extract = dyn_cast<ExtractOp>(op))
    return scalars.map(extract.getResult(), extractElement(extract)), success();
  if (auto id = dyn_cast<ProgramIdOp>(op))
    return scalars.map(id.getResult(), programId(id.getDim())), success();
  if (auto cast = dyn_cast<memref::ReinterpretCastOp>(op))
    return emitCast(cast);
  bool onScalars = op->getNumRegions() == 0 &&
                   llvm::none_of(op->getOperands(), isTile) &&
                   llvm::none_of(op->getResults(), isTile) && isPure(op);
  if (onScalars) {
    builder.clone(*op, scalars);
    return success();
  }
  InFlightDiagnostic error = op->emitOpError("cannot be lowered to a ")
                             << target << " kernel";
  error.attachNote()
      << "kernels hold tile ops, arith and math ops, scf.for and "
         "static memref.reinterpret_cast";
  return error;
}

LogicalResult KernelEmitterBase::emitCast(memref::ReinterpretCastOp op) {
  auto type = cast<MemRefType>(op.getType());
  Memory memory = memories.lookup(op.getSource());
  memory.shape = llvm::to_vector(type.getShape());
  memory.strides.clear();
  if (failed(type.getStridesAndOffset(memory.strides, memory.offset)) ||
      ShapedType::isDynamicShape(memory.strides) ||
      ShapedType::isDynamic(memory.offset))
    return op.emitOpError("must have static strides and offset in a kernel");
  memories[op.getResult()] = memory;
  return success();
}

scf::ForOp KernelEmitterBase::beginFor(scf::ForOp loop, ValueRange more) {
  SmallVector<Value> inits;
  for (Value init : loop.getInitArgs())
    if (!isTile(init))
      inits.push_back(scalars.lookupOrDefault(init));
  llvm::append_range(inits, more);
  auto emitted =
      scf::ForOp::create(builder, loc, scalars.lookup(loop.getLowerBound()),
                         scalars.lookup(loop.getUpperBound()),
                         scalars.lookup(loop.getStep()), inits);
  scalars.map(loop.getInductionVar(), emitted.getInductionVar());
  unsigned next = 0;
  for (auto [argument, result] :
       llvm::zip(loop.getRegionIterArgs(), loop.getResults()))
    if (!isTile(argument)) {
      scalars.map(argument, emitted.getRegionIterArgs()[next]);
      scalars.map(result, emitted.getResult(next++));
    }
  // A loop that carries nothing already ends in a yield.
  if (inits.empty())
    builder.setInsertionPoint(emitted.getBody()->getTerminator());
  else
    builder.setInsertionPointToEnd(emitted.getBody());
  return emitted;
}

void KernelEmitterBase::yieldScalars(scf::ForOp loop, ValueRange more) {
  SmallVector<Value> yielded;
  for (Value value : loop.getYieldedValues())
    if (!isTile(value))
      yielded.push_back(scalars.lookupOrDefault(value));
  llvm::append_range(yielded, more);
  if (!yielded.empty())
    scf::YieldOp::create(builder, loc, yielded);
}

//===----------------------------------------------------------------------===//
// Small arithmetic
//===----------------------------------------------------------------------===//

Value KernelEmitterBase::combine(ScatterKind kind, Value old, Value row) {
  Type type = getElementTypeOrSelf(old.getType());
  // Narrow floats are combined in f32 and rounded.
  if (isa<FloatType>(type) && type.getIntOrFloatBitWidth() < 32 &&
      kind != ScatterKind::set) {
    Type narrow = old.getType(), wide = builder.getF32Type();
    if (auto vector = dyn_cast<VectorType>(narrow))
      wide = vector.clone(wide);
    Value sum = combine(kind, arith::ExtFOp::create(builder, loc, wide, old),
                        arith::ExtFOp::create(builder, loc, wide, row));
    return arith::TruncFOp::create(builder, loc, narrow, sum);
  }
  switch (kind) {
  case ScatterKind::set:
    return row;
  case ScatterKind::add:
    return combine(ReductionKind::sum, old, row);
  case ScatterKind::max:
    return combine(ReductionKind::max, old, row);
  case ScatterKind::min:
    return combine(ReductionKind::min, old, row);
  case ScatterKind::umax:
    return arith::MaxUIOp::create(builder, loc, old, row);
  case ScatterKind::umin:
    return arith::MinUIOp::create(builder, loc, old, row);
  }
  return row;
}

void tessera::eraseOps(ArrayRef<Operation *> ops) {
  for (Operation *op : ops)
    op->dropAllReferences();
  for (Operation *op : ops)
    op->erase();
}
