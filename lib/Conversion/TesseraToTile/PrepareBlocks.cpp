// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "PrepareBlocks.h"

#include "KernelGroups.h"
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

/// Reductions of fewer elements, and to more values, are one step.
constexpr int64_t smallestSplitReduction = 65536, mostSplitResults = 64;

/// Floats narrower than f32 are summed in it.
static Type accumulatorOf(Type element) {
  bool isNarrow =
      isa<FloatType>(element) && element.getIntOrFloatBitWidth() < 32;
  return isNarrow ? Float32Type::get(element.getContext()) : element;
}

void tessera::splitReductions(Block &block) {
  auto ops = llvm::to_vector(block.getOps<ReduceOp>());
  for (ReduceOp op : ops) {
    auto type = cast<RankedTensorType>(op.getInput().getType());
    SmallVector<int64_t> dims;
    for (int64_t dim : op.getDims())
      if (type.getDimSize(dim) != 1)
        dims.push_back(dim);
    if (dims.size() < 2 || type.getNumElements() < smallestSplitReduction ||
        ShapedType::getNumElements(shapeOf(op.getResult())) > mostSplitResults)
      continue;
    OpBuilder builder(op);
    Location loc = op.getLoc();
    Type element = type.getElementType(), sum = accumulatorOf(element);
    Value input = op.getInput();
    if (sum != element)
      input = ConvertOp::create(builder, loc, type.clone(sum), input);
    int64_t outer = dims.front();
    SmallVector<int64_t> inner, shape;
    for (int64_t d = 0; d < type.getRank(); ++d) {
      bool isLater = d == outer || !llvm::is_contained(op.getDims(), d);
      if (isLater)
        shape.push_back(type.getDimSize(d));
      else
        inner.push_back(d);
    }
    Value rows =
        ReduceOp::create(builder, loc, RankedTensorType::get(shape, sum),
                         op.getKind(), input, inner);
    int64_t place = 0;
    for (int64_t d = 0; d < outer; ++d)
      place += !llvm::is_contained(op.getDims(), d);
    auto result = cast<RankedTensorType>(op.getType());
    Value all = ReduceOp::create(builder, loc, result.clone(sum), op.getKind(),
                                 rows, ArrayRef<int64_t>{place});
    if (sum != element)
      all = ConvertOp::create(builder, loc, result, all);
    op.replaceAllUsesWith(all);
    op.erase();
  }
}

/// Rows of fewer elements, and more rows, are best left to one thread each.
constexpr int64_t shortestSplitRow = 32768, mostSplitRows = 32;

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
  SmallVector<int64_t> shape(type.getShape()), none(shape.size(), 0);
  shape[dim] = pieces * piece;
  if (shape[dim] != length) {
    SmallVector<int64_t> high = none;
    high[dim] = shape[dim] - length;
    input = PadOp::create(builder, loc, RankedTensorType::get(shape, sum),
                          input, none, high, neutralOf(op.getKind(), sum));
  }
  SmallVector<int64_t> cut(shape), totalShape(shape);
  cut[dim] = pieces;
  cut.insert(cut.begin() + dim + 1, piece);
  totalShape[dim] = pieces;
  auto cutType = RankedTensorType::get(cut, sum);
  auto totalType = RankedTensorType::get(totalShape, sum);
  Value rows = ReshapeOp::create(builder, loc, cutType, input);
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
  if (shape[dim] != length) {
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
