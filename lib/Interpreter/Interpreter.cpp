// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Interpreter/Interpreter.h"

#include "lib/Interpreter/Evaluator.h"
#include "lib/Interpreter/Signature.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::interpreter;

/// The layout of an argument or a result on `mesh`; whole where none is given.
static FailureOr<Layout> layoutOn(const Mesh &mesh, func::FuncOp function,
                                  const Endpoint &boundary, size_t rank) {
  if (!boundary.layout)
    return Layout::replicated(mesh.name, rank);
  const Layout &layout = boundary.layout.getValue();
  if (auto problem = findLayoutError(layout, mesh, rank)) {
    function.emitOpError() << "has layout " << layout.str() << ": " << *problem;
    return failure();
  }
  return layout;
}

static LogicalResult verifyInputs(func::FuncOp function,
                                  ArrayRef<Tensor> inputs,
                                  ArrayRef<TensorSpec> specs) {
  if (inputs.size() != specs.size())
    return function.emitOpError()
           << "takes " << specs.size() << " inputs, got " << inputs.size();
  for (auto [i, input, spec] : llvm::enumerate(inputs, specs))
    if (input.shape != spec.shape || input.kind != spec.kind)
      return function.emitOpError()
             << "takes input " << i << " of type "
             << toString(spec.shape, spec.kind) << ", got "
             << toString(input.shape, input.kind);
  return success();
}

FailureOr<std::vector<PerDevice>>
tessera::interpretOnDevices(func::FuncOp function, ArrayRef<PerDevice> inputs,
                            InterpretStats *stats) {
  InterpretStats ignored;
  FailureOr<Mesh> mesh = meshOf(function);
  if (failed(mesh))
    return failure();
  return Evaluator(&*mesh, stats ? *stats : ignored).call(function, inputs);
}

static FailureOr<std::vector<Tensor>> interpretLogical(func::FuncOp function,
                                                       ArrayRef<Tensor> inputs,
                                                       InterpretStats &stats) {
  std::vector<PerDevice> arguments;
  for (const Tensor &input : inputs)
    arguments.push_back({input});
  FailureOr<std::vector<PerDevice>> results =
      Evaluator(nullptr, stats).call(function, arguments);
  if (failed(results))
    return failure();
  std::vector<Tensor> whole;
  for (PerDevice &result : *results)
    whole.push_back(std::move(result.front()));
  return whole;
}

static FailureOr<std::vector<Tensor>> interpretDevices(func::FuncOp function,
                                                       ArrayRef<Tensor> inputs,
                                                       InterpretStats &stats) {
  FailureOr<Mesh> mesh = meshOf(function);
  FailureOr<std::vector<TensorSpec>> specs = resultSpecs(function);
  if (failed(mesh) || failed(specs))
    return failure();
  std::vector<PerDevice> arguments;
  for (auto [i, input] : llvm::enumerate(inputs)) {
    Endpoint boundary = argumentOf(function, i);
    FailureOr<Layout> layout =
        layoutOn(*mesh, function, boundary, input.shape.size());
    if (failed(layout))
      return failure();
    Shape local = layout->localShape(input.shape, *mesh);
    if (shapeVector(boundary.type) != local)
      return function.emitOpError()
             << "argument " << i << " has type " << boundary.type
             << ", but layout " << layout->str() << " of "
             << toString(input.shape, input.kind) << " gives each device "
             << toString(local, input.kind);
    arguments.push_back(cutAll(input, *layout, *mesh));
  }
  FailureOr<std::vector<PerDevice>> results =
      Evaluator(&*mesh, stats).call(function, arguments);
  if (failed(results))
    return failure();
  std::vector<Tensor> whole;
  for (auto [i, result, spec] : llvm::enumerate(*results, *specs)) {
    FailureOr<Layout> layout =
        layoutOn(*mesh, function, resultOf(function, i), spec.shape.size());
    if (failed(layout))
      return failure();
    Joined joined = join(result, *layout, *mesh, spec.shape);
    if (!joined.error.empty())
      return function.emitOpError() << "result " << i << ": " << joined.error;
    whole.push_back(std::move(joined.whole));
  }
  return whole;
}

FailureOr<std::vector<Tensor>> tessera::interpret(func::FuncOp function,
                                                  ArrayRef<Tensor> inputs,
                                                  InterpretStats *stats) {
  InterpretStats ignored;
  InterpretStats &used = stats ? *stats : ignored;
  FailureOr<std::vector<TensorSpec>> specs = inputSpecs(function);
  if (failed(specs) || failed(verifyInputs(function, inputs, *specs)))
    return failure();
  if (interpretModeOf(function) == InterpretMode::Logical)
    return interpretLogical(function, inputs, used);
  return interpretDevices(function, inputs, used);
}

LogicalResult tessera::interpretToBuffers(func::FuncOp function,
                                          ArrayRef<const void *> inputs,
                                          ArrayRef<void *> outputs,
                                          InterpretStats *stats) {
  FailureOr<std::vector<TensorSpec>> specs = inputSpecs(function);
  if (failed(specs))
    return failure();
  if (inputs.size() != specs->size() ||
      outputs.size() != function.getNumResults())
    return function.emitOpError()
           << "takes " << specs->size() << " inputs and gives "
           << function.getNumResults() << " results, got buffers for "
           << inputs.size() << " and " << outputs.size();
  std::vector<Tensor> tensors;
  for (auto [data, spec] : llvm::zip_equal(inputs, *specs))
    tensors.push_back(readBuffer(data, spec.shape, spec.kind));
  FailureOr<std::vector<Tensor>> results = interpret(function, tensors, stats);
  if (failed(results))
    return failure();
  for (auto [result, data] : llvm::zip_equal(*results, outputs))
    writeBuffer(result, data);
  return success();
}
