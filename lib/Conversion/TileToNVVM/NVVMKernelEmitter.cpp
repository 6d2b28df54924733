// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Stores and reductions. Products are in NVVMProducts.cpp, loops in
// NVVMLoops.cpp; how elements are computed is in NVVMElements.cpp.
#include "NVVMKernelEmitter.h"
#include "AccessOrder.h"

#include "dialects/Tile/IR/IndexRange.h"
#include "dialects/Tile/IR/KernelAnalysis.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/TypeSwitch.h"

#include <numeric>

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

static constexpr int warpSize = 32;

int NVVMKernelEmitter::chooseThreads(KernelOp kernel) {
  // Four elements a thread in the largest tile, or the number of sums of the
  // largest product that a thread keeps in registers; whole warps.
  int64_t largest = 1, product = 0;
  kernel.walk([&](Operation *op) {
    for (Type type : op->getResultTypes())
      if (auto tensor = dyn_cast<RankedTensorType>(type))
        largest = std::max(largest, tensor.getNumElements());
    if (auto dot = dyn_cast<DotOp>(op)) {
      auto type = cast<RankedTensorType>(dot.getType());
      product = std::max(
          product, threadsForProduct(type.getDimSize(0), type.getDimSize(1)));
    }
  });
  int64_t threads =
      product ? std::max<int64_t>(product, 64) : (largest + 3) / 4;
  return static_cast<int>(
      std::clamp<int64_t>(llvm::PowerOf2Ceil(threads), warpSize, 256));
}

NVVMKernelEmitter::NVVMKernelEmitter(KernelOp kernel, LLVM::LLVMFuncOp function,
                                     OpBuilder &builder, Value sharedBase,
                                     int threads)
    : KernelEmitterBase(kernel, builder, function.getArguments(),
                        &function.getBody().front(), "GPU"),
      threads(threads), shared(builder, sharedBase) {
  Value id = NVVM::ThreadIdXOp::create(builder, loc, builder.getI32Type());
  threadId =
      arith::IndexCastOp::create(builder, loc, builder.getIndexType(), id);
}

Value NVVMKernelEmitter::programId(unsigned dim) {
  Type i32 = builder.getI32Type();
  Value id;
  if (dim == 0)
    id = NVVM::BlockIdXOp::create(builder, loc, i32);
  else if (dim == 1)
    id = NVVM::BlockIdYOp::create(builder, loc, i32);
  else
    id = NVVM::BlockIdZOp::create(builder, loc, i32);
  return arith::IndexCastUIOp::create(builder, loc, builder.getIndexType(), id);
}

//===----------------------------------------------------------------------===//
// Stores and reductions
//===----------------------------------------------------------------------===//

/// Neighbours that are in bounds together: under one guard, so that they can be
/// read and written at once.
void NVVMKernelEmitter::storeRun(ArrayRef<StoreOp> ops, ArrayRef<Indices> run) {
  StoreOp first = ops.front();
  ArrayRef<int64_t> shape = first.getValue().getType().getShape();
  SmallVector<Place> places;
  for (const Indices &indices : run)
    places.push_back(placeOf(first.getOffsets(), indices, shape,
                             memories.lookup(first.getMemory()),
                             /*firstDim=*/0));
  OpBuilder::InsertionGuard restore(builder);
  Value inBounds = allFit(places.front());
  if (inBounds) {
    auto guard = scf::IfOp::create(builder, loc, inBounds, false);
    builder.setInsertionPoint(guard.thenBlock()->getTerminator());
    memo.clear();
  }
  SmallVector<Value> values;
  for (StoreOp op : ops)
    for (const Indices &indices : run)
      values.push_back(element(op.getValue(), indices));
  size_t next = 0;
  for (StoreOp op : ops) {
    Memory memory = memories.lookup(op.getMemory());
    for (const Place &place : places)
      LLVM::StoreOp::create(builder, loc, values[next++],
                            memoryAddress(memory, place));
  }
  if (inBounds)
    memo.clear();
}

void NVVMKernelEmitter::emitStores(ArrayRef<StoreOp> ops) {
  StoreOp first = ops.front();
  Memory memory = memories.lookup(first.getMemory());
  auto type = cast<RankedTensorType>(first.getValue().getType());
  int64_t fastest = type.getRank() - 1, width = 1;
  while (fastest > 0 && type.getDimSize(fastest) == 1)
    --fastest;
  bool reads = false;
  int64_t alignment = 0, bytes = 0;
  for (StoreOp op : ops) {
    if (fastest >= 0)
      stageAgainst(op.getValue(), fastest);
    for (int64_t each :
         {alignmentOf(op.getValue()),
          accessAlignment(op.getMemory(), op.getOffsets(), type.getShape())})
      alignment = std::gcd(alignment, each);
    bytes = std::max(bytes, elementBytes(op.getValue().getType()));
    reads |= readsShared(op.getValue());
  }
  if (fastest >= 0)
    width = neighboursPerThread(type.getDimSize(fastest), type.getNumElements(),
                                bytes, threads, alignment);
  beginNest(reads, /*writesShared=*/false);
  auto write = [&](ArrayRef<Indices> run) { storeRun(ops, run); };
  bool isTogether =
      width == 1 ||
      isProvenInBounds(first.getOffsets()[fastest], type.getDimSize(fastest),
                       memory.shape[fastest]) ||
      areInBoundsTogether(first.getOffsets()[fastest], width,
                          memory.shape[fastest]);
  auto writeEach = [&](ArrayRef<Indices> run) { llvm::for_each(run, write); };
  if (isTogether)
    forEachRun(type.getShape(), write, fastest, width);
  else
    forEachRun(type.getShape(), writeEach, fastest, width);
  endNest(reads, /*writesShared=*/false);
}

/// Every thread computes it for itself.
Value NVVMKernelEmitter::extractElement(ExtractOp op) {
  auto type = cast<RankedTensorType>(op.getInput().getType());
  bool reads = readsShared(op.getInput());
  beginNest(reads, /*writesShared=*/false);
  Value value = element(op.getInput(), Indices(type.getRank(), constant(0)));
  endNest(reads, /*writesShared=*/false);
  return value;
}

/// Combines the lanes' 32-bit values so that every lane holds the result.
Value NVVMKernelEmitter::warpReduce(ReductionKind kind, Value value) {
  Value all = constantI32(-1), clamp = constantI32(31);
  for (int offset = 16; offset > 0; offset /= 2) {
    Value other = NVVM::ShflOp::create(builder, loc, value.getType(), all,
                                       value, constantI32(offset), clamp,
                                       NVVM::ShflKind::bfly, UnitAttr());
    value = combine(kind, value, other);
  }
  return value;
}

/// The elements of the input at `first`, `first + by`, ... along the reduced
/// dimension, combined.
Value NVVMKernelEmitter::reduceEvery(ReduceOp op, Indices outer, Value first,
                                     int64_t by) {
  auto type = cast<RankedTensorType>(op.getInput().getType());
  Value neutral =
      constantOf(neutralElement(op.getKind(), type.getElementType()));
  auto add = [&](Value position, ValueRange carried) {
    outer[op.getDim()] = position;
    return SmallVector<Value>{
        combine(op.getKind(), carried[0], element(op.getInput(), outer))};
  };
  return forLoop(first, type.getDimSize(op.getDim()), constant(by), neutral,
                 add)[0];
}

/// A warp a row: lanes stride over it, then exchange what they have.
void NVVMKernelEmitter::reduceByWarps(ReduceOp op, SharedBuffer *result) {
  auto type = cast<RankedTensorType>(op.getType());
  Value lane =
      arith::RemUIOp::create(builder, loc, threadId, constant(warpSize));
  Value warp =
      arith::DivUIOp::create(builder, loc, threadId, constant(warpSize));
  forLoop(warp, type.getNumElements(), constant(threads / warpSize), {},
          [&](Value row, ValueRange) {
            Indices outer = delinearize(row, type.getShape());
            Value total = warpReduce(op.getKind(),
                                     reduceEvery(op, outer, lane, warpSize));
            Value isFirst = arith::CmpIOp::create(
                builder, loc, arith::CmpIPredicate::eq, lane, constant(0));
            auto guard = scf::IfOp::create(builder, loc, isFirst, false);
            OpBuilder::InsertionGuard restore(builder);
            builder.setInsertionPoint(guard.thenBlock()->getTerminator());
            storeShared(result, outer, total);
            return SmallVector<Value>();
          });
}

void NVVMKernelEmitter::emitReduce(ReduceOp op) {
  auto type = cast<RankedTensorType>(op.getInput().getType());
  auto outType = cast<RankedTensorType>(op.getType());
  // A tile that others use too is computed once.
  if (!op.getInput().hasOneUse() && isWorthKeeping(op.getInput()))
    stage(op.getInput());
  bool reads = readsShared(op.getInput());
  SharedBuffer *result =
      shared.create(loc, outType.getShape(), outType.getElementType());
  buffers[op.getResult()] = result;
  bool dimIsInner = llvm::all_of(type.getShape().drop_front(op.getDim() + 1),
                                 [](int64_t size) { return size == 1; });
  beginNest(reads, /*writesShared=*/true);
  // Lanes exchange 32 bits at a time.
  if (dimIsInner && type.getElementTypeBitWidth() == 32 &&
      type.getDimSize(op.getDim()) > 1)
    reduceByWarps(op, result);
  else
    forEachElement(outType.getShape(), [&](Indices outer) {
      storeShared(result, outer, reduceEvery(op, outer, constant(0), 1));
    });
  endNest(reads, /*writesShared=*/true);
}
