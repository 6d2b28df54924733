// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tile/IR/IndexRange.h"
#include "dialects/Tile/IR/Tile.h"

#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

#include <limits>
#include <numeric>

using namespace mlir;
using namespace tessera::tile;

/// Bounds may be computed at run time: what they may be decides.
static std::optional<IndexRange> rangeOfLoopVariable(scf::ForOp loop) {
  std::optional<IndexRange> lower = getIndexRange(loop.getLowerBound());
  std::optional<IndexRange> upper = getIndexRange(loop.getUpperBound());
  APInt step;
  if (!lower || !upper || !matchPattern(loop.getStep(), m_ConstantInt(&step)))
    return std::nullopt;
  int64_t first = lower->min, end = upper->max, by = step.getSExtValue();
  int64_t count;
  if (end <= first || by < 1 || llvm::SubOverflow(end - 1, first, count))
    return std::nullopt;
  if (lower->min == lower->max)
    return IndexRange{first, first + count / by * by};
  // Values are multiples of what divides the lower bound and the step.
  int64_t unit = std::gcd(getIndexDivisor(loop.getLowerBound()), by);
  int64_t last = end - 1;
  return IndexRange{first, last < 0 ? last : last / unit * unit};
}

/// Range of `op(a, b)` for an operation that is monotone in each argument over
/// the corners; `fn` sets its last argument and says whether it overflows.
template <typename Fn>
static std::optional<IndexRange> overCorners(IndexRange a, IndexRange b,
                                             Fn fn) {
  int64_t corners[4];
  if (fn(a.min, b.min, corners[0]) || fn(a.min, b.max, corners[1]) ||
      fn(a.max, b.min, corners[2]) || fn(a.max, b.max, corners[3]))
    return std::nullopt;
  return IndexRange{*std::min_element(corners, corners + 4),
                    *std::max_element(corners, corners + 4)};
}

/// What an index that was computed at run time may be: any number of its type.
static std::optional<IndexRange> rangeOfCast(arith::IndexCastOp cast) {
  if (!cast.getIn().getType().isInteger(32))
    return std::nullopt;
  return IndexRange{std::numeric_limits<int32_t>::min(),
                    std::numeric_limits<int32_t>::max()};
}

static std::optional<IndexRange> rangeOfArith(Operation *op) {
  if (op->getNumOperands() != 2)
    return std::nullopt;
  auto a = getIndexRange(op->getOperand(0));
  auto b = getIndexRange(op->getOperand(1));
  if (!a || !b)
    return std::nullopt;
  using Range = std::optional<IndexRange>;
  return llvm::TypeSwitch<Operation *, Range>(op)
      .Case<arith::AddIOp>(
          [&](auto) { return overCorners(*a, *b, llvm::AddOverflow<int64_t>); })
      .Case<arith::SubIOp>(
          [&](auto) { return overCorners(*a, *b, llvm::SubOverflow<int64_t>); })
      .Case<arith::MulIOp>(
          [&](auto) { return overCorners(*a, *b, llvm::MulOverflow<int64_t>); })
      .Case<arith::MinSIOp>([&](auto) {
        return IndexRange{std::min(a->min, b->min), std::min(a->max, b->max)};
      })
      .Case<arith::MaxSIOp>([&](auto) {
        return IndexRange{std::max(a->min, b->min), std::max(a->max, b->max)};
      })
      .Case<arith::DivUIOp, arith::DivSIOp>([&](auto) -> Range {
        if (a->min < 0 || b->min < 1)
          return std::nullopt;
        return IndexRange{a->min / b->max, a->max / b->min};
      })
      .Case<arith::RemUIOp, arith::RemSIOp>([&](auto) -> Range {
        if (a->min < 0 || b->min < 1)
          return std::nullopt;
        return IndexRange{0, std::min(a->max, b->max - 1)};
      })
      .Default([](Operation *) { return std::nullopt; });
}

std::optional<IndexRange> tessera::tile::getIndexRange(Value index) {
  APInt constant;
  if (matchPattern(index, m_ConstantInt(&constant)))
    return IndexRange{constant.getSExtValue(), constant.getSExtValue()};
  if (auto argument = dyn_cast<BlockArgument>(index)) {
    auto loop =
        dyn_cast_or_null<scf::ForOp>(argument.getOwner()->getParentOp());
    if (loop && loop.getInductionVar() == index)
      return rangeOfLoopVariable(loop);
    return std::nullopt;
  }
  Operation *op = index.getDefiningOp();
  if (auto id = dyn_cast<ProgramIdOp>(op)) {
    ArrayRef<int64_t> grid = op->getParentOfType<KernelOp>().getGrid();
    int64_t dim = id.getDim();
    int64_t size = dim < static_cast<int64_t>(grid.size()) ? grid[dim] : 1;
    return IndexRange{0, size - 1};
  }
  if (auto cast = dyn_cast<arith::IndexCastOp>(op))
    return rangeOfCast(cast);
  return rangeOfArith(op);
}

bool tessera::tile::isProvenInBounds(Value offset, int64_t size,
                                     int64_t extent) {
  std::optional<IndexRange> range = getIndexRange(offset);
  return range && range->min >= 0 && range->max <= extent - size;
}

int64_t tessera::tile::getIndexDivisor(Value index) {
  APInt constant;
  if (matchPattern(index, m_ConstantInt(&constant))) {
    int64_t value = constant.getSExtValue();
    return value == std::numeric_limits<int64_t>::min() ? 1 : std::abs(value);
  }
  if (auto argument = dyn_cast<BlockArgument>(index)) {
    auto loop =
        dyn_cast_or_null<scf::ForOp>(argument.getOwner()->getParentOp());
    if (loop && loop.getInductionVar() == index)
      return std::gcd(getIndexDivisor(loop.getLowerBound()),
                      getIndexDivisor(loop.getStep()));
    return 1;
  }
  Operation *op = index.getDefiningOp();
  if (isa<arith::AddIOp, arith::SubIOp, arith::MinSIOp, arith::MaxSIOp>(op))
    return std::gcd(getIndexDivisor(op->getOperand(0)),
                    getIndexDivisor(op->getOperand(1)));
  if (isa<arith::MulIOp>(op)) {
    int64_t left = getIndexDivisor(op->getOperand(0));
    int64_t right = getIndexDivisor(op->getOperand(1)), product;
    return llvm::MulOverflow(left, right, product) ? std::max(left, right)
                                                   : product;
  }
  return 1;
}

bool tessera::tile::areInBoundsTogether(Value offset, int64_t count,
                                        int64_t extent) {
  return extent % count == 0 && getIndexDivisor(offset) % count == 0;
}
