// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Derivatives of contractions, reductions and cumulative ops.
#include "Rules.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::derivatives;

using Build = FormulaBuilder;
using dist::ReductionKind;

//===----------------------------------------------------------------------===//
// contract
//===----------------------------------------------------------------------===//

/// A product into the element type of `like`.
static Value contractInto(Build &b, OpBuilder &builder, Location loc, Value x,
                          Value y, const std::string &spec, Value like) {
  Value product = b.contract(x, y, spec);
  Type type = getElementTypeOrSelf(like.getType());
  if (getElementTypeOrSelf(product.getType()) == type)
    return product;
  return ContractOp::create(builder, loc, b.typeOf(shapeOf(product), type), x,
                            y, builder.getStringAttr(spec));
}

static void differentiateContract(ContractOp op, Tangents &t) {
  Value sum;
  auto add = [&](Value x, Value y) {
    Value term = ContractOp::create(
        t.getLinearBuilder(), op.getLoc(),
        t.linear.typeOf(shapeOf(op), getElementTypeOrSelf(op.getType())), x, y,
        op.getSpecAttr());
    sum = t.sum(sum, term);
  };
  if (Value dx = t.of(op.getLhs()))
    add(dx, op.getRhs());
  if (Value dy = t.of(op.getRhs()))
    add(op.getLhs(), dy);
  t.set(op, sum);
}

/// `out,rhs->lhs`, and the same for the other side. A result of f32 of 16-bit
/// operands has a cotangent of f32: it is rounded to the type of the operands.
static void transposeContract(ContractOp op, Cotangents &c) {
  ContractOp::Indices spec = op.getIndices();
  Value ct =
      c.build.convert(c.of(op), getElementTypeOrSelf(op.getLhs().getType()));
  OpBuilder &builder = c.getTransposer().getBuilder();
  if (c.isLinear(op.getLhs()))
    c.add(op.getLhs(), contractInto(c.build, builder, op.getLoc(), ct,
                                    c.residual(op.getRhs()),
                                    spec.out + "," + spec.rhs + "->" + spec.lhs,
                                    op.getLhs()));
  else
    c.add(op.getRhs(),
          contractInto(c.build, builder, op.getLoc(), c.residual(op.getLhs()),
                       ct, spec.lhs + "," + spec.out + "->" + spec.rhs,
                       op.getRhs()));
}

//===----------------------------------------------------------------------===//
// reduce
//===----------------------------------------------------------------------===//

static Value reduceLike(Build &b, ReduceOp op, ReductionKind kind, Value x) {
  return b.create<ReduceOp>(dist::ReductionKindAttr::get(op.getContext(), kind),
                            x, op.getDimsAttr());
}

/// Undoes a reduction: repeats its result along the dimensions it dropped.
static Value repeatOver(Build &b, ReduceOp op, Value x) {
  ArrayRef<int64_t> shape = shapeOf(op.getInput());
  SmallVector<int64_t> kept;
  for (int64_t d = 0, rank = shape.size(); d < rank; ++d)
    if (!llvm::is_contained(op.getDims(), d))
      kept.push_back(d);
  return b.broadcast(x, shape, kept);
}

/// Elements that equal the result share the cotangent.
static void differentiateExtremum(ReduceOp op, Value dx, Tangents &t) {
  Build &b = t.primal;
  Value x = op.getInput();
  Value isExtreme = b.compare(CompareDirection::eq, x, repeatOver(b, op, op));
  Value weight = b.select(isExtreme, b.numberLike(1, x), b.numberLike(0, x));
  Value count = reduceLike(b, op, ReductionKind::sum, weight);
  Value sum = reduceLike(t.linear, op, ReductionKind::sum,
                         t.linear.create<MulOp>(dx, weight));
  t.set(op, t.linear.create<DivOp>(sum, count));
}

/// The part [begin, end) of dimension `dim`, moved to `low` in one of `size`
/// elements whose others are `fill`.
static Value placed(Build &b, Value x, int64_t dim, int64_t begin, int64_t end,
                    int64_t low, int64_t size, double fill) {
  ArrayRef<int64_t> shape = shapeOf(x);
  MLIRContext *context = x.getContext();
  auto list = [&](ArrayRef<int64_t> values) {
    return DenseI64ArrayAttr::get(context, values);
  };
  SmallVector<int64_t> starts(shape.size(), 0), limits(shape),
      steps(shape.size(), 1);
  starts[dim] = begin;
  limits[dim] = end;
  if (end - begin < shape[dim])
    x = b.create<SliceOp>(x, list(starts), list(limits), list(steps));
  if (end - begin == size)
    return x;
  SmallVector<int64_t> lows(starts.size(), 0), highs(starts.size(), 0);
  lows[dim] = low;
  highs[dim] = size - low - (end - begin);
  return b.create<PadOp>(
      x, list(lows), list(highs),
      FloatAttr::get(getElementTypeOrSelf(x.getType()), fill));
}

/// d(x y) = dx y + x dy
static Value tangentOfProduct(Tangents &t, Value x, Value dx, Value y,
                              Value dy) {
  return t.sum(t.linear.create<MulOp>(dx, y), t.linear.create<MulOp>(dy, x));
}

/// By a tree: the first half of the elements times the second, until one is
/// left. Without divisions, it is right beside zeros, and so are the
/// derivatives of what it computes.
static void differentiateProduct(ReduceOp op, Value dx, Tangents &t) {
  Value x = op.getInput();
  for (int64_t dim : op.getDims())
    while (shapeOf(x)[dim] > 1) {
      int64_t size = shapeOf(x)[dim], half = (size + 1) / 2;
      auto split = [&](Build &b, Value value, double fill) {
        return std::pair<Value, Value>(
            placed(b, value, dim, 0, half, 0, half, fill),
            placed(b, value, dim, half, size, 0, half, fill));
      };
      auto [x1, x2] = split(t.primal, x, 1);
      auto [dx1, dx2] = split(t.linear, dx, 0);
      dx = tangentOfProduct(t, x1, dx1, x2, dx2);
      x = t.primal.create<MulOp>(x1, x2);
    }
  t.set(op, t.linear.reshape(dx, shapeOf(op)));
}

static void differentiateReduce(ReduceOp op, Tangents &t) {
  Value dx = t.of(op.getInput());
  switch (op.getKind()) {
  case ReductionKind::sum:
    return t.set(op, reduceLike(t.linear, op, ReductionKind::sum, dx));
  case ReductionKind::prod:
    return differentiateProduct(op, dx, t);
  case ReductionKind::max:
  case ReductionKind::min:
    return differentiateExtremum(op, dx, t);
  }
}

//===----------------------------------------------------------------------===//
// cumulative
//===----------------------------------------------------------------------===//

static Value cumulate(Build &b, CumulativeOp like, ReductionKind kind, Value x,
                      bool exclusive, bool reverse) {
  MLIRContext *context = like.getContext();
  UnitAttr yes = UnitAttr::get(context);
  return b.create<CumulativeOp>(dist::ReductionKindAttr::get(context, kind), x,
                                like.getDimAttr(), exclusive ? yes : UnitAttr(),
                                reverse ? yes : UnitAttr(), UnitAttr());
}

static Value cumulateLike(Build &b, CumulativeOp op, ReductionKind kind,
                          Value x) {
  return cumulate(b, op, kind, x, op.getExclusive(), op.getReverse());
}

/// By doubling: the products of 1, 2, 4, ... elements up to each one, times
/// those that end where they begin. Without divisions, as in a reduction.
static void differentiateCumulativeProduct(CumulativeOp op, Value dx,
                                           Tangents &t) {
  Value x = op.getInput();
  int64_t dim = op.getDim(), size = shapeOf(x)[dim];
  auto moved = [&](Build &b, Value value, int64_t by, double fill) {
    return op.getReverse()
               ? placed(b, value, dim, by, size, 0, size, fill)
               : placed(b, value, dim, 0, size - by, by, size, fill);
  };
  if (op.getExclusive()) {
    if (size == 1)
      return;
    x = moved(t.primal, x, 1, 1);
    dx = moved(t.linear, dx, 1, 0);
  }
  for (int64_t length = 1; length < size; length *= 2) {
    Value before = moved(t.primal, x, length, 1);
    dx = tangentOfProduct(t, x, dx, before, moved(t.linear, dx, length, 0));
    x = t.primal.create<MulOp>(x, before);
  }
  t.set(op, dx);
}

/// Each element has the tangent of the element it equals: the last of those up
/// to it.
static void differentiateCumulativeExtremum(CumulativeOp op, Value dx,
                                            Tangents &t) {
  Build &b = t.primal;
  Value x = op.getInput();
  ArrayRef<int64_t> shape = shapeOf(x);
  int64_t dim = op.getDim(), size = shape[dim];
  bool reverse = op.getReverse();
  // Of an exclusive op, that of the element before; the first has none.
  Value all = cumulate(b, op, op.getKind(), x, /*exclusive=*/false, reverse);
  Value place = b.iota(shape, dim);
  Value isExtreme = b.compare(CompareDirection::eq, x, all);
  Value none = b.numberLike(reverse ? size - 1 : 0, place);
  Value index =
      cumulate(b, op, reverse ? ReductionKind::min : ReductionKind::max,
               b.select(isExtreme, place, none), false, reverse);
  SmallVector<int64_t> batch;
  for (int64_t d = 0, rank = shape.size(); d < rank; ++d)
    if (d != dim)
      batch.push_back(d);
  MLIRContext *context = op.getContext();
  auto list = [&](ArrayRef<int64_t> values) {
    return DenseI64ArrayAttr::get(context, values);
  };
  // The indexed dimension stands where it was among the batch dimensions.
  Value tangent = GatherOp::create(
      t.getLinearBuilder(), op.getLoc(),
      t.linear.typeOf(shape, getElementTypeOrSelf(x.getType())), dx,
      ValueRange(index), list({dim}), list(batch), list(batch));
  if (op.getExclusive() && size == 1)
    return;
  if (op.getExclusive()) {
    SmallVector<int64_t> starts(shape.size(), 0), limits(shape),
        steps(shape.size(), 1), low(shape.size(), 0), high(shape.size(), 0);
    (reverse ? starts[dim] : limits[dim]) += reverse ? 1 : -1;
    (reverse ? high : low)[dim] = 1;
    tangent = t.linear.create<SliceOp>(tangent, list(starts), list(limits),
                                       list(steps));
    tangent = t.linear.create<PadOp>(
        tangent, list(low), list(high),
        FloatAttr::get(getElementTypeOrSelf(x.getType()), 0.0));
  }
  t.set(op, tangent);
}

static void differentiateCumulative(CumulativeOp op, Tangents &t) {
  Value dx = t.of(op.getInput());
  switch (op.getKind()) {
  case ReductionKind::sum:
    return t.set(op, cumulateLike(t.linear, op, ReductionKind::sum, dx));
  case ReductionKind::prod:
    return differentiateCumulativeProduct(op, dx, t);
  case ReductionKind::max:
  case ReductionKind::min:
    return differentiateCumulativeExtremum(op, dx, t);
  }
}

void tessera::derivatives::addReductionRules(DerivativeRules &rules) {
  rules.jvp<ContractOp>(differentiateContract);
  rules.transpose<ContractOp>(transposeContract);
  rules.jvp<ReduceOp>(differentiateReduce);
  rules.transpose<ReduceOp>([](ReduceOp op, Cotangents &c) {
    c.add(op.getInput(), repeatOver(c.build, op, c.of(op)));
  });
  rules.jvp<CumulativeOp>(differentiateCumulative);
  rules.transpose<CumulativeOp>([](CumulativeOp op, Cotangents &c) {
    c.add(op.getInput(), cumulate(c.build, op, ReductionKind::sum, c.of(op),
                                  op.getExclusive(), !op.getReverse()));
  });
}
