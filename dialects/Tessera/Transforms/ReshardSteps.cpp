// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ReshardSteps.h"
#include "Provenance.h"

#include "tessera/Analysis/CollectiveAlternatives.h"

using namespace mlir;
using namespace tessera;

/// Alternatives that are reported for a reshard.
static constexpr size_t maxAlternatives = 2;

ReshardSteps::Request ReshardSteps::requestOf(ReshardOp op) {
  return {op, op.getType(), op.getWhyAttr()};
}

/// The request's reason, with the bytes and the time of one step.
static dist::WhyAttr whyOf(const ReshardSteps::Request &request,
                           const ReshardStep &step, bool isCut,
                           ArrayAttr alternatives) {
  dist::WhyAttr why = request.why;
  MLIRContext *context = request.op->getContext();
  std::string rule =
      why ? why.getRule().getValue().str() : "the program asks for a reshard";
  if (isCut)
    rule += "; the search for its plan met its bound, there may be a cheaper "
            "one";
  ArrayAttr origins = why ? why.getOrigins() : ArrayAttr();
  if (!origins)
    // The operand is local by now, so that getInput() would not do.
    origins = ArrayAttr::get(
        context,
        StringAttr::get(context, "annotated: the program reshards " +
                                     describeValue(request.op->getOperand(0))));
  return dist::WhyAttr::get(context, StringAttr::get(context, rule), origins,
                            step.bytes, static_cast<int64_t>(step.nanoseconds),
                            alternatives);
}

const ReshardSteps::Known &ReshardSteps::planFor(MeshTensorType from,
                                                 MeshTensorType to) {
  auto [entry, isNew] = plans.try_emplace({from, to});
  Known &known = entry->second;
  if (!isNew)
    return known;
  std::vector<int64_t> shape = from.getShape().vec();
  int64_t bytes = (from.getElementTypeBitWidth() + 7) / 8;
  std::vector<ReshardPlan> others;
  known.plan = planReshard(from.getLayout(), to.getLayout(), shape, bytes, mesh,
                           &others);
  Layout before = from.getLayout();
  for (const ReshardStep &step : known.plan.steps) {
    SmallVector<Attribute> texts;
    for (const ReshardPlan &other : others)
      if (texts.size() < maxAlternatives)
        texts.push_back(builder.getStringAttr(describePlan(other)));
    if (texts.empty())
      texts.push_back(builder.getStringAttr(
          describeOtherWay(step, before.localShape(shape, mesh), bytes, mesh)));
    known.alternatives.push_back(builder.getArrayAttr(texts));
    before = step.after;
  }
  return known;
}

Value ReshardSteps::createStep(Operation *op, const ReshardStep &step,
                               dist::WhyAttr why, Value value,
                               RankedTensorType type) {
  Location loc = op->getLoc();
  MLIRContext *context = op->getContext();
  auto meshRef = FlatSymbolRefAttr::get(context, mesh.name);
  auto axes = dist::AxesAttr::get(context, step.axes);
  auto kind =
      dist::ReductionKindAttr::get(context, dist::toReductionKind(step.reduce));
  IntegerAttr dim = builder.getI64IntegerAttr(step.dim);
  switch (step.kind) {
  case CollectiveKind::AllSlice:
    return dist::AllSliceOp::create(builder, loc, type, value, dim, meshRef,
                                    axes, why);
  case CollectiveKind::AllGather:
    return dist::AllGatherOp::create(builder, loc, type, value, dim, meshRef,
                                     axes, why);
  case CollectiveKind::AllReduce:
    return dist::AllReduceOp::create(builder, loc, type, value, kind, meshRef,
                                     axes, why);
  case CollectiveKind::ReduceScatter:
    return dist::ReduceScatterOp::create(builder, loc, type, value, kind, dim,
                                         meshRef, axes, why);
  case CollectiveKind::AllToAll:
    return dist::AllToAllOp::create(builder, loc, type, value,
                                    builder.getI64IntegerAttr(step.splitDim),
                                    dim, meshRef, axes, why);
  case CollectiveKind::Permute:
    return dist::PermuteOp::create(builder, loc, type, value, meshRef, axes,
                                   dist::AxesAttr::get(context, step.to),
                                   DenseI64ArrayAttr(), why);
  }
  llvm_unreachable("unknown collective");
}

FailureOr<Value> ReshardSteps::create(const Request &request, Value value,
                                      MeshTensorType from) {
  const Layout &wanted = request.to.getLayout();
  std::vector<int64_t> shape = from.getShape().vec();
  const Known &known = planFor(from, request.to);
  if (known.plan.nanoseconds == std::numeric_limits<double>::infinity()) {
    InFlightDiagnostic error = request.op->emitOpError()
                               << "has no plan from " << from.getLayout().str()
                               << " to " << wanted.str();
    error.attachNote() << "a replicated value is never split into partial "
                          "terms; request a layout that is partial along the "
                          "same axes or a subset of them";
    return failure();
  }
  for (auto [step, alternatives] :
       llvm::zip_equal(known.plan.steps, known.alternatives)) {
    auto type = RankedTensorType::get(step.after.localShape(shape, mesh),
                                      from.getElementType());
    value = createStep(request.op, step,
                       whyOf(request, step, known.plan.isCut, alternatives),
                       value, type);
    if (Attribute phase = request.op->getAttr(TesseraDialect::phaseAttrName))
      value.getDefiningOp()->setAttr(TesseraDialect::phaseAttrName, phase);
  }
  return value;
}
