// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Statements of a kernel: stores, loops, reductions, products. How elements are
// computed is in ElementEmitter.cpp.
#include "KernelEmitter.h"
#include "AccessOrder.h"

#include "dialects/Tile/IR/KernelAnalysis.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

static constexpr int warpSize = 32;

int KernelEmitter::chooseThreads(KernelOp kernel) {
  // Four elements a thread in the largest tile, or as many sums of the largest
  // product as a thread keeps in registers; whole warps.
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

KernelEmitter::KernelEmitter(KernelOp kernel, LLVM::LLVMFuncOp function,
                             OpBuilder &builder, Value sharedBase, int threads)
    : KernelEmitterBase(kernel, builder, function.getArguments(),
                        &function.getBody().front(), "GPU"),
      threads(threads), shared(builder, sharedBase) {
  Value id = NVVM::ThreadIdXOp::create(builder, loc, builder.getI32Type());
  threadId =
      arith::IndexCastOp::create(builder, loc, builder.getIndexType(), id);
}

Value KernelEmitter::programId(unsigned dim) {
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
// Nests
//===----------------------------------------------------------------------===//

void KernelEmitter::barrier() {
  NVVM::Barrier0Op::create(builder, loc);
  readsPending = writesPending = false;
}

void KernelEmitter::settle() {
  if (readsPending || writesPending)
    barrier();
}

void KernelEmitter::beginNest(bool readsShared, bool writesShared) {
  shared.advance();
  memo.clear();
  if ((readsShared && writesPending) || (writesShared && readsPending))
    barrier();
}

void KernelEmitter::endNest(bool readsShared, bool writesShared) {
  memo.clear();
  readsPending |= readsShared;
  writesPending |= writesShared;
}

bool KernelEmitter::readsShared(Value tile) const {
  if (buffers.contains(tile))
    return true;
  Operation *op = tile.getDefiningOp();
  return op && isVirtualTileOp(op) &&
         llvm::any_of(op->getOperands(), [&](Value operand) {
           return isTile(operand) && readsShared(operand);
         });
}

SmallVector<Value> KernelEmitter::forLoop(
    Value first, int64_t end, Value by, ValueRange inits,
    function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  memo.clear();
  auto loop = scf::ForOp::create(builder, loc, first, constant(end), by, inits);
  OpBuilder::InsertionGuard guard(builder);
  if (inits.empty())
    builder.setInsertionPoint(loop.getBody()->getTerminator());
  else
    builder.setInsertionPointToEnd(loop.getBody());
  SmallVector<Value> results =
      body(loop.getInductionVar(), loop.getRegionIterArgs());
  if (!inits.empty())
    scf::YieldOp::create(builder, loc, results);
  memo.clear();
  return llvm::to_vector_of<Value>(loop.getResults());
}

void KernelEmitter::forEachElement(ArrayRef<int64_t> shape,
                                   function_ref<void(Indices)> body,
                                   int64_t fastest, int64_t width) {
  int64_t rank = static_cast<int64_t>(shape.size());
  if (fastest < 0)
    fastest = rank - 1;
  SmallVector<int64_t> order, sizes;
  for (int64_t d = 0; d < rank; ++d)
    if (d != fastest)
      order.push_back(d);
  if (rank > 0)
    order.push_back(fastest);
  for (int64_t d : order)
    sizes.push_back(d == fastest ? shape[d] / width : shape[d]);
  auto visit = [&](Value linear) {
    Indices digits = delinearize(linear, sizes), indices(rank);
    for (auto [digit, d] : llvm::zip(digits, order))
      indices[d] = digit;
    if (width == 1)
      return body(indices);
    Value first =
        arith::MulIOp::create(builder, loc, indices[fastest], constant(width));
    for (int64_t i = 0; i < width; ++i) {
      indices[fastest] =
          arith::AddIOp::create(builder, loc, first, constant(i));
      body(indices);
    }
  };
  int64_t total = ShapedType::getNumElements(sizes);
  if (total == threads)
    return visit(threadId);
  auto visitAll = [&](Value first, int64_t end, int64_t by,
                      function_ref<Value(Value)> linearOf) {
    forLoop(first, end, constant(by), {}, [&](Value at, ValueRange) {
      visit(linearOf(at));
      return SmallVector<Value>();
    });
  };
  if (total % threads != 0)
    return visitAll(threadId, total, threads, [](Value at) { return at; });
  // As many turns for all threads, so that the loop can be unrolled.
  visitAll(constant(0), total, threads, [&](Value at) -> Value {
    return arith::AddIOp::create(builder, loc, at, threadId);
  });
}

void KernelEmitter::fill(SharedBuffer *buffer, Value tile) {
  bool reads = readsShared(tile);
  int64_t fastest = buffer->shape.empty() ? -1 : contiguousDim(tile);
  int64_t width = 1;
  if (fastest >= 0)
    width = neighboursPerThread(buffer->shape[fastest],
                                ShapedType::getNumElements(buffer->shape),
                                elementBytes(buffer->elementType), threads);
  beginNest(reads, /*writesShared=*/true);
  forEachElement(
      buffer->shape,
      [&](Indices indices) {
        storeShared(buffer, indices, element(tile, indices));
      },
      fastest, width);
  endNest(reads, /*writesShared=*/true);
}

bool KernelEmitter::isStoredSwapped(Value tile) const {
  if (SharedBuffer *buffer = buffers.lookup(tile))
    return buffer->isSwapped;
  Operation *op = tile.getDefiningOp();
  return op && isVirtualTileOp(op) &&
         cast<RankedTensorType>(tile.getType()).getRank() == 2 &&
         contiguousDim(tile) == 0;
}

SharedBuffer *KernelEmitter::stage(Value tile) {
  if (SharedBuffer *buffer = buffers.lookup(tile))
    return buffer;
  auto type = cast<RankedTensorType>(tile.getType());
  bool isSwapped = isStoredSwapped(tile);
  // One wide access of padding: vectors of neighbouring rows start in different
  // banks, and stay aligned. Short rows are not worth it.
  int64_t bytes = elementBytes(type);
  int64_t row = type.getRank() == 0 ? 1
                : isSwapped         ? type.getDimSize(0)
                                    : type.getShape().back();
  int64_t padding = row * bytes >= 64 ? maxAccessBytes / bytes : 0;
  SharedBuffer *buffer = shared.create(
      loc, type.getShape(), type.getElementType(), padding, isSwapped);
  fill(buffer, tile);
  buffers[tile] = buffer;
  return buffer;
}

/// Bytes of a tile that is kept in shared memory though it need not be.
static constexpr int64_t maxOptionalBytes = 16 * 1024;

static bool isSmallEnough(Value tile) {
  auto type = cast<RankedTensorType>(tile.getType());
  return type.getNumElements() * elementBytes(type) <= maxOptionalBytes;
}

void KernelEmitter::stageAgainst(Value tile, int64_t fastest) {
  Operation *op = tile.getDefiningOp();
  if (buffers.contains(tile) || !op || !isTile(tile))
    return;
  auto type = cast<RankedTensorType>(tile.getType());
  if (auto trans = dyn_cast<TransOp>(op)) {
    int64_t dim = contiguousDim(tile);
    if (dim != fastest && type.getDimSize(dim) > 1 &&
        type.getDimSize(fastest) > 1 && isCostly(tile) && isSmallEnough(tile))
      stage(tile);
    return;
  }
  if (OpTrait::hasElementwiseMappableTraits(op))
    for (Value operand : op->getOperands())
      stageAgainst(operand, fastest);
}

//===----------------------------------------------------------------------===//
// Stores and reductions
//===----------------------------------------------------------------------===//

void KernelEmitter::emitStore(StoreOp op) {
  Memory memory = memories.lookup(op.getMemory());
  auto type = cast<RankedTensorType>(op.getValue().getType());
  int64_t fastest = type.getRank() - 1, width = 1;
  while (fastest > 0 && type.getDimSize(fastest) == 1)
    --fastest;
  if (fastest >= 0) {
    stageAgainst(op.getValue(), fastest);
    width = neighboursPerThread(type.getDimSize(fastest), type.getNumElements(),
                                elementBytes(type), threads);
  }
  bool reads = readsShared(op.getValue());
  beginNest(reads, /*writesShared=*/false);
  forEachElement(
      type.getShape(),
      [&](Indices indices) {
        auto [coordinates, inBounds] =
            coordinatesOf(op.getOffsets(), indices, type.getShape(), memory);
        auto write = [&, &coordinates = coordinates] {
          Value value = element(op.getValue(), indices);
          LLVM::StoreOp::create(builder, loc, value,
                                memoryAddress(memory, coordinates));
        };
        if (!inBounds)
          return write();
        auto guard = scf::IfOp::create(builder, loc, inBounds, false);
        OpBuilder::InsertionGuard restore(builder);
        builder.setInsertionPoint(guard.thenBlock()->getTerminator());
        memo.clear();
        write();
        memo.clear();
      },
      fastest, width);
  endNest(reads, /*writesShared=*/false);
}

void KernelEmitter::emitReduce(ReduceOp op) {
  auto inType = cast<RankedTensorType>(op.getInput().getType());
  auto outType = cast<RankedTensorType>(op.getType());
  size_t dim = op.getDim();
  // A tile that others use too is computed once.
  if (!op.getInput().hasOneUse() && isCostly(op.getInput()) &&
      isSmallEnough(op.getInput()))
    stage(op.getInput());
  bool reads = readsShared(op.getInput());
  int64_t length = inType.getDimSize(dim);
  Type type = inType.getElementType();
  SharedBuffer *result =
      shared.create(loc, outType.getShape(), outType.getElementType());
  buffers[op.getResult()] = result;

  auto at = [&](Indices outer, Value position) {
    outer[dim] = position;
    return element(op.getInput(), outer);
  };
  bool dimIsInner = llvm::all_of(inType.getShape().drop_front(dim + 1),
                                 [](int64_t size) { return size == 1; });
  beginNest(reads, /*writesShared=*/true);
  if (dimIsInner && type.getIntOrFloatBitWidth() == 32 && length > 1) {
    // A warp a row: lanes stride over it, then exchange what they have.
    int64_t rows = outType.getNumElements();
    Value lane =
        arith::RemUIOp::create(builder, loc, threadId, constant(warpSize));
    Value warp =
        arith::DivUIOp::create(builder, loc, threadId, constant(warpSize));
    forLoop(warp, rows, constant(threads / warpSize), {},
            [&](Value row, ValueRange) {
              Indices outer = delinearize(row, outType.getShape());
              Value total =
                  forLoop(lane, length, constant(warpSize),
                          constantOf(neutralElement(op.getKind(), type)),
                          [&](Value position, ValueRange carried) {
                            return SmallVector<Value>{combine(
                                op.getKind(), carried[0], at(outer, position))};
                          })[0];
              total = warpReduce(op.getKind(), total);
              Value isFirst = arith::CmpIOp::create(
                  builder, loc, arith::CmpIPredicate::eq, lane, constant(0));
              auto guard = scf::IfOp::create(builder, loc, isFirst, false);
              OpBuilder::InsertionGuard restore(builder);
              builder.setInsertionPoint(guard.thenBlock()->getTerminator());
              storeShared(result, outer, total);
              return SmallVector<Value>();
            });
  } else {
    forEachElement(outType.getShape(), [&](Indices outer) {
      Value total =
          forLoop(constant(0), length, constant(1),
                  constantOf(neutralElement(op.getKind(), type)),
                  [&](Value position, ValueRange carried) {
                    return SmallVector<Value>{
                        combine(op.getKind(), carried[0], at(outer, position))};
                  })[0];
      storeShared(result, outer, total);
    });
  }
  endNest(reads, /*writesShared=*/true);
}
