// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Folding.h"
#include "Verification.h"
#include "tessera/Analysis/ValueStates.h"

using namespace mlir;
using namespace tessera;

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/LayoutOps.cpp.inc"

LogicalResult ConstrainOp::verify() {
  if (failed(verifySameTensor(*this)))
    return failure();
  const Layout &layout = getLayout().getValue();
  size_t rank = shapeOf(getInput()).size();
  if (layout.dims.size() != rank)
    return explain(emitOpError() << "layout " << layout.str() << " has "
                                 << layout.dims.size()
                                 << " dimensions, the value has " << rank,
                   *this, NamedValue{getInput(), "the value"},
                   "write a list per dimension: {} is whole, {?} is open");
  if (layout.mesh != getInput().getType().getLayout().mesh)
    return explain(emitOpError() << "layout is on mesh @" << layout.mesh
                                 << ", the value on mesh @"
                                 << getInput().getType().getLayout().mesh,
                   *this, NamedValue{getInput(), "the value"},
                   "a value stays on its mesh");
  if (!layout.varying.empty())
    return explain(emitOpError() << "layout " << layout.str()
                                 << " is varying, which a constraint cannot "
                                    "request",
                   *this, {},
                   "a constraint states how dimensions are split; "
                   "tessera.reshard makes a value vary");
  Type element = getElementTypeOrSelf(getInput());
  if (getReduce() && !(isa<FloatType>(*getReduce()) && isa<FloatType>(element)))
    return explain(emitOpError() << "terms of " << element
                                 << " cannot be moved in " << *getReduce(),
                   *this, NamedValue{getInput(), "the value"},
                   "`reduce` is for floats, and names a float type");
  if (layout.partial.empty())
    return success();
  return explain(emitOpError()
                     << "layout " << layout.str()
                     << " is partial, which a constraint cannot request",
                 *this, {},
                 "values become partial where an op leaves terms to be "
                 "combined; state how the dimensions are split");
}

InferredType ConstrainOp::inferResultType() { return likeOperand(*this); }

FactorRule ConstrainOp::getFactorRuleFor(const OpShapes &shapes) {
  return elementwiseRule(shapes.results[0], 1);
}

double ConstrainOp::getFlops() { return 0; }

KernelRole ConstrainOp::getKernelRole() { return KernelRole::Host; }

/// The same constraint twice is one.
OpFoldResult ConstrainOp::fold(FoldAdaptor) {
  auto inner = getInput().getDefiningOp<ConstrainOp>();
  if (inner && inner.getLayout() == getLayout() &&
      inner.getReduce() == getReduce() && getInput().getType() == getType())
    return getInput();
  return {};
}

LogicalResult ReshardOp::verify() {
  if (failed(verifySameTensor(*this)))
    return failure();
  // Operands are local, and results are not yet, while an op is partitioned.
  const Layout *from = layoutOf(getOperand().getType());
  const Layout *to = layoutOf(getResult().getType());
  std::optional<AxisRef> lost =
      from && to ? findLostVarying(*from, *to) : std::nullopt;
  if (!lost)
    return success();
  return explain(
      emitOpError() << "the input varies along '" << toString(*lost)
                    << "', the result of layout " << to->str() << " does not",
      *this, NamedValue{getOperand(), "the input"},
      "no collective makes one value of unrelated ones; keep the axis in the "
      "result's varying axes, or hold the values as one tensor with a "
      "dimension that is split along the axis");
}

OpFoldResult ReshardOp::fold(FoldAdaptor adaptor) {
  if (getInput().getType() == getType())
    return getInput();
  // A constant can be made in any layout.
  if (adaptor.getInput() && canBeConstant(getType()))
    return adaptor.getInput();
  // A plan through another layout never costs less than the direct one.
  if (auto inner = getInput().getDefiningOp<ReshardOp>()) {
    setOperand(inner.getInput());
    return getResult();
  }
  return {};
}
