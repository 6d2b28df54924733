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

/// The product of the other elements: the product without zeros, where no other
/// element is zero.
static void differentiateProduct(ReduceOp op, Value dx, Tangents &t) {
  Build &b = t.primal;
  Value x = op.getInput(), zero = b.numberLike(0, x), one = b.numberLike(1, x);
  Value isZero = b.compare(CompareDirection::eq, x, zero);
  Value other = b.select(isZero, one, x);
  Value product =
      repeatOver(b, op, reduceLike(b, op, ReductionKind::prod, other));
  Value zeros = repeatOver(
      b, op,
      reduceLike(b, op, ReductionKind::sum, b.select(isZero, one, zero)));
  Value others = b.create<SubOp>(zeros, b.select(isZero, one, zero));
  Value slope = b.select(b.compare(CompareDirection::eq, others, zero),
                         b.create<DivOp>(product, other), zero);
  t.set(op, reduceLike(t.linear, op, ReductionKind::sum,
                       t.linear.create<MulOp>(dx, slope)));
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

/// The product of the other elements up to each one, as in a reduction: before
/// the first zero that is the sum of dx / x times the product; from the first
/// to the second zero, dx there times the product of the others; then 0.
static void differentiateCumulativeProduct(CumulativeOp op, Value dx,
                                           Tangents &t) {
  Build &b = t.primal;
  Value x = op.getInput(), zero = b.numberLike(0, x), one = b.numberLike(1, x);
  Value isZero = b.compare(CompareDirection::eq, x, zero);
  Value other = b.select(isZero, one, x);
  Value product = cumulateLike(b, op, ReductionKind::prod, other);
  Value zeros =
      cumulateLike(b, op, ReductionKind::sum, b.select(isZero, one, zero));
  Value without =
      b.select(b.compare(CompareDirection::eq, zeros, zero), product, zero);
  Value withOne =
      b.select(b.compare(CompareDirection::eq, zeros, one), product, zero);
  Build &l = t.linear;
  Value relative =
      cumulateLike(l, op, ReductionKind::sum, l.create<DivOp>(dx, other));
  Value atZero = cumulateLike(l, op, ReductionKind::sum,
                              l.create<MulOp>(dx, b.select(isZero, one, zero)));
  t.set(op, l.create<AddOp>(l.create<MulOp>(relative, without),
                            l.create<MulOp>(atZero, withOne)));
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
