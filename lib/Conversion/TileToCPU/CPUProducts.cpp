// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Matrix products: a register-blocked outer product over packed panels, after
// Goto and van de Geijn, Anatomy of high-performance matrix multiplication,
// TOMS 2008. The left factor is read one element at a time, into all lanes.
#include "CPUProductEmitter.h"

#include "dialects/Tile/IR/KernelAnalysis.h"
#include "lib/Conversion/TileKernels/ForLoop.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

namespace {
/// Accumulators kept in registers: `rows` x `vectors` of a panel.
struct RegisterBlock {
  int64_t rows, vectors;
};
} // namespace

/// 24 accumulators of 32 registers, or 12 of 16, leave room for a panel's
/// vectors and a broadcast. Wide blocks are better than high ones, since each
/// row costs a broadcast from memory: on one Ice Lake core 6 x 4 runs at the
/// peak of 180 GFLOP/s, 12 x 2 at 70% of it.
static int64_t countAccumulators(int64_t lanes) {
  return lanes >= 16 ? 24 : 12;
}

/// A left factor that is packed in slivers has its rows side by side, and is
/// packed faster the higher they are.
static RegisterBlock sliverBlock(int64_t lanes) {
  return {countAccumulators(lanes) / 2, TargetAttr::vectorsOfPanel};
}

static RegisterBlock chooseRegisterBlock(int64_t columns, int64_t lanes,
                                         bool isLeftPacked) {
  int64_t accumulators = countAccumulators(lanes);
  int64_t widest = lanes >= 16 ? 4 : 3;
  int64_t vectors = (columns + lanes - 1) / lanes;
  if (vectors <= widest)
    return {accumulators / vectors, vectors};
  if (isLeftPacked)
    return sliverBlock(lanes);
  // The width that pads the last panel least, the widest of these.
  int64_t best = widest;
  auto padded = [&](int64_t v) { return (vectors + v - 1) / v * v; };
  for (int64_t v = widest - 1; v >= 2; --v)
    if (padded(v) < padded(best))
      best = v;
  return {accumulators / best, best};
}

bool CPUKernelEmitter::ProductEmitter::isZeroTile(Value tile) {
  DenseElementsAttr attr;
  if (!matchPattern(tile, m_Constant(&attr)) || !attr.isSplat())
    return false;
  if (isa<FloatType>(attr.getElementType()))
    return attr.getSplatValue<APFloat>().isPosZero();
  return attr.getSplatValue<APInt>().isZero();
}

static int64_t panelColumns(int64_t columns, int64_t lanes) {
  return llvm::alignTo(
      columns, chooseRegisterBlock(columns, lanes, false).vectors * lanes);
}

CPUKernelEmitter::Buffer *
CPUKernelEmitter::ProductEmitter::createPanelBuffer(RankedTensorType type) {
  int64_t columns = type.getDimSize(1);
  int64_t padded = spreadRows(panelColumns(columns, lanes));
  Buffer *buffer =
      tiles.create({type.getDimSize(0), padded}, type.getElementType());
  buffer->shape[1] = columns;
  return buffer;
}

CPUKernelEmitter::Buffer *
CPUKernelEmitter::ProductEmitter::createColumnBuffer(RankedTensorType type) {
  int64_t columns = type.getDimSize(1);
  int64_t vectors = (panelColumns(columns, lanes) / lanes) | 1;
  Buffer *buffer = tiles.create({type.getDimSize(0), vectors * lanes},
                                type.getElementType());
  buffer->shape[1] = columns;
  return buffer;
}

void CPUKernelEmitter::ProductEmitter::packBefore(DotOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  Type elementType = type.getElementType();
  TypedFactor right = {op.getRhs(), elementType};
  if (type.getDimSize(0) == 1 || emitter.packedFactors.contains(right) ||
      rightInMemory(op.getRhs(), elementType))
    return;
  int64_t vectors =
      chooseRegisterBlock(type.getDimSize(1), lanes, false).vectors;
  Value base = packRight(op.getRhs(), elementType, vectors * lanes);
  emitter.packedFactors[right] = {base, vectors};
}

bool CPUKernelEmitter::ProductEmitter::hasPanelRows(Buffer *buffer) const {
  return buffer->strides[0] >= panelColumns(buffer->shape[1], lanes);
}

/// Of a loop of the kernel that does nothing else than add products to a tile.
void CPUKernelEmitter::ProductEmitter::findLastTurn(Product &product) {
  DotOp op = product.op;
  auto loop = dyn_cast<scf::ForOp>(op->getParentOp());
  if (!loop || loop->getParentOp() != emitter.kernel ||
      loop.getNumResults() != 1 || !accumulatesInPlace(op))
    return;
  std::optional<APInt> turns = loop.getStaticTripCount();
  if (!turns || turns->isZero())
    return;
  int64_t before = static_cast<int64_t>(turns->getZExtValue()) - 1;
  Value last = arith::MulIOp::create(builder, loc,
                                     emitter.scalars.lookup(loop.getStep()),
                                     emitter.constant(before));
  last = arith::AddIOp::create(
      builder, loc, emitter.scalars.lookup(loop.getLowerBound()), last);
  product.isLastTurn = arith::CmpIOp::create(
      builder, loc, arith::CmpIPredicate::eq,
      emitter.scalars.lookup(loop.getInductionVar()), last);
}

/// What stores the result where this product, or the loop around it, completes
/// it.
void CPUKernelEmitter::ProductEmitter::findStores(Product &product) {
  DotOp op = product.op;
  if (product.isLastTurn)
    product.stores = emitter.takeRowStores(op->getParentOp()->getResult(0));
  else if (op->getParentOp() == emitter.kernel)
    product.stores = emitter.takeRowStores(op.getResult());
}

void CPUKernelEmitter::ProductEmitter::storeRows(const Product &product,
                                                 Value row, int64_t count,
                                                 int64_t columns) {
  if (product.stores.empty())
    return;
  if (!product.isLastTurn)
    return emitter.storeRows(product.stores, row, count, emitter.constant(0),
                             columns);
  FreshElements fresh(emitter);
  auto check = scf::IfOp::create(builder, loc, product.isLastTurn, false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(check.thenBlock()->getTerminator());
  emitter.storeRows(product.stores, row, count, emitter.constant(0), columns);
}

/// The panels of the result that `rows` rows from `row` on count.
void CPUKernelEmitter::ProductEmitter::forPanels(
    const Product &product, Value row, int64_t rows,
    function_ref<void(Value)> body) {
  DotOp op = product.op;
  if (!op.getResultTriangle())
    return emitter.forLoop(product.panels, 1, body);
  FreshElements fresh(emitter);
  Range range = panelsOf(product, row, rows);
  emitForLoop(builder, loc, {range.begin, range.end, emitter.constant(1)}, {},
              [&](Value p, ValueRange) {
                body(p);
                return SmallVector<Value>();
              });
}

/// Vectors of the last panel that something is stored of: a factor that is
/// shared has whole panels, and the result is then stored in part. All vectors
/// where the columns are several blocks, each of which has the same code.
int64_t
CPUKernelEmitter::ProductEmitter::vectorsOfLastPanel(const Product &product) {
  if (product.stores.empty())
    return product.vectors;
  int64_t stored = 0;
  for (StoreOp store : product.stores) {
    auto memory = cast<MemRefType>(store.getMemory().getType());
    if (getConstantIntValue(store.getOffsets().back()) != 0)
      return product.vectors;
    stored = std::max(stored, memory.getShape().back());
  }
  int64_t rest = stored - (product.panels - 1) * product.panel;
  return std::clamp<int64_t>(llvm::divideCeilSigned(rest, lanes), 1,
                             product.vectors);
}

/// The parts of the result's rows, each whole register blocks of its own
/// height, which are packed before if the left factor is not read in place.
void CPUKernelEmitter::ProductEmitter::multiplyRows(Product &product,
                                                    ArrayRef<RowPart> parts) {
  auto forRows = [&](function_ref<void(Value, int64_t)> body) {
    for (const RowPart &part : parts) {
      FreshElements fresh(emitter);
      emitForLoop(builder, loc,
                  {part.first, part.end, emitter.constant(part.rows)}, {},
                  [&](Value row, ValueRange) {
                    body(row, part.rows);
                    return SmallVector<Value>();
                  });
    }
  };
  product.firstPacked = parts.front().first;
  if (product.left.group != 0)
    for (const RowPart &part : parts)
      packRows(product, part);
  DotOp op = product.op;
  int64_t columns = cast<RankedTensorType>(op.getType()).getDimSize(1);
  if (!product.isByPanels)
    return forRows([&](Value row, int64_t rows) {
      forPanels(product, row, rows,
                [&](Value p) { multiplyPanel(product, row, rows, p); });
      storeRows(product, row, rows, columns);
    });
  auto multiplyByPanel = [&](const Product &of, Value p) {
    forRows([&](Value row, int64_t rows) { multiplyPanel(of, row, rows, p); });
  };
  // The last panel may be padding for the most part.
  Product last = product;
  last.vectors = vectorsOfLastPanel(product);
  bool isShort = last.vectors < product.vectors;
  int64_t wholePanels = product.panels - (isShort ? 1 : 0);
  if (wholePanels > 0)
    emitter.forLoop(wholePanels, 1,
                    [&](Value p) { multiplyByPanel(product, p); });
  if (isShort) {
    FreshElements fresh(emitter);
    multiplyByPanel(last, emitter.constant(wholePanels));
    columns = wholePanels * product.panel + last.vectors * lanes;
  }
  if (!product.complete && !product.stores.empty())
    forRows([&](Value row, int64_t rows) {
      storeRows(product, row, rows, columns);
    });
}

void CPUKernelEmitter::ProductEmitter::multiply(Product &product, int64_t m) {
  // A few rows that are left over would not fill the arithmetic units.
  int64_t rows = product.rows, rest = m % rows, whole = m - rest;
  SmallVector<int64_t> heights;
  if (whole > 0 && 3 * rest < 2 * rows && rest > 0) {
    whole -= rows;
    rest += rows;
    heights.push_back(rest - rest / 2);
    rest /= 2;
  }
  if (rest > 0)
    heights.push_back(rest);
  int64_t group = product.left.group == 0 ? m : product.left.group;
  SmallVector<RowPart> parts;
  Value end = emitter.constant(whole);
  if (group >= whole && whole > 0)
    parts.push_back({emitter.constant(0), end, rows});
  else if (whole > 0)
    emitter.forLoop(whole, group, [&](Value first) {
      Value full = code.add(first, group);
      multiplyRows(
          product,
          {{first, arith::MinUIOp::create(builder, loc, full, end), rows}});
    });
  for (int64_t count : heights) {
    parts.push_back(
        {emitter.constant(whole), emitter.constant(whole + count), count});
    whole += count;
  }
  // Of a panel that is fetched for a few rows alone the product would wait for
  // each element: these take their turn with the others.
  if (product.isByPanels && group >= m)
    return multiplyRows(product, parts);
  for (const RowPart &part : parts)
    multiplyRows(product, part);
}

/// The buffer that the result is formed in. Where it is not the one it
/// accumulates onto, whole vectors are read and written at rows' ends of both.
CPUKernelEmitter::Buffer *
CPUKernelEmitter::ProductEmitter::prepareResult(DotOp op, bool accumulates) {
  Buffer *result;
  if (accumulatesInPlace(op)) {
    result = emitter.buffers.lookup(getAccumulatorSource(op));
  } else {
    auto type = cast<RankedTensorType>(op.getType());
    Operation *last = emitter.findOverwriting(op);
    bool isRead = last && isComputedFactor(last->getResult(0));
    result = isRead ? createColumnBuffer(type) : createPanelBuffer(type);
    if (last)
      emitter.overwritten[last->getResult(0)] = result;
    Buffer *acc = emitter.buffers.lookup(op.getAcc());
    if (accumulates && type.getDimSize(1) % lanes != 0 &&
        !(acc && hasPanelRows(acc))) {
      acc = createPanelBuffer(type);
      emitter.fill(acc, op.getAcc());
      emitter.buffers[op.getAcc()] = acc;
    }
  }
  return emitter.buffers[op.getResult()] = result;
}

void CPUKernelEmitter::ProductEmitter::emit(DotOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  int64_t m = type.getDimSize(0), n = type.getDimSize(1);
  if (isRowTimesRows(op))
    return multiplyRow(op);
  bool isLeftPacked = !leftInMemory(op.getLhs(), type.getElementType()) &&
                      !leftByColumns(op.getLhs(), type.getElementType());
  Value shared = rightInMemory(op.getRhs(), type.getElementType());
  PackedFactor before =
      emitter.packedFactors.lookup({op.getRhs(), type.getElementType()});
  // Few rows are packed in no time.
  constexpr int64_t leastRowsOfSlivers = 24;
  RegisterBlock block =
      shared ? sliverBlock(lanes)
             : chooseRegisterBlock(n, lanes,
                                   isLeftPacked && m >= leastRowsOfSlivers);
  if (before.base)
    block = {countAccumulators(lanes) / before.vectors, before.vectors};
  int64_t panel = block.vectors * lanes;
  int64_t panels = (n + panel - 1) / panel;
  int64_t rows = std::min(block.rows, m);
  LeftFactor left = prepareLeft(op.getLhs(), type.getElementType(), rows,
                                /*isByPanels=*/static_cast<bool>(shared));
  Value right = shared ? shared : before.base;
  if (!right)
    right = packRight(op.getRhs(), type.getElementType(), panel);

  bool accumulates = !isZeroTile(op.getAcc());
  Product product{op,      left,        right, panel, panels, block.vectors,
                  nullptr, accumulates, rows};
  product.isByPanels = shared && left.group != 0;
  findLastTurn(product);
  findStores(product);
  if (product.isByPanels && !product.stores.empty() && !product.isLastTurn &&
      emitter.storeNearly(product.stores, op.getResult()))
    product.complete = tiles.create({rows, panel}, type.getElementType());
  else if ((product.result = takeRowsOfMemory(op, panel)))
    product.isInMemory = product.accumulates = true;
  else
    product.result = prepareResult(op, accumulates);
  if (!product.isByPanels)
    findFactorsAhead(product, isLeftPacked, !shared && !before.base);
  multiply(product, m);
}

void CPUKernelEmitter::emitDot(DotOp op) { ProductEmitter(*this).emit(op); }
