// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What a product leaves out where only a triangle of its result or of its left
// factor counts: register blocks outside the one, and columns and rows of the
// factors that meet zeros of the other.
#include "CPUProductEmitter.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

/// `value` + `offset`, which may be negative, in [low, high].
Value CPUKernelEmitter::ProductEmitter::clamped(Value value, int64_t offset,
                                                Value low, Value high) {
  value = arith::AddIOp::create(builder, loc, value, emitter.constant(offset));
  value = arith::MaxSIOp::create(builder, loc, value, low);
  return arith::MinSIOp::create(builder, loc, value, high);
}

/// The panels of which anything counts in `rows` rows from `firstRow` on, where
/// rows are outside; other orders multiply all.
CPUKernelEmitter::ProductEmitter::Range
CPUKernelEmitter::ProductEmitter::panelsOf(const Product &product,
                                           Value firstRow, int64_t rows) {
  DotOp op = product.op;
  Value zero = emitter.constant(0);
  int64_t panel = product.panel, columns = product.panels * panel;
  Range all{zero, emitter.constant(product.panels)};
  if (!op.getResultTriangle())
    return all;
  Value diagonal = emitter.scalars.lookupOrDefault(op.getDiagonal());
  if (*op.getResultTriangle() == Triangle::lower) {
    // j <= i + diagonal for the last row i.
    Value end = arith::AddIOp::create(builder, loc, firstRow, diagonal);
    end = clamped(end, rows, zero, emitter.constant(columns));
    end = code.add(end, panel - 1);
    return {zero,
            arith::DivUIOp::create(builder, loc, end, emitter.constant(panel))};
  }
  // i <= j + diagonal for the first row i.
  Value begin = arith::SubIOp::create(builder, loc, firstRow, diagonal);
  begin = clamped(begin, 0, zero, emitter.constant(columns));
  return {arith::DivUIOp::create(builder, loc, begin, emitter.constant(panel)),
          all.end};
}

/// Which columns of the left factor, of `whole` that the unrolled loop takes,
/// `rows` rows of it from `firstRow` on need. Those left over are always
/// multiplied.
CPUKernelEmitter::ProductEmitter::Range
CPUKernelEmitter::ProductEmitter::depthOf(const Product &product,
                                          Value firstRow, int64_t rows,
                                          int64_t whole) {
  DotOp op = product.op;
  Range all{emitter.constant(0), emitter.constant(whole)};
  if (!op.getLhsTriangle())
    return all;
  Value diagonal = emitter.scalars.lookupOrDefault(op.getDiagonal());
  if (*op.getLhsTriangle() == Triangle::lower) {
    // The loop ends behind the first multiple of its step that is not below.
    Value end = arith::AddIOp::create(builder, loc, firstRow, diagonal);
    return {all.begin, clamped(end, rows, all.begin, all.end)};
  }
  Value begin = arith::SubIOp::create(builder, loc, firstRow, diagonal);
  begin = clamped(begin, 0, all.begin, all.end);
  Value step = emitter.constant(unrolledDepth);
  begin = arith::DivUIOp::create(builder, loc, begin, step);
  return {code.multiply(begin, unrolledDepth), all.end};
}
