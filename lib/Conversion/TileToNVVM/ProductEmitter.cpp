// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Products: factors in shared memory, sums in registers. Each thread owns a
// rectangle of the result. Where a loop only adds to a product, the sums stay
// in registers from its first iteration to its last.
#include "AccessOrder.h"
#include "KernelEmitter.h"

#include "dialects/Tile/IR/KernelAnalysis.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

/// Sums that a thread keeps, at most: more would not fit its registers beside
/// the factors.
static constexpr int64_t maxSums = 64;

static int64_t dimSize(Value tile, int64_t dim) {
  return cast<RankedTensorType>(tile.getType()).getDimSize(dim);
}

int64_t KernelEmitter::threadsForProduct(int64_t m, int64_t n) {
  return m * n / 32;
}

KernelEmitter::Rectangle KernelEmitter::chooseRectangle(DotOp op) const {
  int64_t m = dimSize(op.getResult(), 0), n = dimSize(op.getResult(), 1);
  Rectangle best;
  auto owners = [&](const Rectangle &r) {
    return (m / r.rows) * (n / r.columns);
  };
  // The smallest rectangle with which every sum has an owner; among those of
  // one size the squarest, rather tall than wide: rows are read by broadcast.
  auto isBetter = [&](const Rectangle &r) {
    bool fits = owners(r) <= threads, bestFits = owners(best) <= threads;
    if (fits != bestFits)
      return fits;
    if (owners(r) != owners(best))
      return fits == (owners(r) > owners(best));
    return std::abs(r.rows - r.columns) < std::abs(best.rows - best.columns);
  };
  for (int64_t columns : {1, 2, 4, 8})
    for (int64_t rows : {8, 4, 2, 1}) {
      Rectangle next;
      next.rows = rows;
      next.columns = columns;
      if (m % rows == 0 && n % columns == 0 && rows * columns <= maxSums &&
          isBetter(next))
        best = next;
    }
  best.rowTiles = m / best.rows;
  best.columnTiles = n / best.columns;
  best.adjacentRows = isStoredSwapped(op.getLhs());
  best.adjacentColumns = !isStoredSwapped(op.getRhs());
  return best;
}

/// Neighbouring threads read neighbouring vectors: of adjacent elements where
/// those lie side by side, else from rows a whole stride apart.
void KernelEmitter::locate(Rectangle &rectangle, const Indices &tile) {
  auto indicesOf = [&](Value at, int64_t count, int64_t tiles, bool adjacent) {
    SmallVector<Value> indices;
    if (adjacent && count > 1)
      at = arith::MulIOp::create(builder, loc, at, constant(count));
    for (int64_t i = 0; i < count; ++i)
      indices.push_back(arith::AddIOp::create(
          builder, loc, at, constant(adjacent ? i : i * tiles)));
    return indices;
  };
  rectangle.rowIndex = indicesOf(tile[0], rectangle.rows, rectangle.rowTiles,
                                 rectangle.adjacentRows);
  rectangle.columnIndex =
      indicesOf(tile[1], rectangle.columns, rectangle.columnTiles,
                rectangle.adjacentColumns);
}

/// acc + lhs * rhs on the elements of a rectangle, row by row.
SmallVector<Value> KernelEmitter::multiply(DotOp op, SharedBuffer *lhs,
                                           SharedBuffer *rhs,
                                           const Rectangle &rectangle,
                                           ValueRange acc) {
  int64_t k = dimSize(op.getLhs(), 1);
  Type accType = getElementTypeOrSelf(op.getType());
  auto widen = [&](Value value) -> Value {
    if (value.getType() == accType || !isa<FloatType>(accType))
      return value;
    return arith::ExtFOp::create(builder, loc, accType, value);
  };
  auto multiplyAdd = [&](Value a, Value b, Value sum) -> Value {
    if (isa<FloatType>(accType))
      return math::FmaOp::create(builder, loc, a, b, sum);
    Value product = arith::MulIOp::create(builder, loc, a, b);
    return arith::AddIOp::create(builder, loc, sum, product);
  };
  int64_t widest = maxAccessBytes / std::max(elementBytes(lhs->elementType),
                                             elementBytes(rhs->elementType));
  int64_t depth = std::max<int64_t>(1, widest);
  while (k % depth)
    depth /= 2;

  /// Elements [own index][position] of `depth` positions from `first`.
  auto read = [&](SharedBuffer *buffer, Value factor,
                  const SmallVector<Value> &own, bool ownFirst, Value first) {
    Type type = getElementTypeOrSelf(factor.getType());
    bool alongOwn = buffer->isSwapped == ownFirst;
    auto at = [&](Value index, Value position) {
      return ownFirst ? Indices{index, position} : Indices{position, index};
    };
    SmallVector<SmallVector<Value>> elements(own.size());
    if (!alongOwn) {
      for (auto [i, index] : llvm::enumerate(own))
        for (Value value : loadRun(buffer, at(index, first), depth, type))
          elements[i].push_back(widen(value));
      return elements;
    }
    for (int64_t p = 0; p < depth; ++p) {
      Value position = arith::AddIOp::create(builder, loc, first, constant(p));
      SmallVector<Value> run =
          loadRun(buffer, at(own[0], position), own.size(), type);
      for (auto [i, value] : llvm::enumerate(run))
        elements[i].push_back(widen(value));
    }
    return elements;
  };
  auto step = [&](Value first, ValueRange carried) {
    auto a = read(lhs, op.getLhs(), rectangle.rowIndex, true, first);
    auto b = read(rhs, op.getRhs(), rectangle.columnIndex, false, first);
    SmallVector<Value> sums(carried.begin(), carried.end());
    for (int64_t p = 0; p < depth; ++p)
      for (int64_t i = 0; i < rectangle.rows; ++i)
        for (int64_t j = 0; j < rectangle.columns; ++j) {
          Value &sum = sums[i * rectangle.columns + j];
          sum = multiplyAdd(a[i][p], b[j][p], sum);
        }
    return sums;
  };
  if (k == depth)
    return step(constant(0), acc);
  return forLoop(constant(0), k, constant(depth), acc, step);
}

SmallVector<Value> KernelEmitter::elementsOf(Value tile,
                                             const Rectangle &rectangle) {
  SmallVector<Value> elements;
  for (Value row : rectangle.rowIndex)
    for (Value column : rectangle.columnIndex)
      elements.push_back(element(tile, {row, column}));
  return elements;
}

void KernelEmitter::storeRectangle(SharedBuffer *buffer,
                                   const Rectangle &rectangle,
                                   ValueRange values) {
  size_t next = 0;
  for (Value row : rectangle.rowIndex)
    for (Value column : rectangle.columnIndex)
      storeShared(buffer, {row, column}, values[next++]);
}

void KernelEmitter::emitDot(DotOp op) {
  SharedBuffer *lhs = stage(op.getLhs()), *rhs = stage(op.getRhs());
  BlockArgument source = getAccumulatorSource(op);
  auto inRegisters = source ? registers.find(source) : registers.end();
  if (inRegisters != registers.end()) {
    Registers &carried = inRegisters->second;
    beginNest(/*readsShared=*/true, /*writesShared=*/false);
    size_t next = 0;
    for (Value row : carried.rectangle.rowIndex)
      for (Value column : carried.rectangle.columnIndex)
        remember(source, {row, column}, carried.values[next++]);
    SmallVector<Value> acc = elementsOf(op.getAcc(), carried.rectangle);
    carried.values = multiply(op, lhs, rhs, carried.rectangle, acc);
    endNest(/*readsShared=*/true, /*writesShared=*/false);
    return;
  }
  auto type = cast<RankedTensorType>(op.getType());
  SharedBuffer *result =
      accumulatesInPlace(op)
          ? buffers.lookup(source)
          : shared.create(loc, type.getShape(), type.getElementType());
  buffers[op.getResult()] = result;
  Rectangle rectangle = chooseRectangle(op);
  beginNest(/*readsShared=*/true, /*writesShared=*/true);
  forEachElement({rectangle.rowTiles, rectangle.columnTiles},
                 [&](Indices tile) {
                   locate(rectangle, tile);
                   SmallVector<Value> acc = elementsOf(op.getAcc(), rectangle);
                   storeRectangle(result, rectangle,
                                  multiply(op, lhs, rhs, rectangle, acc));
                 });
  endNest(/*readsShared=*/true, /*writesShared=*/true);
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

/// The product that carried tile `index` of `loop` is only added to, if its
/// sums fit the threads' registers.
DotOp KernelEmitter::productInRegisters(scf::ForOp loop, unsigned index) {
  auto op = loop.getYieldedValues()[index].getDefiningOp<DotOp>();
  if (!op || !accumulatesInPlace(op) ||
      getAccumulatorSource(op) != loop.getRegionIterArg(index))
    return {};
  Rectangle rectangle = chooseRectangle(op);
  return rectangle.rowTiles * rectangle.columnTiles <= threads ? op : DotOp();
}

/// Puts the sums of a carried product into registers. Threads beyond the last
/// rectangle compute one again and keep it for themselves.
void KernelEmitter::carryInRegisters(DotOp op, Value init, Value argument) {
  Registers carried;
  Rectangle &rectangle = carried.rectangle;
  rectangle = chooseRectangle(op);
  beginNest(readsShared(init), /*writesShared=*/false);
  int64_t owners = rectangle.rowTiles * rectangle.columnTiles;
  Value owner = threadId;
  if (owners < threads) {
    owner = arith::RemUIOp::create(builder, loc, threadId, constant(owners));
    carried.isOwner = arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::ult, threadId, constant(owners));
  }
  locate(rectangle,
         delinearize(owner, {rectangle.rowTiles, rectangle.columnTiles}));
  carried.values = elementsOf(init, rectangle);
  endNest(readsShared(init), /*writesShared=*/false);
  registers[argument] = carried;
}

/// Registers to shared memory, where all threads see them.
SharedBuffer *KernelEmitter::spill(const Registers &carried,
                                   RankedTensorType type) {
  beginNest(/*readsShared=*/false, /*writesShared=*/true);
  // Born in this nest: it may lie where the factors were.
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

LogicalResult KernelEmitter::emitFor(scf::ForOp loop) {
  // Factors that no iteration changes are brought once.
  loop.walk([&](DotOp op) {
    for (Value factor : {op.getLhs(), op.getRhs()})
      if (loop.isDefinedOutsideOfLoop(factor))
        stage(factor);
  });
  // Sums are carried in registers, other tiles in shared memory.
  SmallVector<SharedBuffer *> carried(loop.getNumRegionIterArgs(), nullptr);
  SmallVector<unsigned> products;
  SmallVector<Value> inits;
  for (auto [i, init] : llvm::enumerate(loop.getInitArgs())) {
    if (!isTile(init))
      continue;
    Value argument = loop.getRegionIterArg(i);
    if (DotOp op = productInRegisters(loop, i)) {
      carryInRegisters(op, init, argument);
      products.push_back(i);
      llvm::append_range(inits, registers[argument].values);
      continue;
    }
    auto type = cast<RankedTensorType>(init.getType());
    carried[i] = shared.create(loc, type.getShape(), type.getElementType());
    fill(carried[i], init);
    buffers[argument] = buffers[loop.getResult(i)] = carried[i];
  }
  settle();
  shared.enterLoop();
  for (SharedBuffer *buffer : carried)
    if (buffer)
      shared.touch(buffer);

  auto distribute = [&](ValueRange values) {
    for (unsigned i : products) {
      Registers &held = registers[loop.getRegionIterArg(i)];
      size_t count = held.values.size();
      held.values = llvm::to_vector(values.take_front(count));
      values = values.drop_front(count);
    }
  };
  scf::ForOp emitted;
  {
    OpBuilder::InsertionGuard guard(builder);
    emitted = beginFor(loop, inits);
    distribute(emitted.getRegionIterArgs().take_back(inits.size()));
    if (failed(emitBlock(*loop.getBody())))
      return failure();
    loc = loop.getLoc();
    emitYield(loop, carried);
    settle();
    SmallVector<Value> sums;
    for (unsigned i : products)
      llvm::append_range(sums, registers[loop.getRegionIterArg(i)].values);
    yieldScalars(loop, sums);
  }
  distribute(emitted.getResults().take_back(inits.size()));
  for (SharedBuffer *buffer : carried)
    if (buffer)
      shared.touch(buffer);
  shared.leaveLoop();
  memo.clear();
  for (unsigned i : products) {
    Value argument = loop.getRegionIterArg(i);
    buffers[loop.getResult(i)] =
        spill(registers[argument], cast<RankedTensorType>(argument.getType()));
    registers.erase(argument);
  }
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
