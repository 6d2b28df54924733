// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Contractions: a block of the result is a matrix product, accumulated in a
// loop over the summed dimensions.
#include "BlockEmitter.h"
#include "ProductKernels.h"

#include <functional>

using namespace mlir;
using namespace tessera;

static int64_t productOf(ArrayRef<int64_t> sizes) {
  int64_t product = 1;
  for (int64_t size : sizes)
    product *= size;
  return product;
}

/// The block is [m, n]: m elements of the dimensions that the left factor alone
/// gives, n of those of the right one. A dimension is named by its letter.
class BlockEmitter::ContractBlock {
public:
  ContractBlock(BlockEmitter &emitter, ContractOp op, const BlockBox &box);

  Value emit();

private:
  /// One factor and the letters of its dimensions, by what becomes of them.
  struct Factor {
    Value value;
    StringRef letters;
    std::string batch, own;
    bool isLeft;
  };

  Factor classify(Value value, StringRef letters, StringRef other, bool isLeft);
  SmallVector<int64_t> sizesOf(StringRef letters);
  int64_t mostDepth();
  Value factorTile(const Factor &factor);
  Value panelsTile();
  Value multiplyAdd(Value acc);
  Value sumFrom(size_t level, Value acc);
  Value toResult(Value acc);

  BlockEmitter &emitter;
  ContractOp op;
  const BlockBox &box;
  ContractOp::Indices indices;
  Factor lhs, rhs;
  Value panels; ///< Of the right factor; null: it is packed here.
  /// Summed letters in the left factor's order; the last one is summed in
  /// chunks of `depth`, the others one by one, from `positions` on.
  std::string summed;
  SmallVector<int64_t> extents;
  SmallVector<Value> positions;
  int64_t depth = 1;
  bool failedInside = false;
};

BlockEmitter::ContractBlock::ContractBlock(BlockEmitter &emitter, ContractOp op,
                                           const BlockBox &box)
    : emitter(emitter), op(op), box(box), indices(op.getIndices()),
      lhs(classify(op.getLhs(), indices.lhs, indices.rhs, /*isLeft=*/true)),
      rhs(classify(op.getRhs(), indices.rhs, indices.lhs, /*isLeft=*/false)),
      panels(emitter.panels.lookup(op)) {
  for (auto [letter, size] :
       llvm::zip_equal(indices.lhs, shapeOf(op.getLhs()))) {
    if (StringRef(indices.out).contains(letter))
      continue;
    summed += letter;
    extents.push_back(size);
  }
  positions.assign(summed.size(), emitter.constantIndex(0));
  if (panels)
    depth = shapeOf(panels).end()[-2];
  else if (!summed.empty())
    depth = chooseChunk(extents.back(), mostDepth(), emitter.sizes.productUnit);
}

BlockEmitter::ContractBlock::Factor
BlockEmitter::ContractBlock::classify(Value value, StringRef letters,
                                      StringRef other, bool isLeft) {
  Factor factor{value, letters, {}, {}, isLeft};
  for (char letter : letters)
    if (StringRef(indices.out).contains(letter))
      (other.contains(letter) ? factor.batch : factor.own) += letter;
  return factor;
}

/// Of the block, along dimensions of the result.
SmallVector<int64_t> BlockEmitter::ContractBlock::sizesOf(StringRef letters) {
  SmallVector<int64_t> sizes;
  for (char letter : letters)
    sizes.push_back(box.sizes[indices.out.find(letter)]);
  return sizes;
}

/// What may be summed at one time.
int64_t BlockEmitter::ContractBlock::mostDepth() {
  int64_t rows = productOf(sizesOf(lhs.own));
  int64_t columns = productOf(sizesOf(rhs.own));
  if (emitter.sizes.oneRowDepth > 0 && isRowTimesRows(op, [&](Value value) {
        return emitter.memories.contains(value);
      }))
    return mostDepthOfRow(emitter.sizes, columns);
  return tessera::mostDepth(emitter.sizes, rows, columns);
}

/// The factor at `positions` as a matrix: [m, depth] or [depth, n].
Value BlockEmitter::ContractBlock::factorTile(const Factor &factor) {
  BlockBox source;
  for (char letter : factor.letters) {
    size_t at = indices.out.find(letter);
    if (at != std::string::npos) {
      source.offsets.push_back(box.offsets[at]);
      source.sizes.push_back(box.sizes[at]);
      continue;
    }
    size_t level = summed.find(letter);
    source.offsets.push_back(positions[level]);
    source.sizes.push_back(level + 1 == summed.size() ? depth : 1);
  }
  bool isScalar = factor.letters.empty();
  if (isScalar) { // Of shape [1] inside a kernel.
    source.offsets.push_back(emitter.constantIndex(0));
    source.sizes.push_back(1);
  }
  Value tile = emitter.emit(factor.value, source);
  if (!tile || isScalar)
    return tile ? emitter.reshape(tile, {1, 1}) : Value();
  std::string order = factor.batch + (factor.isLeft ? factor.own + summed
                                                    : summed + factor.own);
  SmallVector<int64_t> permutation;
  for (char letter : order)
    permutation.push_back(factor.letters.find(letter));
  int64_t own = productOf(sizesOf(factor.own));
  SmallVector<int64_t> matrix = {own, depth};
  if (!factor.isLeft)
    std::swap(matrix[0], matrix[1]);
  return emitter.reshape(emitter.transpose(tile, permutation), matrix);
}

/// The right factor at `positions`, [depth, n], from its panels in memory: n is
/// a number of whole panels, and so is where its columns begin.
Value BlockEmitter::ContractBlock::panelsTile() {
  int64_t width = shapeOf(panels).back();
  size_t column = indices.out.find(rhs.own);
  int64_t count = box.sizes[column] / width;
  auto divide = [&](Value index, int64_t by) -> Value {
    return arith::DivUIOp::create(emitter.builder, emitter.loc, index,
                                  emitter.constantIndex(by));
  };
  Value zero = emitter.constantIndex(0);
  BlockBox source;
  source.offsets = positions;
  source.offsets.back() = divide(positions.back(), depth);
  source.offsets.append({divide(box.offsets[column], width), zero, zero});
  source.sizes.assign(positions.size(), 1);
  source.sizes.append({count, depth, width});
  Value tile =
      emitter.reshape(emitter.emit(panels, source), {count, depth, width});
  return emitter.reshape(emitter.transpose(tile, {1, 0, 2}),
                         {depth, count * width});
}

Value BlockEmitter::ContractBlock::multiplyAdd(Value acc) {
  Value a = factorTile(lhs);
  Value b = panels ? panelsTile() : factorTile(rhs);
  if (!a || !b) {
    failedInside = true;
    return acc;
  }
  return tile::DotOp::create(emitter.builder, emitter.loc, a, b, acc);
}

/// `acc` and the sum over the summed letters from `level` on.
Value BlockEmitter::ContractBlock::sumFrom(size_t level, Value acc) {
  if (level == summed.size())
    return multiplyAdd(acc);
  int64_t step = level + 1 == summed.size() ? depth : 1;
  if (extents[level] <= step)
    return sumFrom(level + 1, acc);
  return emitter.forLoop(
      extents[level], step, acc, [&](Value position, ValueRange carried) {
        positions[level] = position;
        return SmallVector<Value>{sumFrom(level + 1, carried[0])};
      })[0];
}

/// [m, n] -> [batch 1s, rows..., columns...] -> the result's order.
Value BlockEmitter::ContractBlock::toResult(Value acc) {
  std::string letters = lhs.batch + lhs.own + rhs.own;
  SmallVector<int64_t> shape = sizesOf(letters), permutation;
  for (char letter : indices.out)
    permutation.push_back(letters.find(letter));
  if (shape.empty()) { // A scalar.
    shape.push_back(1);
    permutation.push_back(0);
  }
  Value result = emitter.transpose(emitter.reshape(acc, shape), permutation);
  Type type = getElementTypeOrSelf(op.getType());
  return isa<FloatType>(type) ? emitter.fromF32(result, type) : result;
}

Value BlockEmitter::ContractBlock::emit() {
  if (productOf(sizesOf(lhs.batch)) != 1) {
    op.emitOpError("is cut into blocks of several batch elements");
    return {};
  }
  int64_t m = productOf(sizesOf(lhs.own)), n = productOf(sizesOf(rhs.own));
  Type type = emitter.accumulatorType(getElementTypeOrSelf(op.getType()));
  Value sum = sumFrom(0, emitter.splatNumber({m, n}, type, 0));
  return failedInside ? Value() : toResult(sum);
}

bool BlockEmitter::storePanels(ContractOp op, const BlockBox &box,
                               Value output) {
  ContractOp::Indices indices = op.getIndices();
  std::string summed;
  for (char letter : indices.lhs)
    if (indices.out.find(letter) == std::string::npos)
      summed += letter;
  ArrayRef<int64_t> shape = cast<MemRefType>(output.getType()).getShape();
  int64_t width = shape.back(), depth = shape.end()[-2];
  size_t chunk = summed.size() - 1, firstPanel = summed.size();
  size_t row = firstPanel + 1;
  auto multiply = [&](Value index, int64_t by) -> Value {
    return arith::MulIOp::create(builder, loc, index, constantIndex(by));
  };
  bool isComplete = true;
  forLoop(box.sizes[firstPanel], 1, {}, [&](Value i, ValueRange) {
    BlockBox panel = box, source;
    panel.offsets[firstPanel] = addIndices(box.offsets[firstPanel], i);
    panel.sizes[firstPanel] = 1;
    // The factor's dimensions in the order of the panels', columns last.
    SmallVector<int64_t> permutation(summed.size() + 1);
    for (auto [d, letter] : llvm::enumerate(indices.rhs)) {
      size_t to = std::min(summed.find(letter), summed.size());
      permutation[to] = static_cast<int64_t>(d);
      bool isOwn = to == summed.size();
      Value offset = panel.offsets[to];
      if (isOwn)
        offset = multiply(offset, width);
      else if (to == chunk)
        offset = addIndices(multiply(offset, depth), panel.offsets[row]);
      source.offsets.push_back(offset);
      source.sizes.push_back(isOwn         ? width
                             : to == chunk ? panel.sizes[row]
                                           : 1);
    }
    Value tile = emit(op.getRhs(), source);
    isComplete &= static_cast<bool>(tile);
    if (tile)
      store(reshape(transpose(tile, permutation), panel.sizes), output,
            panel.offsets);
    return SmallVector<Value>();
  });
  return isComplete;
}

Value BlockEmitter::emitContract(ContractOp op, const BlockBox &box) {
  return ContractBlock(*this, op, box).emit();
}
