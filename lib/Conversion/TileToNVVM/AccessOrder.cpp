// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "AccessOrder.h"

#include "dialects/Tile/IR/IndexRange.h"
#include "dialects/Tile/IR/KernelAnalysis.h"
#include "dialects/Tile/IR/Tile.h"

#include <numeric>

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

int64_t tessera::elementBytes(Type type) {
  return (getElementTypeOrSelf(type).getIntOrFloatBitWidth() + 7) / 8;
}

static int64_t rankOf(Value tile) {
  return cast<RankedTensorType>(tile.getType()).getRank();
}

/// The memory dimension of stride 1, as dimension of the tile.
static std::optional<int64_t> unitStrideDim(Value memory) {
  auto type = cast<MemRefType>(memory.getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(type.getStridesAndOffset(strides, offset)))
    return std::nullopt;
  for (size_t d = strides.size(); d-- > 0;)
    if (strides[d] == 1 && type.getDimSize(d) > 1)
      return d;
  return std::nullopt;
}

/// Where unit dimensions alone come and go, the k-th other dimension stays the
/// k-th other one.
static std::optional<int64_t> throughReshape(ReshapeOp op, int64_t dim) {
  auto others = [](Value tile) {
    SmallVector<int64_t> dims;
    for (auto [d, size] :
         llvm::enumerate(cast<RankedTensorType>(tile.getType()).getShape()))
      if (size != 1)
        dims.push_back(d);
    return dims;
  };
  SmallVector<int64_t> from = others(op.getInput()),
                       to = others(op.getResult());
  auto sizeOf = [](Value tile, int64_t d) {
    return cast<RankedTensorType>(tile.getType()).getDimSize(d);
  };
  if (from.size() != to.size())
    return std::nullopt;
  std::optional<int64_t> found;
  for (auto [a, b] : llvm::zip(from, to)) {
    if (sizeOf(op.getInput(), a) != sizeOf(op.getResult(), b))
      return std::nullopt;
    if (a == dim)
      found = b;
  }
  return found;
}

static std::optional<int64_t> findContiguousDim(Value tile) {
  Operation *op = tile.getDefiningOp();
  if (!op)
    return std::nullopt;
  if (auto load = dyn_cast<LoadOp>(op))
    return unitStrideDim(load.getMemory());
  if (auto gather = dyn_cast<GatherOp>(op))
    return unitStrideDim(gather.getMemory());
  if (auto trans = dyn_cast<TransOp>(op)) {
    std::optional<int64_t> inner = findContiguousDim(trans.getInput());
    for (auto [to, from] : llvm::enumerate(trans.getPermutation()))
      if (inner == from)
        return to;
    return std::nullopt;
  }
  if (auto reshape = dyn_cast<ReshapeOp>(op)) {
    std::optional<int64_t> inner = findContiguousDim(reshape.getInput());
    return inner ? throughReshape(reshape, *inner) : std::nullopt;
  }
  if (!OpTrait::hasElementwiseMappableTraits(op))
    return std::nullopt;
  // Of several, the first operand that is not the same along a dimension.
  for (Value operand : op->getOperands())
    if (isTile(operand))
      if (std::optional<int64_t> dim = findContiguousDim(operand))
        return dim;
  return std::nullopt;
}

int64_t tessera::contiguousDim(Value tile) {
  return findContiguousDim(tile).value_or(
      std::max<int64_t>(0, rankOf(tile) - 1));
}

/// Bytes of a tile that is kept in shared memory though it need not be.
static constexpr int64_t maxOptionalBytes = 16 * 1024;

/// Whether computing an element reads memory or evaluates a function.
static bool isCostly(Value tile) {
  Operation *op = tile.getDefiningOp();
  if (!op || !isTile(tile))
    return false;
  if (isa<LoadOp, GatherOp, arith::DivFOp>(op) ||
      isa<math::MathDialect>(op->getDialect()))
    return true;
  // Broadcast elements are few and stay in the cache.
  if (isa<BroadcastOp>(op) || !isVirtualTileOp(op))
    return false;
  return llvm::any_of(op->getOperands(), isCostly);
}

bool tessera::isWorthKeeping(Value tile) {
  auto type = cast<RankedTensorType>(tile.getType());
  return type.getNumElements() * elementBytes(type) <= maxOptionalBytes &&
         isCostly(tile);
}

int64_t tessera::accessAlignment(Value memory, ValueRange offsets,
                                 ArrayRef<int64_t> tileShape, size_t firstDim) {
  auto type = cast<MemRefType>(memory.getType());
  SmallVector<int64_t> strides;
  int64_t alignment;
  std::optional<int64_t> unit = unitStrideDim(memory);
  if (!unit)
    return 0;
  if (*unit < static_cast<int64_t>(firstDim) ||
      failed(type.getStridesAndOffset(strides, alignment)))
    return 1;
  for (auto [d, stride] : llvm::enumerate(strides))
    if (static_cast<int64_t>(d) != *unit && type.getDimSize(d) > 1)
      alignment = std::gcd(alignment, stride);
  Value offset = offsets[*unit - firstDim];
  alignment = std::gcd(alignment, getIndexDivisor(offset));
  int64_t size = type.getDimSize(*unit);
  return isProvenInBounds(offset, tileShape[*unit], size)
             ? alignment
             : std::gcd(alignment, size);
}

int64_t tessera::neighboursPerThread(int64_t size, int64_t total, int64_t bytes,
                                     int64_t threads, int64_t alignment) {
  int64_t count = std::max<int64_t>(1, maxAccessBytes / bytes);
  while (count > 1 && (size % count != 0 || alignment % count != 0 ||
                       total / count < threads))
    count /= 2;
  return count;
}
