// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ReshardSteps.h"

#include "tessera/Analysis/ReshardPlanner.h"

using namespace mlir;
using namespace tessera;

/// The reason of `op`, with the bytes and the time of one step.
static dist::WhyAttr whyOf(ReshardOp op, const ReshardStep &step) {
  dist::WhyAttr why = op.getWhyAttr();
  MLIRContext *context = op.getContext();
  auto none = ArrayAttr::get(context, {});
  if (!why)
    why = dist::WhyAttr::get(
        context, StringAttr::get(context, "the program asks for a reshard"),
        none, 0, 0, none);
  return dist::WhyAttr::get(context, why.getRule(), why.getOrigins(),
                            step.bytes, static_cast<int64_t>(step.nanoseconds),
                            why.getAlternatives());
}

static Value createStep(OpBuilder &builder, ReshardOp op,
                        const ReshardStep &step, Value value,
                        RankedTensorType type, const Mesh &mesh) {
  Location loc = op.getLoc();
  MLIRContext *context = op.getContext();
  auto meshRef = FlatSymbolRefAttr::get(context, mesh.name);
  auto axes = dist::AxesAttr::get(context, step.axes);
  dist::WhyAttr why = whyOf(op, step);
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
    return dist::PermuteOp::create(builder, loc, type, value, meshRef,
                                   builder.getDenseI64ArrayAttr(step.targets),
                                   why);
  }
  llvm_unreachable("unknown collective");
}

FailureOr<Value> tessera::createReshardSteps(OpBuilder &builder, ReshardOp op,
                                             Value value, MeshTensorType from,
                                             const Mesh &mesh) {
  const Layout &wanted = op.getType().getLayout();
  std::vector<int64_t> shape = from.getShape().vec();
  int64_t bytes = (from.getElementTypeBitWidth() + 7) / 8;
  ReshardPlan plan = planReshard(from.getLayout(), wanted, shape, bytes, mesh);
  if (plan.nanoseconds == std::numeric_limits<double>::infinity()) {
    InFlightDiagnostic error = op.emitOpError()
                               << "has no plan from " << from.getLayout().str()
                               << " to " << wanted.str();
    error.attachNote() << "a whole value is never made partial: that would "
                          "take it apart into terms; ask for a layout that is "
                          "partial along the same axes or fewer";
    return failure();
  }
  for (const ReshardStep &step : plan.steps) {
    auto type = RankedTensorType::get(step.after.localShape(shape, mesh),
                                      from.getElementType());
    value = createStep(builder, op, step, value, type, mesh);
  }
  return value;
}
