// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Arguments and results of the entry as inputs and outputs.
#include "ProgramBuilder.h"

#include "dialects/Dist/IR/Boundary.h"

using namespace mlir;
using namespace tessera;

FailureOr<ProgramBuilder::Boundary>
ProgramBuilder::readBoundary(DictionaryAttr attributes, const Twine &what,
                             const Twine &name) {
  Boundary boundary;
  if (attributes) {
    auto [layout, globalType] = dist::readBoundary(attributes);
    boundary.layout = layout;
    boundary.global = globalType;
    boundary.name = attributes.getAs<StringAttr>("tessera.name");
  }
  if (!boundary.layout || !boundary.global) {
    InFlightDiagnostic error = function.emitError()
                               << what
                               << " has no dist.layout and dist.global_type";
    error.attachNote() << "tessera-partition adds them; they say how whole "
                          "tensors are cut and joined";
    return failure();
  }
  if (!boundary.layout.getValue().partial.empty())
    return function.emitError()
           << what << " is partial (" << boundary.layout.getValue().str()
           << "); the arguments and results of a program are whole tensors or "
              "parts of them: combine the terms with tessera.reshard";
  if (!boundary.layout.getValue().varying.empty())
    return function.emitError()
           << what << " varies by device (" << boundary.layout.getValue().str()
           << "); the arguments and results of a program are whole tensors or "
              "parts of them: give it a dimension that is split along the "
              "varying axes";
  if (!boundary.name)
    boundary.name = builder.getStringAttr(name);
  if (mesh.empty())
    mesh = boundary.layout.getValue().mesh;
  return boundary;
}

LogicalResult ProgramBuilder::addInputs() {
  for (BlockArgument argument : function.getArguments()) {
    unsigned i = argument.getArgNumber();
    FailureOr<Boundary> boundary = readBoundary(
        function.getArgAttrDict(i), "argument " + Twine(i), "arg" + Twine(i));
    if (failed(boundary))
      return failure();
    buffers[storage.setOf(argument)] = plan::InputOp::create(
        builder, argument.getLoc(), bufferType(argument.getType()),
        boundary->name, boundary->global, TypeAttr::get(argument.getType()),
        boundary->layout,
        storage.tiedResultOf(i) ? builder.getUnitAttr() : UnitAttr());
  }
  return success();
}

LogicalResult ProgramBuilder::addOutputs() {
  auto returnOp =
      cast<func::ReturnOp>(function.getBody().front().getTerminator());
  for (auto [i, value] : llvm::enumerate(returnOp.getOperands())) {
    FailureOr<Boundary> boundary =
        readBoundary(function.getResultAttrDict(i), "result " + Twine(i),
                     "result" + Twine(i));
    if (failed(boundary))
      return failure();
    Value output;
    if (std::optional<unsigned> argument = storage.tiedArgumentOf(i))
      plan::TiedOutputOp::create(
          builder, returnOp.getLoc(), boundary->name, boundary->global,
          TypeAttr::get(value.getType()), boundary->layout,
          bufferOf(function.getArgument(*argument), returnOp.getLoc()));
    else
      output = plan::OutputOp::create(
          builder, returnOp.getLoc(), bufferType(value.getType()),
          boundary->name, boundary->global, TypeAttr::get(value.getType()),
          boundary->layout);
    outputs.push_back(output);
  }
  return success();
}

/// Results that are not where they should be are copied there, those that are
/// not tied first: what a tie overwrites may be another result.
void ProgramBuilder::addReturn(func::ReturnOp op) {
  SmallVector<Transfer> untied, tied;
  for (auto [i, value] : llvm::enumerate(op.getOperands())) {
    Value from = bufferOf(value, op.getLoc());
    if (std::optional<unsigned> argument = storage.tiedArgumentOf(i))
      tied.push_back(
          {from, bufferOf(function.getArgument(*argument), op.getLoc())});
    else
      untied.push_back({from, outputs[i]});
  }
  addTransfers(untied, op.getLoc());
  addTransfers(tied, op.getLoc());
}
