// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Products of bf16 and f16 into f32 by mma.sync.m16n8k16, which a warp executes
// together on tiles of 16x16 and 16x8 elements. f32 factors stay with fma: the
// tensor cores would round them to tf32.
//
// Which elements a lane holds, from the PTX ISA ("Matrix Fragments for
// mma.m16n8k16 with floating point type"), for lane = 4 g + t:
//   A: rows g and g + 8, columns 2t, 2t + 1, and the same 8 further;
//   B: column g, rows 2t, 2t + 1, and the same 8 further;
//   C: rows g and g + 8, columns 2t, 2t + 1.
// The lane's part of C is thus a rectangle of rows and columns, also over
// several tiles, and all else that is done with rectangles holds for it.
#include "NVVMKernelEmitter.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

static constexpr int64_t tileRows = 16, tileColumns = 8, tileDepth = 16;
static constexpr int64_t warpSize = 32;

static int64_t dimSize(Value tile, int64_t dim) {
  return cast<RankedTensorType>(tile.getType()).getDimSize(dim);
}

bool NVVMKernelEmitter::canUseTensorCores(DotOp op) {
  Type lhs = getElementTypeOrSelf(op.getLhs().getType());
  return lhs == getElementTypeOrSelf(op.getRhs().getType()) &&
         (lhs.isBF16() || lhs.isF16()) &&
         getElementTypeOrSelf(op.getType()).isF32() &&
         dimSize(op.getLhs(), 0) % tileRows == 0 &&
         dimSize(op.getRhs(), 1) % tileColumns == 0 &&
         dimSize(op.getLhs(), 1) % tileDepth == 0;
}

/// The fewest tiles a warp with which every tile has an owner; among equals the
/// squarest, whose factors are the fewest.
NVVMKernelEmitter::Rectangle
NVVMKernelEmitter::chooseWarpRectangle(int64_t m, int64_t n) const {
  Rectangle best;
  for (int64_t down : {1, 2, 4})
    for (int64_t across : {1, 2, 4}) {
      if (m % (down * tileRows) || n % (across * tileColumns))
        continue;
      Rectangle next;
      next.ofWarp = true;
      next.rows = 2 * down;
      next.columns = 2 * across;
      next.rowTiles = m / next.rows;
      next.columnTiles = n / next.columns;
      auto fits = [&](const Rectangle &r) { return r.owners() <= threads; };
      auto spread = [](const Rectangle &r) {
        return std::abs(r.rows - r.columns);
      };
      bool isBetter = !best.ofWarp || (fits(next) && !fits(best));
      if (!isBetter && fits(next) == fits(best)) {
        isBetter = next.owners() == best.owners()
                       ? spread(next) < spread(best)
                       : fits(next) == (next.owners() > best.owners());
      }
      if (isBetter)
        best = next;
    }
  return best;
}

void NVVMKernelEmitter::locateInWarp(Rectangle &rectangle, Value owner) {
  int64_t down = rectangle.rows / 2, across = rectangle.columns / 2;
  auto times = [&](Value a, int64_t b) -> Value {
    return arith::MulIOp::create(builder, loc, a, constant(b));
  };
  auto plus = [&](Value a, Value b) -> Value {
    return arith::AddIOp::create(builder, loc, a, b);
  };
  // Warps in rows of the result; of the lane, g and t.
  int64_t warpsAcross = rectangle.columnTiles / 4;
  Indices digits = delinearize(
      owner, {rectangle.rowTiles / 8, warpsAcross, warpSize / 4, 4});
  Value firstRow = plus(times(digits[0], down * tileRows), digits[2]);
  Value firstColumn = times(digits[1], across * tileColumns);
  rectangle.factorPosition = times(digits[3], 2);
  rectangle.rowIndex.clear();
  rectangle.columnIndex.clear();
  rectangle.factorColumn.clear();
  for (int64_t i = 0; i < rectangle.rows; ++i)
    rectangle.rowIndex.push_back(plus(firstRow, constant(i * tileRows / 2)));
  for (int64_t j = 0; j < across; ++j) {
    Value tile = plus(firstColumn, constant(j * tileColumns));
    rectangle.factorColumn.push_back(plus(tile, digits[2]));
    Value column = plus(tile, rectangle.factorPosition);
    rectangle.columnIndex.push_back(column);
    rectangle.columnIndex.push_back(plus(column, constant(1)));
  }
}

Value NVVMKernelEmitter::loadPair(SharedBuffer *buffer, Type type, Indices at,
                                  unsigned dim) {
  SmallVector<Value> pair;
  bool isAdjacent = buffer->isSwapped == (dim == 0);
  if (isAdjacent) {
    pair = loadRun(buffer, at, 2, type);
  } else {
    pair.push_back(loadShared(buffer, at, type));
    at[dim] = arith::AddIOp::create(builder, loc, at[dim], constant(1));
    pair.push_back(loadShared(buffer, at, type));
  }
  Type vector = VectorType::get({2}, type);
  Value packed = LLVM::UndefOp::create(builder, loc, vector);
  for (auto [i, value] : llvm::enumerate(pair))
    packed = LLVM::InsertElementOp::create(builder, loc, packed, value,
                                           constantI32(i));
  // The op takes pairs of bf16 as their bits.
  return type.isBF16() ? LLVM::BitcastOp::create(builder, loc,
                                                 builder.getI32Type(), packed)
                             .getResult()
                       : packed;
}

SmallVector<Value> NVVMKernelEmitter::multiplyOnTensorCores(
    DotOp op, SharedBuffer *lhs, SharedBuffer *rhs, const Rectangle &rectangle,
    ValueRange acc) {
  int64_t depth = dimSize(op.getLhs(), 1), columns = rectangle.columns;
  Type type = getElementTypeOrSelf(op.getLhs().getType());
  Type f32 = builder.getF32Type();
  Type result = LLVM::LLVMStructType::getLiteral(builder.getContext(),
                                                 {f32, f32, f32, f32});
  auto kind = type.isBF16() ? NVVM::MMATypes::bf16 : NVVM::MMATypes::f16;
  auto step = [&](Value first, ValueRange carried) {
    Value near =
        arith::AddIOp::create(builder, loc, first, rectangle.factorPosition);
    Value far = arith::AddIOp::create(builder, loc, near, constant(8));
    SmallVector<SmallVector<Value>> a(rectangle.rows / 2), b(columns / 2);
    for (auto [i, tile] : llvm::enumerate(a))
      for (Value position : {near, far})
        for (Value row : ArrayRef<Value>(rectangle.rowIndex).slice(2 * i, 2))
          tile.push_back(loadPair(lhs, type, {row, position}, 1));
    for (auto [j, tile] : llvm::enumerate(b))
      for (Value position : {near, far})
        tile.push_back(
            loadPair(rhs, type, {position, rectangle.factorColumn[j]}, 0));
    SmallVector<Value> sums(carried.begin(), carried.end());
    for (size_t i = 0; i < a.size(); ++i)
      for (size_t j = 0; j < b.size(); ++j) {
        Value *upper = &sums[2 * i * columns + 2 * j], *lower = upper + columns;
        Value *parts[] = {upper, upper + 1, lower, lower + 1};
        SmallVector<Value> c;
        for (Value *part : parts)
          c.push_back(*part);
        Value product = NVVM::MmaOp::create(
            builder, loc, result, a[i], b[j], c,
            ArrayRef<int64_t>{tileRows, tileColumns, tileDepth}, std::nullopt,
            std::nullopt, std::array{kind, kind},
            std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
        for (auto [p, part] : llvm::enumerate(parts))
          *part = LLVM::ExtractValueOp::create(builder, loc, product,
                                               static_cast<int64_t>(p));
      }
    return sums;
  };
  if (depth == tileDepth)
    return step(constant(0), acc);
  return forLoop(constant(0), depth, constant(tileDepth), acc, step);
}
