// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Statements of a kernel: stores, loops, reductions, products. How elements are
// computed is in ElementEmitter.cpp.
#include "KernelEmitter.h"

#include "dialects/Tile/IR/KernelAnalysis.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

static constexpr int warpSize = 32;

int KernelEmitter::chooseThreads(KernelOp kernel) {
  // Four elements a thread in the largest tile, in whole warps.
  int64_t largest = 1;
  kernel.walk([&](Operation *op) {
    for (Type type : op->getResultTypes())
      if (auto tensor = dyn_cast<RankedTensorType>(type))
        largest = std::max(largest, tensor.getNumElements());
  });
  int64_t threads = llvm::PowerOf2Ceil((largest + 3) / 4);
  return static_cast<int>(std::clamp<int64_t>(threads, warpSize, 256));
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
  readsPending = false;
}

/// What was read from shared memory may be overwritten from here on.
void KernelEmitter::beginNest(bool writesShared) {
  shared.advance();
  memo.clear();
  if (writesShared && readsPending)
    barrier();
}

/// What was written may be read by other threads from here on.
void KernelEmitter::endNest(bool writesShared) {
  memo.clear();
  if (writesShared)
    barrier();
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
                                   function_ref<void(Indices)> body) {
  int64_t total = ShapedType::getNumElements(shape);
  auto visit = [&](Value linear) { body(delinearize(linear, shape)); };
  if (total % threads == 0 && total == threads)
    return visit(threadId);
  forLoop(threadId, total, constant(threads), {},
          [&](Value linear, ValueRange) {
            visit(linear);
            return SmallVector<Value>();
          });
}

void KernelEmitter::fill(SharedBuffer *buffer, Value tile) {
  beginNest(/*writesShared=*/true);
  forEachElement(buffer->shape, [&](Indices indices) {
    storeShared(buffer, indices, element(tile, indices));
  });
  endNest(/*writesShared=*/true);
}

/// The buffer of a tile, made and filled when it has none.
SharedBuffer *KernelEmitter::stage(Value tile, int64_t rowPadding) {
  if (SharedBuffer *buffer = buffers.lookup(tile))
    return buffer;
  auto type = cast<RankedTensorType>(tile.getType());
  SharedBuffer *buffer =
      shared.create(loc, type.getShape(), type.getElementType(), rowPadding);
  fill(buffer, tile);
  return buffer;
}

//===----------------------------------------------------------------------===//
// Stores and reductions
//===----------------------------------------------------------------------===//

void KernelEmitter::emitStore(StoreOp op) {
  Memory memory = memories.lookup(op.getMemory());
  auto type = cast<RankedTensorType>(op.getValue().getType());
  beginNest(/*writesShared=*/false);
  forEachElement(type.getShape(), [&](Indices indices) {
    Indices coordinates;
    Value inBounds;
    std::tie(coordinates, inBounds) =
        coordinatesOf(op.getOffsets(), indices, type.getShape(), memory);
    auto write = [&] {
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
  });
  endNest(/*writesShared=*/false);
}

void KernelEmitter::emitReduce(ReduceOp op) {
  auto inType = cast<RankedTensorType>(op.getInput().getType());
  auto outType = cast<RankedTensorType>(op.getType());
  size_t dim = op.getDim();
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
  beginNest(/*writesShared=*/true);
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
                          constantOf(neutral(op.getKind(), type)),
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
                  constantOf(neutral(op.getKind(), type)),
                  [&](Value position, ValueRange carried) {
                    return SmallVector<Value>{
                        combine(op.getKind(), carried[0], at(outer, position))};
                  })[0];
      storeShared(result, outer, total);
    });
  }
  endNest(/*writesShared=*/true);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// The largest of 4, 2 and 1 that divides `size`.
static int64_t microSize(int64_t size) {
  return size % 4 == 0 ? 4 : size % 2 == 0 ? 2 : 1;
}

void KernelEmitter::emitDot(DotOp op) {
  auto lhsType = cast<RankedTensorType>(op.getLhs().getType());
  auto type = cast<RankedTensorType>(op.getType());
  int64_t m = type.getDimSize(0), n = type.getDimSize(1),
          k = lhsType.getDimSize(1);
  // An odd row stride puts a column's elements into different banks.
  SharedBuffer *lhs = stage(op.getLhs(), /*rowPadding=*/1);
  SharedBuffer *rhs = stage(op.getRhs(), /*rowPadding=*/0);
  SharedBuffer *result =
      accumulatesInPlace(op)
          ? buffers.lookup(getAccumulatorSource(op))
          : shared.create(loc, type.getShape(), type.getElementType());
  buffers[op.getResult()] = result;

  // Each thread takes rows*columns elements: adjacent rows, and columns that
  // are strided so that neighbouring threads read neighbouring elements.
  int64_t rows = microSize(m), columns = microSize(n);
  int64_t rowTiles = m / rows, columnTiles = n / columns;
  Type accType = type.getElementType();
  auto widen = [&](Value value) -> Value {
    if (value.getType() == accType || !isa<FloatType>(accType))
      return value;
    return arith::ExtFOp::create(builder, loc, accType, value);
  };
  auto multiplyAdd = [&](Value a, Value b, Value acc) -> Value {
    if (isa<FloatType>(accType))
      return math::FmaOp::create(builder, loc, a, b, acc);
    Value product = arith::MulIOp::create(builder, loc, a, b);
    return arith::AddIOp::create(builder, loc, acc, product);
  };
  Type lhsElement = lhsType.getElementType();
  Type rhsElement = getElementTypeOrSelf(op.getRhs().getType());

  beginNest(/*writesShared=*/true);
  forEachElement({rowTiles, columnTiles}, [&](Indices tileIndex) {
    SmallVector<Value> rowIndex, columnIndex;
    Value firstRow =
        arith::MulIOp::create(builder, loc, tileIndex[0], constant(rows));
    for (int64_t i = 0; i < rows; ++i)
      rowIndex.push_back(
          arith::AddIOp::create(builder, loc, firstRow, constant(i)));
    for (int64_t j = 0; j < columns; ++j)
      columnIndex.push_back(arith::AddIOp::create(builder, loc, tileIndex[1],
                                                  constant(j * columnTiles)));
    SmallVector<Value> inits(rows * columns, number(accType, 0));
    SmallVector<Value> sums = forLoop(
        constant(0), k, constant(1), inits,
        [&](Value position, ValueRange carried) {
          SmallVector<Value> a, b, next;
          for (Value row : rowIndex)
            a.push_back(widen(loadShared(lhs, {row, position}, lhsElement)));
          for (Value column : columnIndex)
            b.push_back(widen(loadShared(rhs, {position, column}, rhsElement)));
          for (int64_t i = 0; i < rows; ++i)
            for (int64_t j = 0; j < columns; ++j)
              next.push_back(multiplyAdd(a[i], b[j], carried[i * columns + j]));
          return next;
        });
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j) {
        Indices indices = {rowIndex[i], columnIndex[j]};
        Value acc = element(op.getAcc(), indices);
        storeShared(result, indices,
                    combine("sum", acc, sums[i * columns + j]));
      }
  });
  endNest(/*writesShared=*/true);
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

LogicalResult KernelEmitter::emitFor(scf::ForOp loop) {
  // Tiles are carried in shared memory.
  SmallVector<SharedBuffer *> carried;
  for (auto [init, argument, result] : llvm::zip(
           loop.getInitArgs(), loop.getRegionIterArgs(), loop.getResults())) {
    if (!isTile(init)) {
      carried.push_back(nullptr);
      continue;
    }
    auto type = cast<RankedTensorType>(init.getType());
    SharedBuffer *buffer =
        shared.create(loc, type.getShape(), type.getElementType());
    fill(buffer, init);
    carried.push_back(buffer);
    buffers[argument] = buffer;
    buffers[result] = buffer;
  }
  if (readsPending)
    barrier();
  shared.enterLoop();
  for (SharedBuffer *buffer : carried)
    if (buffer)
      shared.touch(buffer);
  {
    OpBuilder::InsertionGuard guard(builder);
    beginFor(loop);
    if (failed(emitBlock(*loop.getBody())))
      return failure();
    loc = loop.getLoc();
    emitYield(loop, carried);
    if (readsPending)
      barrier();
    yieldScalars(loop);
  }
  for (SharedBuffer *buffer : carried)
    if (buffer)
      shared.touch(buffer);
  shared.leaveLoop();
  memo.clear();
  return success();
}

/// Brings the new values of loop-carried tiles into their buffers. New values
/// may depend on old ones anywhere, so all are complete before any is moved.
void KernelEmitter::emitYield(scf::ForOp loop,
                              ArrayRef<SharedBuffer *> carried) {
  SmallVector<std::pair<SharedBuffer *, SharedBuffer *>> moves;
  for (auto [value, buffer] : llvm::zip(loop.getYieldedValues(), carried)) {
    if (!buffer || buffers.lookup(value) == buffer)
      continue;
    moves.emplace_back(buffer, stage(value, /*rowPadding=*/0));
  }
  if (moves.empty())
    return;
  beginNest(/*writesShared=*/true);
  for (auto [to, from] : moves)
    forEachElement(to->shape, [&, to = to, from = from](Indices indices) {
      storeShared(to, indices, loadShared(from, indices, to->elementType));
    });
  endNest(/*writesShared=*/true);
}
