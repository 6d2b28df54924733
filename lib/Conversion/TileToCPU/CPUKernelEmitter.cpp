// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Statements of a kernel: stores, reductions, loops, buffers.
#include "CPUKernelEmitter.h"

#include "dialects/Tile/IR/KernelAnalysis.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

CPUKernelEmitter::CPUKernelEmitter(KernelOp kernel, OpBuilder &builder,
                                   ValueRange pointers, Value block,
                                   Block *entry, int64_t lanes)
    : KernelEmitterBase(kernel, builder, pointers, entry, "CPU"), block(block),
      lanes(lanes) {}

/// The linear index counts the first grid dimension fastest.
Value CPUKernelEmitter::programId(unsigned dim) {
  Value index = block;
  ArrayRef<int64_t> grid = kernel.getGrid();
  for (unsigned d = 0; d < dim; ++d)
    index = arith::DivUIOp::create(builder, loc, index, constant(grid[d]));
  if (dim + 1 < grid.size())
    index = arith::RemUIOp::create(builder, loc, index, constant(grid[dim]));
  return index;
}

void CPUKernelEmitter::emitVirtual(Operation *op) {
  if (!isWorthBuffering(op))
    return;
  Value tile = op->getResult(0);
  auto type = cast<RankedTensorType>(tile.getType());
  Buffer *buffer = createBuffer(type.getShape(), type.getElementType());
  fill(buffer, tile);
  buffers[tile] = buffer;
}

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

/// Instructions for one vector of a virtual tile, roughly.
double CPUKernelEmitter::costOf(Value tile) {
  if (buffers.contains(tile))
    return 1;
  Operation *op = tile.getDefiningOp();
  if (!op || isa<arith::ConstantOp, SplatOp, IotaOp>(op))
    return 0;
  if (isa<LoadOp, GatherOp>(op))
    return 1;
  double cost = 1;
  if (isa<BroadcastOp, ReshapeOp, TransOp>(op))
    cost = 0;
  else if (isa<math::ExpOp, math::LogOp, math::TanhOp, math::ErfOp,
               math::PowFOp, math::SinOp, math::CosOp>(op))
    cost = 25;
  else if (isa<arith::DivFOp, math::SqrtOp, math::RsqrtOp, arith::DivSIOp,
               arith::RemSIOp, arith::RemFOp>(op))
    cost = 8;
  for (Value operand : op->getOperands())
    if (isTile(operand))
      cost += costOf(operand);
  return cost;
}

/// Whether computing the tile once is worth a buffer: it is costly, and is used
/// more than once or repeated by a broadcast.
bool CPUKernelEmitter::isWorthBuffering(Operation *op) {
  if (isa<BroadcastOp, ReshapeOp, TransOp, LoadOp, SplatOp, IotaOp,
          arith::ConstantOp>(op))
    return false;
  bool repeats = !op->getResult(0).hasOneUse() ||
                 isa<BroadcastOp>(*op->getResult(0).user_begin());
  return repeats && costOf(op->getResult(0)) > 8;
}

CPUKernelEmitter::Buffer *
CPUKernelEmitter::createBuffer(ArrayRef<int64_t> shape, Type elementType) {
  Buffer &buffer = storage.emplace_back();
  buffer.elementType =
      elementType.isInteger(1) ? builder.getI8Type() : elementType;
  buffer.shape.assign(shape.begin(), shape.end());
  buffer.strides.resize(shape.size());
  // Rows are padded to whole panels of products, so that vectors at their ends
  // stay inside.
  int64_t stride = 1;
  for (size_t d = shape.size(); d-- > 0;) {
    buffer.strides[d] = stride;
    int64_t size = shape[d];
    if (d + 1 == shape.size() && size >= 8)
      size = llvm::alignTo(size, 2 * lanes);
    stride *= size;
  }
  int64_t bytes =
      stride * ((buffer.elementType.getIntOrFloatBitWidth() + 7) / 8);
  bytes = llvm::alignTo(bytes, 64);
  totalBytes += bytes;
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(entry);
  auto pointer = LLVM::LLVMPointerType::get(builder.getContext());
  Value count = LLVM::ConstantOp::create(builder, loc, builder.getI64Type(),
                                         builder.getI64IntegerAttr(bytes));
  buffer.base =
      LLVM::AllocaOp::create(builder, loc, pointer, builder.getI8Type(), count,
                             /*alignment=*/64);
  return &buffer;
}

void CPUKernelEmitter::fill(Buffer *buffer, Value tile) {
  forEachVector(buffer->shape, [&](Indices indices, Lanes lanes) {
    storeBuffer(buffer, indices, lanes, element(tile, indices, lanes));
  });
}

void CPUKernelEmitter::copy(Buffer *to, Buffer *from) {
  forEachVector(to->shape, [&](Indices indices, Lanes lanes) {
    storeBuffer(to, indices, lanes,
                loadBuffer(from, indices, lanes, from->elementType));
  });
}

//===----------------------------------------------------------------------===//
// Loops of our own
//===----------------------------------------------------------------------===//

SmallVector<Value> CPUKernelEmitter::forLoop(
    int64_t first, int64_t end, int64_t step, ValueRange inits,
    function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  memo.clear();
  auto loop = scf::ForOp::create(builder, loc, constant(first), constant(end),
                                 constant(step), inits);
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

void CPUKernelEmitter::forLoop(int64_t end, int64_t step,
                               function_ref<void(Value)> body) {
  if (end <= step) {
    memo.clear();
    body(constant(0));
    memo.clear();
    return;
  }
  forLoop(0, end, step, {}, [&](Value index, ValueRange) {
    body(index);
    return SmallVector<Value>();
  });
}

void CPUKernelEmitter::forEachVector(ArrayRef<int64_t> shape,
                                     function_ref<void(Indices, Lanes)> body) {
  int vectorDim = static_cast<int>(shape.size()) - 1;
  while (vectorDim >= 0 && shape[vectorDim] == 1)
    --vectorDim;
  Indices indices(shape.size(), constant(0));
  std::function<void(int)> nest = [&](int d) {
    if (d == static_cast<int>(shape.size()) || (vectorDim < 0)) {
      memo.clear();
      body(indices, Lanes());
      memo.clear();
      return;
    }
    if (d == vectorDim) {
      int64_t whole = shape[d] / lanes * lanes;
      if (whole > 0)
        forLoop(whole, lanes, [&](Value index) {
          indices[d] = index;
          body(indices, Lanes{d, lanes});
        });
      if (shape[d] > whole) {
        indices[d] = constant(whole);
        memo.clear();
        body(indices, Lanes{d, shape[d] - whole});
        memo.clear();
      }
      indices[d] = constant(0);
      return;
    }
    if (shape[d] == 1)
      return nest(d + 1);
    forLoop(shape[d], 1, [&](Value index) {
      indices[d] = index;
      nest(d + 1);
    });
    indices[d] = constant(0);
  };
  nest(0);
}

//===----------------------------------------------------------------------===//
// Stores and reductions
//===----------------------------------------------------------------------===//

void CPUKernelEmitter::emitStore(StoreOp op) {
  Memory memory = memories.lookup(op.getMemory());
  auto type = cast<RankedTensorType>(op.getValue().getType());
  forEachVector(type.getShape(), [&](Indices indices, Lanes lanes) {
    Indices coordinates;
    Value condition, mask;
    coordinatesOf(op.getOffsets(), indices, type.getShape(), memory, lanes, 0,
                  coordinates, condition, mask);
    OpBuilder::InsertionGuard guard(builder);
    if (condition) {
      auto check = scf::IfOp::create(builder, loc, condition, false);
      builder.setInsertionPoint(check.thenBlock()->getTerminator());
      memo.clear();
    }
    Value value = spread(element(op.getValue(), indices, lanes), lanes);
    Value to = address(memory.pointer, memory.elementType, memory.strides,
                       memory.offset, coordinates);
    bool isContiguous = lanes.dim < 0 || memory.strides[lanes.dim] == 1;
    if (isContiguous && !mask) {
      storeAt(value, to);
    } else if (isContiguous) {
      LLVM::MaskedStoreOp::create(builder, loc, value, to, mask,
                                  memory.elementType.getIntOrFloatBitWidth() /
                                      8);
    } else {
      for (int64_t lane = 0; lane < lanes.count; ++lane) {
        Indices at = coordinates;
        at[lanes.dim] = add(at[lanes.dim], lane);
        Value single = vector::ExtractOp::create(builder, loc, value, lane);
        Value where = address(memory.pointer, memory.elementType,
                              memory.strides, memory.offset, at);
        if (!mask) {
          storeAt(single, where);
          continue;
        }
        Value inside = vector::ExtractOp::create(builder, loc, mask, lane);
        auto check = scf::IfOp::create(builder, loc, inside, false);
        OpBuilder::InsertionGuard restore(builder);
        builder.setInsertionPoint(check.thenBlock()->getTerminator());
        storeAt(single, where);
      }
    }
    if (condition)
      memo.clear();
  });
}

void CPUKernelEmitter::emitReduce(ReduceOp op) {
  auto inType = cast<RankedTensorType>(op.getInput().getType());
  auto outType = cast<RankedTensorType>(op.getType());
  int dim = static_cast<int>(op.getDim());
  int64_t length = inType.getDimSize(dim);
  Type type = inType.getElementType();
  Buffer *result = createBuffer(outType.getShape(), outType.getElementType());
  ReductionKind kind = op.getKind();
  bool dimIsInner = llvm::all_of(inType.getShape().drop_front(dim + 1),
                                 [](int64_t size) { return size == 1; });
  if (!dimIsInner) {
    // Vectors along the inner dimension, one step of the reduced one at a time.
    forEachVector(outType.getShape(), [&](Indices indices, Lanes lanes) {
      Value init = spread(constantOf(neutralElement(kind, type)), lanes);
      Value total =
          forLoop(0, length, 1, init, [&](Value position, ValueRange carried) {
            Indices at = indices;
            at[dim] = position;
            return SmallVector<Value>{
                combine(kind, carried[0],
                        spread(element(op.getInput(), at, lanes), lanes))};
          })[0];
      storeBuffer(result, indices, lanes, total);
    });
    buffers[op.getResult()] = result;
    return;
  }
  // Row by row: several vectors in flight hide the latency of one.
  SmallVector<int64_t> outer(outType.getShape());
  Indices indices(outer.size(), constant(0));
  int64_t unroll = length >= 4 * lanes ? 4 : 1;
  int64_t stride = unroll * lanes;
  int64_t whole = length / stride * stride;
  auto reduceRow = [&] {
    Value total;
    if (whole > 0) {
      Lanes full{dim, lanes};
      Value start = spread(constantOf(neutralElement(kind, type)), full);
      SmallVector<Value> inits(unroll, start);
      SmallVector<Value> parts = forLoop(
          0, whole, stride, inits, [&](Value position, ValueRange carried) {
            SmallVector<Value> next;
            for (int64_t u = 0; u < unroll; ++u) {
              Indices at = indices;
              at[dim] = add(position, u * lanes);
              next.push_back(
                  combine(kind, carried[u],
                          spread(element(op.getInput(), at, full), full)));
            }
            return next;
          });
      while (parts.size() > 1) {
        SmallVector<Value> half;
        for (size_t i = 0; i + 1 < parts.size(); i += 2)
          half.push_back(combine(kind, parts[i], parts[i + 1]));
        parts = half;
      }
      total = acrossLanes(kind, parts[0]);
    }
    for (int64_t position = whole; position < length;) {
      Lanes part{dim, std::min(lanes, length - position)};
      Indices at = indices;
      at[dim] = constant(position);
      memo.clear();
      Value tail = spread(element(op.getInput(), at, part), part);
      tail = part.count == 1
                 ? Value(vector::ExtractOp::create(builder, loc, tail, 0))
                 : acrossLanes(kind, tail);
      total = total ? combine(kind, total, tail) : tail;
      position += part.count;
    }
    memo.clear();
    storeBuffer(result, indices, Lanes(), total);
  };
  std::function<void(size_t)> nest = [&](size_t d) {
    if (d == outer.size())
      return reduceRow();
    if (outer[d] == 1)
      return nest(d + 1);
    forLoop(outer[d], 1, [&](Value index) {
      indices[d] = index;
      nest(d + 1);
    });
    indices[d] = constant(0);
  };
  nest(0);
  buffers[op.getResult()] = result;
}

//===----------------------------------------------------------------------===//
// Loops of the kernel
//===----------------------------------------------------------------------===//

/// Whether a product is formed in the memory of this loop-carried tile.
static bool isAccumulator(BlockArgument argument) {
  auto dots = argument.getOwner()->getOps<DotOp>();
  return llvm::any_of(dots, [&](DotOp dot) {
    return accumulatesInPlace(dot) && getAccumulatorSource(dot) == argument;
  });
}

LogicalResult CPUKernelEmitter::emitFor(scf::ForOp loop) {
  // Tiles are carried on the stack.
  SmallVector<Buffer *> carried;
  for (auto [init, argument, result] : llvm::zip(
           loop.getInitArgs(), loop.getRegionIterArgs(), loop.getResults())) {
    if (!isTile(init)) {
      carried.push_back(nullptr);
      continue;
    }
    auto type = cast<RankedTensorType>(init.getType());
    Buffer *buffer = isAccumulator(argument)
                         ? createPanelBuffer(type)
                         : createBuffer(type.getShape(), type.getElementType());
    fill(buffer, init);
    carried.push_back(buffer);
    buffers[argument] = buffer;
    buffers[result] = buffer;
  }
  memo.clear();
  OpBuilder::InsertionGuard guard(builder);
  beginFor(loop);
  if (failed(emitBlock(*loop.getBody())))
    return failure();
  loc = loop.getLoc();
  // New values may depend on old ones anywhere, so all are complete before any
  // is moved into its place.
  SmallVector<std::pair<Buffer *, Buffer *>> moves;
  for (auto [value, buffer] : llvm::zip(loop.getYieldedValues(), carried)) {
    if (!buffer || buffers.lookup(value) == buffer)
      continue;
    Buffer *from = buffers.lookup(value);
    if (!from) {
      from = createBuffer(buffer->shape, getElementTypeOrSelf(value.getType()));
      fill(from, value);
    }
    moves.emplace_back(buffer, from);
  }
  for (auto [to, from] : moves)
    copy(to, from);
  yieldScalars(loop);
  memo.clear();
  return success();
}
