// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RootBlocks.h"
#include "ProductKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/SmallBitVector.h"
#include <numeric>

using namespace mlir;
using namespace tessera;

/// What an op combines, and along which dimensions, that drops these.
namespace {
struct Combined {
  ArrayRef<int64_t> shape;
  SmallVector<int64_t> dims;
};
} // namespace

static std::optional<Combined> combinedBy(Operation *op) {
  if (auto reduce = dyn_cast<ReduceOp>(op))
    return Combined{shapeOf(reduce.getInput()),
                    llvm::to_vector(reduce.getDims())};
  if (auto logsumexp = dyn_cast<LogsumexpOp>(op))
    return Combined{shapeOf(logsumexp.getInput()),
                    {static_cast<int64_t>(logsumexp.getDim())}};
  if (auto entropy = dyn_cast<CrossEntropyOp>(op)) {
    ArrayRef<int64_t> shape = shapeOf(entropy.getLogits());
    return Combined{shape, {static_cast<int64_t>(shape.size()) - 1}};
  }
  return std::nullopt;
}

/// Whether neighbours in memory are combined.
static bool combinesInnermost(const Combined &combined) {
  for (auto d = static_cast<int64_t>(combined.shape.size()); d-- > 0;)
    if (combined.shape[d] != 1)
      return llvm::is_contained(combined.dims, d);
  return true;
}

/// The dimensions of a group's results that number pieces of what it combines
/// along `dims`; none where nothing is cut in the kernel.
static SmallVector<size_t> findPieces(const KernelGroup &group,
                                      ArrayRef<int64_t> dims) {
  SmallVector<size_t> pieces;
  for (Operation *member : group.members)
    if (auto reshape = dyn_cast<ReshapeOp>(member))
      if (std::optional<int64_t> cut = cutDim(reshape))
        pieces.push_back(
            *cut - llvm::count_if(dims, [&](int64_t d) { return d < *cut; }));
  return pieces;
}

/// A block of `result`, which is what `combined` gives; one element of its
/// dimensions `ones`.
static SmallVector<int64_t> chooseCombiningBlock(const Combined &combined,
                                                 Value result,
                                                 const TileSizes &sizes,
                                                 ArrayRef<size_t> ones) {
  SmallVector<int64_t> shape = BlockEmitter::shapeOf1(result);
  std::vector<int64_t> plain(shape.begin(), shape.end());
  for (size_t d : ones)
    plain[d] = 1;
  // What is left of the budget after the combined dimensions.
  int64_t in = ShapedType::getNumElements(combined.shape);
  int64_t out = ShapedType::getNumElements(shape);
  int64_t perResult = std::max<int64_t>(1, in / std::max<int64_t>(1, out));
  int64_t most = std::max<int64_t>(1, sizes.rowElements / perResult);
  // Columns are read side by side, a piece of their rows at a time.
  if (!combinesInnermost(combined))
    most = std::max(most, sizes.reduceColumns);
  std::vector<int64_t> block =
      chooseBlock(plain, std::vector<bool>(shape.size(), false), most);
  return SmallVector<int64_t>(block.begin(), block.end());
}

SmallVector<int64_t> tessera::chooseReductionBlock(ReduceOp reduce,
                                                   const TileSizes &sizes) {
  return chooseCombiningBlock(*combinedBy(reduce), reduce.getResult(), sizes,
                              {});
}

/// Where a transposition of the group's results reads along another dimension
/// than it writes, and `block` has little of either: a square of both, so that
/// all of a cache line is used while it is there. Else `block`.
static std::vector<int64_t> orTransposedBlock(const KernelGroup &group,
                                              ArrayRef<int64_t> shape,
                                              std::vector<int64_t> block,
                                              int64_t side) {
  for (Operation *member : group.members) {
    auto transpose = dyn_cast<TransposeOp>(member);
    if (!transpose || shapeOf(transpose.getResult()) != shape)
      continue;
    ArrayRef<int64_t> permutation = transpose.getPermutation();
    size_t last = shape.size() - 1;
    auto read = static_cast<size_t>(
        llvm::find(permutation, static_cast<int64_t>(last)) -
        permutation.begin());
    auto isShort = [&](size_t d) {
      return block[d] < std::min(shape[d], side);
    };
    if (read == last || (!isShort(read) && !isShort(last)))
      continue;
    llvm::fill(block, 1);
    block[read] = chooseChunk(shape[read], side);
    block[last] = chooseChunk(shape[last], side);
    return block;
  }
  return block;
}

/// Makes `block` one of parts of one piece, or of whole pieces, of what is cut
/// in the kernel.
static void keepPieces(const KernelGroup &group, ArrayRef<int64_t> shape,
                       std::vector<int64_t> &block) {
  llvm::SmallBitVector isCut(shape.size());
  for (Operation *member : group.members)
    if (auto reshape = dyn_cast<ReshapeOp>(member);
        reshape && shapeOf(reshape.getResult()) == shape)
      if (std::optional<int64_t> cut = cutDim(reshape))
        isCut.set(*cut);
  // A piece may itself be cut.
  for (size_t d = shape.size(); d-- > 0;)
    if (isCut[d] && block[d + 1] < shape[d + 1])
      block[d] = 1;
}

/// `block`, in a concatenation so that each input's elements in it are stored
/// by themselves: of one long row, which is then written in its order, or of
/// one input, where that leaves blocks that are not small.
static std::vector<int64_t> orPartBlock(ConcatenateOp op,
                                        std::vector<int64_t> block) {
  constexpr int64_t smallestBlock = 1024;
  auto dim = static_cast<size_t>(op.getDim());
  int64_t common = 0, others = 1, row = 1;
  for (Value input : op.getInputs())
    common = std::gcd(common, shapeOf(input)[dim]);
  for (auto [d, size] : llvm::enumerate(block)) {
    others *= d == dim ? 1 : size;
    row *= d < dim ? 1 : size;
  }
  if (BlockEmitter::canStoreParts(op, block)) {
    if (row >= smallestBlock)
      std::fill_n(block.begin(), dim, 1);
    return block;
  }
  for (int64_t size = block[dim]; size * others >= smallestBlock; --size)
    if (common % size == 0) {
      block[dim] = size;
      break;
    }
  return block;
}

SmallVector<int64_t> tessera::chooseRootBlock(const KernelGroup &group,
                                              const TileSizes &sizes) {
  Value root = group.last()->getResult(0);
  SmallVector<int64_t> shape = BlockEmitter::shapeOf1(root);
  std::vector<int64_t> plain(shape.begin(), shape.end());
  std::vector<bool> whole(shape.size(), false);
  if (auto attention = dyn_cast_or_null<AttentionOp>(group.heavy))
    return {1,
            BlockEmitter::chooseChunks(sizes, attention, attention.getValue())
                .queries,
            1, shape[3]};
  if (auto contract = dyn_cast_or_null<ContractOp>(group.heavy))
    return chooseProductBlock(group, contract, sizes);
  if (auto cumulative = dyn_cast_or_null<CumulativeOp>(group.heavy)) {
    // Whole rows, held piece by piece; enough of them to fill vectors where
    // they are contiguous.
    auto dim = static_cast<size_t>(cumulative.getDim());
    int64_t length = shape[dim];
    bool isInner = llvm::all_of(llvm::drop_begin(shape, dim + 1),
                                [](int64_t size) { return size == 1; });
    int64_t rows = std::max<int64_t>(1, sizes.rowElements / length);
    if (!isInner)
      rows = std::max<int64_t>(rows, sizes.cumulativeRows);
    plain[dim] = 1;
    std::vector<int64_t> block = chooseBlock(plain, whole, rows);
    block[dim] = length;
    return SmallVector<int64_t>(block.begin(), block.end());
  }
  int64_t most = sizes.pointwiseElements;
  if (group.kind == KernelOpClass::Rows) {
    most = sizes.rowElements;
    if (auto softmax = dyn_cast<SoftmaxOp>(group.heavy)) {
      whole[softmax.getDim()] = true;
    } else if (auto combined = combinedBy(group.heavy)) {
      return chooseCombiningBlock(*combined, group.heavy->getResult(0), sizes,
                                  findPieces(group, combined->dims));
    } else {
      whole.back() = true;
    }
  }
  std::vector<int64_t> block = chooseBlock(plain, whole, most);
  if (group.kind == KernelOpClass::Elementwise)
    block = orTransposedBlock(group, shape, block, sizes.transposeSide);
  if (auto concatenate = dyn_cast<ConcatenateOp>(group.last());
      concatenate && group.roots.size() == 1)
    block = orPartBlock(concatenate, block);
  keepPieces(group, shape, block);
  return SmallVector<int64_t>(block.begin(), block.end());
}

BlockBox tessera::blockOfProgram(OpBuilder &builder, Location loc,
                                 BlockEmitter &emitter, ArrayRef<int64_t> block,
                                 ArrayRef<int64_t> counts,
                                 ArrayRef<size_t> order) {
  Value rest = tile::ProgramIdOp::create(builder, loc, builder.getIndexType(),
                                         builder.getI64IntegerAttr(0));
  int64_t left = 1; // Blocks that `rest` numbers.
  for (int64_t count : counts)
    left *= count;
  BlockBox box;
  box.offsets.resize(block.size());
  box.sizes = llvm::to_vector(block);
  for (size_t i = block.size(); i-- > 0;) {
    size_t d = order.empty() ? i : order[i];
    if (counts[d] == 1) {
      box.offsets[d] = emitter.constantIndex(0);
      continue;
    }
    Value index = rest;
    left /= counts[d];
    if (left > 1) {
      Value count = emitter.constantIndex(counts[d]);
      index = arith::RemUIOp::create(builder, loc, rest, count);
      rest = arith::DivUIOp::create(builder, loc, rest, count);
    }
    if (block[d] != 1)
      index = arith::MulIOp::create(builder, loc, index,
                                    emitter.constantIndex(block[d]));
    box.offsets[d] = index;
  }
  return box;
}

MemRefType tessera::memoryTypeOf(Value value) {
  Type type = getElementTypeOrSelf(value.getType());
  MLIRContext *context = type.getContext();
  if (type.isInteger(1))
    type = IntegerType::get(context, 8);
  else if (auto integer = dyn_cast<IntegerType>(type))
    type = IntegerType::get(context, integer.getWidth());
  return MemRefType::get(BlockEmitter::shapeOf1(value), type);
}
