// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "PrepareBlocks.h"

#include "RootBlocks.h"
#include "dialects/Tile/IR/Reductions.h"

#include <cmath>

using namespace mlir;
using namespace tessera;

void tessera::sinkFreeOps(Block &block) {
  llvm::DenseMap<Operation *, Operation *> copies;
  auto copyOf = [&](auto &&copyOf, Operation *op) -> Operation * {
    Operation *&known = copies[op];
    if (known)
      return known;
    SmallVector<Value> operands(op->getOperands());
    for (Value &operand : operands)
      if (Operation *def = operand.getDefiningOp();
          def && def->getBlock() != &block && isFreeOp(def))
        operand = copyOf(copyOf, def)->getResult(0);
    OpBuilder builder = OpBuilder::atBlockBegin(&block);
    if (!operands.empty())
      if (Operation *def = operands.front().getDefiningOp();
          def && def->getBlock() == &block)
        builder.setInsertionPointAfter(def);
    Operation *copy = builder.clone(*op);
    copy->setOperands(operands);
    return copies[op] = copy;
  };
  for (Operation &op : llvm::make_early_inc_range(block))
    for (OpOperand &operand : op.getOpOperands())
      if (Operation *def = operand.get().getDefiningOp();
          def && def->getBlock() != &block && isFreeOp(def))
        operand.set(copyOf(copyOf, def)->getResult(0));
}

/// `a` and `b` combined element by element.
static Value combine(OpBuilder &builder, Location loc, dist::ReductionKind kind,
                     Value a, Value b) {
  switch (kind) {
  case dist::ReductionKind::sum:
    return AddOp::create(builder, loc, a.getType(), a, b);
  case dist::ReductionKind::max:
    return MaxOp::create(builder, loc, a.getType(), a, b);
  case dist::ReductionKind::min:
    return MinOp::create(builder, loc, a.getType(), a, b);
  case dist::ReductionKind::prod:
    return MulOp::create(builder, loc, a.getType(), a, b);
  }
  llvm_unreachable("unknown reduction");
}

/// More are split: the inputs of each part, and the parts.
constexpr size_t mostConcatenated = 32;

static void split(ConcatenateOp op) {
  OpBuilder builder(op);
  SmallVector<Value> inputs(op.getInputs());
  auto dim = static_cast<int64_t>(op.getDim());
  while (inputs.size() > mostConcatenated) {
    auto root = static_cast<size_t>(
        std::ceil(std::sqrt(static_cast<double>(inputs.size()))));
    size_t size = std::min(mostConcatenated, root);
    SmallVector<Value> parts;
    for (size_t first = 0; first < inputs.size(); first += size) {
      ArrayRef<Value> part =
          ArrayRef<Value>(inputs).slice(first).take_front(size);
      auto type = cast<RankedTensorType>(op.getType());
      SmallVector<int64_t> shape(type.getShape());
      shape[dim] = 0;
      for (Value input : part)
        shape[dim] += shapeOf(input)[dim];
      parts.push_back(ConcatenateOp::create(builder, op.getLoc(),
                                            type.clone(shape), part, dim));
    }
    inputs = std::move(parts);
  }
  op.getInputsMutable().assign(inputs);
}

void tessera::splitConcatenations(Block &block) {
  auto ops = llvm::to_vector(block.getOps<ConcatenateOp>());
  for (ConcatenateOp op : ops)
    if (op.getInputs().size() > mostConcatenated)
      split(op);
}

/// Floats narrower than f32 are summed in it.
static Type accumulatorOf(Type element) {
  bool isNarrow =
      isa<FloatType>(element) && element.getIntOrFloatBitWidth() < 32;
  return isNarrow ? Float32Type::get(element.getContext()) : element;
}

static TypedAttr neutralOf(dist::ReductionKind kind, Type type) {
  // Kernels compare as signed numbers; the least and the greatest unsigned ones
  // are 0 and -1.
  if (type.isUnsignedInteger() && kind == dist::ReductionKind::max)
    return IntegerAttr::get(type, APInt::getZero(type.getIntOrFloatBitWidth()));
  if (type.isUnsignedInteger() && kind == dist::ReductionKind::min)
    return IntegerAttr::get(type,
                            APInt::getAllOnes(type.getIntOrFloatBitWidth()));
  auto tileKind =
      tile::symbolizeReductionKind(dist::stringifyReductionKind(kind));
  auto signless = IntegerType::get(type.getContext(), 64);
  if (!type.isUnsignedInteger())
    return tile::neutralElement(*tileKind, type);
  auto number = cast<IntegerAttr>(tile::neutralElement(*tileKind, signless));
  return IntegerAttr::get(
      type, number.getValue().zextOrTrunc(type.getIntOrFloatBitWidth()));
}

/// `dim` of a tensor made longer by `more`, by the neutral element.
static Value padEnd(OpBuilder &builder, Location loc, dist::ReductionKind kind,
                    Value input, int64_t dim, int64_t more) {
  auto type = cast<RankedTensorType>(input.getType());
  SmallVector<int64_t> shape(type.getShape()), none(shape.size(), 0),
      high = none;
  shape[dim] += more;
  high[dim] = more;
  return PadOp::create(builder, loc, type.clone(shape), input, none, high,
                       neutralOf(kind, type.getElementType()));
}

/// A dimension of a tensor cut into pieces, each an entry of a new one.
static Value cutInto(OpBuilder &builder, Location loc, Value input, int64_t dim,
                     int64_t pieces) {
  auto type = cast<RankedTensorType>(input.getType());
  SmallVector<int64_t> shape(type.getShape());
  int64_t piece = shape[dim] / pieces;
  shape[dim] = pieces;
  shape.insert(shape.begin() + dim + 1, piece);
  return ReshapeOp::create(builder, loc, type.clone(shape), input);
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

/// No piece of a reduction has fewer elements.
constexpr int64_t smallestPiece = 16384;

/// How many pieces a reduction is cut into, and along which of its dimensions;
/// nothing where it has blocks enough. Depends on shapes alone, so that sums
/// are the same whatever threads there are.
static std::optional<std::pair<int64_t, int64_t>>
choosePieces(ReduceOp op, const TileSizes &sizes) {
  ArrayRef<int64_t> shape = shapeOf(op.getInput());
  int64_t blocks = 1;
  for (auto [extent, size] :
       llvm::zip_equal(BlockEmitter::shapeOf1(op.getResult()),
                       chooseReductionBlock(op, sizes)))
    blocks *= size == 0 ? 0 : llvm::divideCeil(extent, size);
  int64_t elements = ShapedType::getNumElements(shape);
  if (op.getDims().empty() || elements == 0 || blocks >= sizes.reduceBlocks)
    return std::nullopt;
  int64_t most = std::min<int64_t>(llvm::divideCeil(sizes.reduceBlocks, blocks),
                                   elements / (blocks * smallestPiece));
  // The outermost one that is long enough: pieces are contiguous.
  int64_t dim = *llvm::max_element(
      op.getDims(), [&](int64_t a, int64_t b) { return shape[a] < shape[b]; });
  for (int64_t d : llvm::reverse(op.getDims()))
    if (shape[d] >= most)
      dim = d;
  most = std::min(most, shape[dim]);
  if (most < 2)
    return std::nullopt;
  // A number that divides, up to twice as many.
  for (int64_t pieces = most; pieces <= std::min<int64_t>(2 * most, shape[dim]);
       ++pieces)
    if (shape[dim] % pieces == 0)
      return std::make_pair(dim, pieces);
  int64_t piece = llvm::divideCeil(shape[dim], most);
  return std::make_pair(
      dim, static_cast<int64_t>(llvm::divideCeil(shape[dim], piece)));
}

static void split(ReduceOp op, int64_t dim, int64_t pieces) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  Value input = op.getInput();
  auto type = cast<RankedTensorType>(input.getType());
  Type element = type.getElementType(), sum = accumulatorOf(element);
  int64_t length = type.getDimSize(dim);
  int64_t padded = llvm::divideCeil(length, pieces) * pieces;
  if (padded != length)
    input = padEnd(builder, loc, op.getKind(), input, dim, padded - length);
  // A dimension whose entries are the pieces has pieces of no size.
  bool isCut = padded != pieces;
  if (isCut)
    input = cutInto(builder, loc, input, dim, pieces);
  auto cut = cast<RankedTensorType>(input.getType());
  if (sum != element)
    input = ConvertOp::create(builder, loc, cut.clone(sum), input);
  SmallVector<int64_t> inner, kept;
  int64_t place = 0;
  for (int64_t d = 0; d < cut.getRank(); ++d) {
    int64_t before = isCut && d > dim ? d - 1 : d;
    if (d != dim && llvm::is_contained(op.getDims(), before)) {
      inner.push_back(d);
      continue;
    }
    if (d == dim)
      place = static_cast<int64_t>(kept.size());
    kept.push_back(cut.getDimSize(d));
  }
  Value parts = ReduceOp::create(builder, loc, RankedTensorType::get(kept, sum),
                                 op.getKind(), input, inner);
  auto result = cast<RankedTensorType>(op.getType());
  Value all = ReduceOp::create(builder, loc, result.clone(sum), op.getKind(),
                               parts, ArrayRef<int64_t>{place});
  if (sum != element)
    all = ConvertOp::create(builder, loc, result, all);
  op.replaceAllUsesWith(all);
  op.erase();
}

void tessera::splitReductions(Block &block, const TileSizes &sizes) {
  for (ReduceOp op : llvm::to_vector(block.getOps<ReduceOp>()))
    if (auto chosen = choosePieces(op, sizes))
      split(op, chosen->first, chosen->second);
}

//===----------------------------------------------------------------------===//
// Cumulative ops
//===----------------------------------------------------------------------===//

/// Rows of fewer elements, and more rows, are best left to one thread each.
constexpr int64_t shortestSplitRow = 32768, mostSplitRows = 32;

static void splitRows(CumulativeOp op, int64_t piece) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  auto type = cast<RankedTensorType>(op.getType());
  Type element = type.getElementType(), sum = accumulatorOf(element);
  auto dim = static_cast<int64_t>(op.getDim());
  int64_t length = type.getDimSize(dim);
  int64_t pieces = llvm::divideCeil(length, piece);
  Value input = op.getInput();
  if (sum != element)
    input = ConvertOp::create(builder, loc, type.clone(sum), input);
  int64_t padded = pieces * piece;
  if (padded != length)
    input = padEnd(builder, loc, op.getKind(), input, dim, padded - length);
  auto shape = llvm::to_vector(shapeOf(input));
  SmallVector<int64_t> totalShape(shape), none(shape.size(), 0);
  totalShape[dim] = pieces;
  auto totalType = RankedTensorType::get(totalShape, sum);
  Value rows = cutInto(builder, loc, input, dim, pieces);
  auto cutType = cast<RankedTensorType>(rows.getType());
  Value totals = ReduceOp::create(builder, loc, totalType, op.getKind(), rows,
                                  ArrayRef<int64_t>{dim + 1});
  Value before =
      CumulativeOp::create(builder, loc, totalType, op.getKind(), totals, dim,
                           /*exclusive=*/true, op.getReverse());
  Value inner =
      CumulativeOp::create(builder, loc, cutType, op.getKind(), rows, dim + 1,
                           op.getExclusive(), op.getReverse());
  SmallVector<int64_t> dims;
  for (int64_t d = 0; d <= type.getRank(); ++d)
    if (d != dim + 1)
      dims.push_back(d);
  Value offsets = BroadcastOp::create(builder, loc, cutType, before, dims);
  Value all = combine(builder, loc, op.getKind(), offsets, inner);
  all = ReshapeOp::create(builder, loc, RankedTensorType::get(shape, sum), all);
  if (padded != length) {
    SmallVector<int64_t> ones(shape.size(), 1);
    all = SliceOp::create(builder, loc, type.clone(sum), all, none,
                          type.getShape(), ones);
  }
  if (sum != element)
    all = ConvertOp::create(builder, loc, type, all);
  op.replaceAllUsesWith(all);
  op.erase();
}

void tessera::splitLongRows(Block &block, const TileSizes &sizes) {
  auto ops = llvm::to_vector(block.getOps<CumulativeOp>());
  for (CumulativeOp op : ops) {
    ArrayRef<int64_t> shape = shapeOf(op.getResult());
    int64_t length = shape[op.getDim()], rows = 1;
    for (int64_t size : shape)
      rows *= size;
    rows /= length;
    if (length >= shortestSplitRow && rows <= mostSplitRows)
      splitRows(op, chooseChunk(length, sizes.rowElements));
  }
}
