// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Matrix products: a register-blocked outer product over packed panels, after
// Goto and van de Geijn, Anatomy of high-performance matrix multiplication,
// TOMS 2008. The right factor is packed into panels of a few vectors' width;
// the left one is read where it lies, one element at a time, into all lanes.
#include "CPUKernelEmitter.h"

#include "dialects/Tile/IR/IndexRange.h"
#include "dialects/Tile/IR/KernelAnalysis.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

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
static RegisterBlock chooseRegisterBlock(int64_t columns, int64_t lanes) {
  bool hasManyRegisters = lanes >= 16;
  int64_t accumulators = hasManyRegisters ? 24 : 12;
  int64_t widest = hasManyRegisters ? 4 : 3;
  int64_t vectors = (columns + lanes - 1) / lanes;
  if (vectors <= widest)
    return {accumulators / vectors, vectors};
  // The width that pads the last panel least, the widest of these.
  int64_t best = widest;
  auto padded = [&](int64_t v) { return (vectors + v - 1) / v * v; };
  for (int64_t v = widest - 1; v >= 2; --v)
    if (padded(v) < padded(best))
      best = v;
  return {accumulators / best, best};
}

static bool isZeroSplat(Value tile) {
  DenseElementsAttr attr;
  if (!matchPattern(tile, m_Constant(&attr)) || !attr.isSplat())
    return false;
  if (isa<FloatType>(attr.getElementType()))
    return attr.getSplatValue<APFloat>().isPosZero();
  return attr.getSplatValue<APInt>().isZero();
}

/// The left factor read in place: a load that stays in bounds, of the right
/// type, whose rows are evenly spaced and contiguous.
std::optional<CPUKernelEmitter::LeftFactor>
CPUKernelEmitter::leftInMemory(Value tile, Type type) {
  Value source = tile;
  while (auto reshape = source.getDefiningOp<ReshapeOp>())
    source = reshape.getInput();
  auto matrix = cast<RankedTensorType>(tile.getType());
  if (Buffer *buffer = buffers.lookup(source)) {
    if (source != tile || buffer->elementType != type)
      return std::nullopt;
    return LeftFactor{buffer->base, buffer->strides[0]};
  }
  auto load = source.getDefiningOp<LoadOp>();
  if (!load || getElementTypeOrSelf(load.getType()) != type)
    return std::nullopt;
  Memory memory = memories.lookup(load.getMemory());
  ArrayRef<int64_t> box = cast<RankedTensorType>(load.getType()).getShape();
  int last = static_cast<int>(box.size()) - 1;
  if (last < 0 || box[last] != matrix.getDimSize(1) ||
      memory.strides[last] != 1)
    return std::nullopt;
  Indices coordinates;
  for (auto [d, offset] : llvm::enumerate(load.getOffsets())) {
    if (!isProvenInBounds(offset, box[d], memory.shape[d]))
      return std::nullopt;
    coordinates.push_back(scalars.lookupOrDefault(offset));
  }
  // Rows are the other dimensions together: one of them, or several that follow
  // one another in memory.
  int64_t stride = 0, expected = 0;
  for (int d = last - 1; d >= 0; --d) {
    if (box[d] == 1)
      continue;
    if (stride == 0)
      stride = memory.strides[d];
    else if (memory.strides[d] != expected)
      return std::nullopt;
    expected = memory.strides[d] * box[d];
  }
  return LeftFactor{
      address(memory.pointer, type, memory.strides, memory.offset, coordinates),
      stride};
}

CPUKernelEmitter::LeftFactor CPUKernelEmitter::prepareLeft(Value tile,
                                                           Type type) {
  if (auto inPlace = leftInMemory(tile, type))
    return *inPlace;
  auto matrix = cast<RankedTensorType>(tile.getType());
  Buffer *buffer = createBuffer(matrix.getShape(), type);
  forEachVector(matrix.getShape(), [&](Indices indices, Lanes lanes) {
    Value value = element(tile, indices, lanes);
    Type from = getElementTypeOrSelf(value.getType());
    if (from != type) {
      value = spread(value, lanes);
      Type wide = type;
      if (auto vector = dyn_cast<VectorType>(value.getType()))
        wide = vector.clone(type);
      value = arith::ExtFOp::create(builder, loc, wide, value);
    }
    storeBuffer(buffer, indices, lanes, value);
  });
  return {buffer->base, buffer->strides[0]};
}

/// Panels of the right factor [depth, columns]: panel p holds columns p * panel
/// to (p + 1) * panel, row by row; columns past the end are zero.
Value CPUKernelEmitter::packRight(Value tile, Type type, int64_t panel) {
  auto matrix = cast<RankedTensorType>(tile.getType());
  int64_t depth = matrix.getDimSize(0), columns = matrix.getDimSize(1);
  int64_t panels = (columns + panel - 1) / panel;
  Buffer *packed = createBuffer({panels, depth, panel}, type);
  packed->strides = {depth * panel, panel, 1};
  Value source = tile;
  auto trans = source.getDefiningOp<TransOp>();
  if (trans && !buffers.contains(trans.getInput()) &&
      getElementTypeOrSelf(source.getType()) == type &&
      type.getIntOrFloatBitWidth() == 32 && depth % lanes == 0 &&
      columns % lanes == 0 && columns % panel == 0) {
    packTransposed(trans.getInput(), packed->base, depth, columns, panel, type);
    return packed->base;
  }
  auto widen = [&](Value value, Lanes lanes) -> Value {
    value = spread(value, lanes);
    if (getElementTypeOrSelf(value.getType()) == type)
      return value;
    return arith::ExtFOp::create(
        builder, loc, cast<VectorType>(value.getType()).clone(type), value);
  };
  forLoop(panels, 1, [&](Value p) {
    Value first =
        panels == 1
            ? constant(0)
            : Value(arith::MulIOp::create(builder, loc, p, constant(panel)));
    forLoop(depth, 1, [&](Value k) {
      for (int64_t j = 0; j < panel; j += lanes) {
        Indices to = {p, k, constant(j)};
        Lanes full{2, lanes};
        // Whole vectors inside; in the last panel fewer columns, then zeros.
        int64_t inLast = columns - (panels - 1) * panel - j;
        auto pack = [&](int64_t count) {
          if (count < lanes)
            storeBuffer(packed, to, full, spread(number(type, 0), full));
          if (count <= 0)
            return;
          Lanes part{1, std::min(count, lanes)};
          Value value = widen(element(tile, {k, add(first, j)}, part), part);
          storeBuffer(packed, to, Lanes{2, part.count}, value);
        };
        if (inLast >= lanes || panels == 1) {
          pack(std::min(inLast, lanes));
          continue;
        }
        Value isLast = arith::CmpIOp::create(
            builder, loc, arith::CmpIPredicate::eq, p, constant(panels - 1));
        auto check = scf::IfOp::create(builder, loc, isLast, true);
        OpBuilder::InsertionGuard guard(builder);
        memo.clear();
        builder.setInsertionPoint(check.thenBlock()->getTerminator());
        pack(inLast);
        memo.clear();
        builder.setInsertionPoint(check.elseBlock()->getTerminator());
        pack(lanes);
        memo.clear();
      }
    });
  });
  return packed->base;
}

/// Packs the transpose of `source` [columns, depth] in squares of lanes x lanes
/// elements, transposed in registers by rounds of interleaving: row i and row
/// i + n/2 become rows 2i and 2i + 1, log2(n) times.
void CPUKernelEmitter::packTransposed(Value source, Value packed, int64_t depth,
                                      int64_t columns, int64_t panel,
                                      Type type) {
  SmallVector<int64_t> low, high;
  for (int64_t i = 0; i < lanes / 2; ++i) {
    low.append({i, i + lanes});
    high.append({i + lanes / 2, i + lanes / 2 + lanes});
  }
  forLoop(columns, lanes, [&](Value column) {
    // Column c is at (c / panel) * depth * panel + c % panel.
    Value p = arith::DivUIOp::create(builder, loc, column, constant(panel));
    Value inPanel =
        arith::RemUIOp::create(builder, loc, column, constant(panel));
    Value start =
        add(arith::MulIOp::create(builder, loc, p, constant(depth * panel)),
            inPanel);
    forLoop(depth, lanes, [&](Value k) {
      SmallVector<Value> rows;
      for (int64_t i = 0; i < lanes; ++i)
        rows.push_back(
            spread(element(source, {add(column, i), k}, Lanes{1, lanes}),
                   Lanes{1, lanes}));
      for (int64_t n = lanes; n > 1; n /= 2) {
        SmallVector<Value> next;
        for (int64_t i = 0; i < lanes / 2; ++i) {
          Value a = rows[i], b = rows[i + lanes / 2];
          next.push_back(vector::ShuffleOp::create(builder, loc, a, b, low));
          next.push_back(vector::ShuffleOp::create(builder, loc, a, b, high));
        }
        rows = next;
      }
      for (int64_t i = 0; i < lanes; ++i)
        storeAt(rows[i],
                address(packed, type, {panel, 1}, 0, {add(k, i), start}));
    });
  });
}

/// Rows [firstRow, firstRow + rows) of one panel of the result.
void CPUKernelEmitter::multiplyPanel(DotOp op, const LeftFactor &left,
                                     Value packed, Buffer *result,
                                     Value firstRow, int64_t rows,
                                     Value panelIndex, int64_t panel,
                                     bool accumulates) {
  Type type = result->elementType;
  int64_t depth = cast<RankedTensorType>(op.getLhs().getType()).getDimSize(1);
  int64_t vectors = panel / lanes;
  Value firstColumn = matchPattern(panelIndex, m_Zero())
                          ? panelIndex
                          : Value(arith::MulIOp::create(
                                builder, loc, panelIndex, constant(panel)));
  Value panelBase = address(packed, type, {depth * panel}, 0, {panelIndex});
  Value leftBase = address(left.base, type, {left.rowStride}, 0, {firstRow});
  SmallVector<Value> inits;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < vectors; ++j) {
      Lanes full{1, lanes};
      Value init =
          accumulates
              ? element(op.getAcc(),
                        {add(firstRow, i), add(firstColumn, j * lanes)}, full)
              : number(type, 0);
      inits.push_back(spread(init, full));
    }
  auto multiplyAdd = [&](Value a, Value b, Value acc) -> Value {
    if (isa<FloatType>(type))
      return math::FmaOp::create(builder, loc, a, b, acc);
    Value product = arith::MulIOp::create(builder, loc, a, b);
    return arith::AddIOp::create(builder, loc, acc, product);
  };
  SmallVector<Value> sums =
      forLoop(0, depth, 1, inits, [&](Value k, ValueRange carried) {
        SmallVector<Value> b, next(carried.begin(), carried.end());
        for (int64_t j = 0; j < vectors; ++j)
          b.push_back(loadAt(address(panelBase, type, {panel}, j * lanes, {k}),
                             type, lanes));
        for (int64_t i = 0; i < rows; ++i) {
          Value a = loadAt(
              address(leftBase, type, {1}, i * left.rowStride, {k}), type, 0);
          a = spread(a, Lanes{0, lanes});
          for (int64_t j = 0; j < vectors; ++j) {
            Value &acc = next[i * vectors + j];
            acc = multiplyAdd(a, b[j], acc);
          }
        }
        return next;
      });
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < vectors; ++j)
      storeBuffer(result, {add(firstRow, i), add(firstColumn, j * lanes)},
                  Lanes{1, lanes}, sums[i * vectors + j]);
}

static int64_t panelColumns(int64_t columns, int64_t lanes) {
  return llvm::alignTo(columns,
                       chooseRegisterBlock(columns, lanes).vectors * lanes);
}

CPUKernelEmitter::Buffer *
CPUKernelEmitter::createPanelBuffer(RankedTensorType type) {
  int64_t columns = type.getDimSize(1);
  Buffer *buffer =
      createBuffer({type.getDimSize(0), panelColumns(columns, lanes)},
                   type.getElementType());
  buffer->shape[1] = columns;
  return buffer;
}

bool CPUKernelEmitter::hasPanelRows(Buffer *buffer) const {
  return buffer->strides[0] >= panelColumns(buffer->shape[1], lanes);
}

void CPUKernelEmitter::emitDot(DotOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  int64_t m = type.getDimSize(0), n = type.getDimSize(1);
  Type accType = type.getElementType();
  RegisterBlock block = chooseRegisterBlock(n, lanes);
  int64_t panel = block.vectors * lanes;
  int64_t panels = (n + panel - 1) / panel;
  LeftFactor left = prepareLeft(op.getLhs(), accType);
  Value packed = packRight(op.getRhs(), accType, panel);

  // Whole vectors are read and written at rows' ends.
  bool accumulates = !isZeroSplat(op.getAcc());
  Buffer *result;
  if (accumulatesInPlace(op)) {
    result = buffers.lookup(getAccumulatorSource(op));
  } else {
    result = createPanelBuffer(type);
    Buffer *acc = buffers.lookup(op.getAcc());
    if (accumulates && n % lanes != 0 && !(acc && hasPanelRows(acc))) {
      acc = createPanelBuffer(type);
      fill(acc, op.getAcc());
      buffers[op.getAcc()] = acc;
    }
  }
  int64_t rows = std::min(block.rows, m);
  int64_t whole = m / rows * rows;
  // Rows outside: those of a register block stay in the first level cache for
  // all panels, which stream from the second level one.
  auto multiplyRows = [&](Value row, int64_t count) {
    forLoop(panels, 1, [&](Value p) {
      multiplyPanel(op, left, packed, result, row, count, p, panel,
                    accumulates);
    });
  };
  forLoop(whole, rows, [&](Value row) { multiplyRows(row, rows); });
  if (m > whole)
    multiplyRows(constant(whole), m - whole);
  buffers[op.getResult()] = result;
}
