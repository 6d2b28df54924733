// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "VaryingValues.h"

#include "dialects/Tessera/IR/DataFlow.h"
#include "tessera/Analysis/ValueStates.h"

using namespace mlir;
using namespace tessera;

static const std::vector<AxisRef> &varyingOf(Value value) {
  static const std::vector<AxisRef> none;
  const Layout *layout = layoutOf(value.getType());
  return layout ? layout->varying : none;
}

/// As a layout states it: `varying = {tp}`.
static std::string describe(const std::vector<AxisRef> &axes) {
  if (axes.empty())
    return "no varying axis";
  std::string text = toString(DimLayout{axes, /*open=*/false, std::nullopt});
  return "varying = " + text;
}

/// Notes which operands vary.
static void noteOperands(InFlightDiagnostic &error, Operation *op) {
  for (auto [i, operand] : llvm::enumerate(op->getOperands()))
    if (!varyingOf(operand).empty())
      error.attachNote(operand.getLoc())
          << "operand " << i << " has " << describe(varyingOf(operand));
}

static LogicalResult verifyResults(Operation *op, const Mesh &mesh) {
  std::vector<AxisRef> expected = varyingOfOperands(op, mesh);
  for (Value result : op->getResults()) {
    if (!layoutOf(result.getType()) ||
        isSameVarying(varyingOf(result), expected, mesh))
      continue;
    InFlightDiagnostic error =
        op->emitOpError() << "has a result with " << describe(varyingOf(result))
                          << ", but its operands make it "
                          << describe(expected);
    noteOperands(error, op);
    error.attachNote() << (expected.empty()
                               ? "tessera.reshard makes a value vary"
                               : "the state is not inferred: write it in the "
                                 "result's type");
    return failure();
  }
  return success();
}

/// A constraint splits along no axis along which the value varies.
static LogicalResult verifyConstraint(ConstrainOp op, const Mesh &mesh) {
  Layout layout = op.getLayout().getValue();
  layout.varying = varyingOf(op.getInput());
  if (layout.varying.empty())
    return success();
  std::optional<std::string> problem =
      findLayoutError(layout, mesh, layout.dims.size());
  if (!problem)
    return success();
  InFlightDiagnostic error = op.emitOpError()
                             << "gives the value layout " << layout.str()
                             << ": " << *problem;
  error.attachNote(op.getInput().getLoc())
      << "the value has " << describe(varyingOf(op.getInput()))
      << "; constrain it along other axes only";
  return failure();
}

static LogicalResult verifyEdges(DataFlowInterface op, const Mesh &mesh) {
  for (const DataFlowEdge &edge : op.getDataFlowEdges()) {
    std::optional<Value> first;
    auto verify = [&](Value end) -> LogicalResult {
      if (!layoutOf(end.getType()))
        return success();
      if (!first)
        first = end;
      if (isSameVarying(varyingOf(*first), varyingOf(end), mesh))
        return success();
      InFlightDiagnostic error = op->emitOpError()
                                 << "has " << edge.describe() << " with "
                                 << describe(varyingOf(*first)) << " and with "
                                 << describe(varyingOf(end));
      error.attachNote(end.getLoc())
          << "one value has one state; make the other ends vary as well, with "
             "tessera.reshard";
      return failure();
    };
    for (OpOperand *source : edge.sources)
      if (failed(verify(source->get())))
        return failure();
    for (Value target : edge.targets)
      if (failed(verify(target)))
        return failure();
  }
  for (OpOperand *operand : op.getControlOperands()) {
    if (varyingOf(operand->get()).empty())
      continue;
    InFlightDiagnostic error = op->emitOpError()
                               << "decides by a value with "
                               << describe(varyingOf(operand->get()))
                               << "; all devices must take the same path";
    error.attachNote(operand->get().getLoc())
        << "it is computed here; decide by a value that does not vary";
    return failure();
  }
  return success();
}

/// One device reports for all, so all must hold the same.
static LogicalResult verifyEffect(Operation *op) {
  for (Value operand : op->getOperands()) {
    if (varyingOf(operand).empty())
      continue;
    InFlightDiagnostic error = op->emitOpError()
                               << "reports a value with "
                               << describe(varyingOf(operand))
                               << "; one device reports for all";
    error.attachNote(operand.getLoc())
        << "it is computed here; report a value that does not vary";
    return failure();
  }
  return success();
}

LogicalResult tessera::verifyVarying(Operation *op, const Mesh &mesh) {
  if (auto constrain = dyn_cast<ConstrainOp>(op))
    if (failed(verifyConstraint(constrain, mesh)))
      return failure();
  if (auto flow = dyn_cast<DataFlowInterface>(op))
    return verifyEdges(flow, mesh);
  if (isa<FactorRuleInterface>(op))
    return op->getNumResults() == 0 ? verifyEffect(op)
                                    : verifyResults(op, mesh);
  return success();
}
