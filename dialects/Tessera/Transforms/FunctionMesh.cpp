// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FunctionMesh.h"

using namespace mlir;
using namespace tessera;

namespace {
/// Visits the types of a function's values and remembers the first of each
/// sort.
class MeshFinder {
public:
  LogicalResult visit(Type type, Location loc) {
    auto tensor = dyn_cast<MeshTensorType>(type);
    if (!tensor) {
      if (!local)
        local.emplace(type, loc);
      return success();
    }
    StringRef name = tensor.getLayout().mesh;
    if (!mesh)
      mesh.emplace(name, loc);
    if (mesh->first == name)
      return success();
    InFlightDiagnostic error = emitError(loc)
                               << "a value is on mesh @" << name
                               << ", but others of its function are on mesh @"
                               << mesh->first
                               << "; all values of a function live on one mesh";
    error.attachNote(mesh->second) << "the first one on @" << mesh->first;
    return failure();
  }

  FailureOr<std::optional<Mesh>> find(func::FuncOp function) {
    if (!mesh)
      return std::optional<Mesh>();
    if (local)
      return emitError(local->second)
             << "a value has type " << local->first
             << ", but others of its function are mesh tensors; expected all "
                "of them to be";
    std::optional<Mesh> found = dist::lookupMesh(function, mesh->first);
    if (!found)
      return emitError(mesh->second)
             << "unknown mesh @" << mesh->first
             << "; declare it in the module, such as: dist.mesh @"
             << mesh->first << " <[tp = 2]>";
    return found;
  }

private:
  std::optional<std::pair<StringRef, Location>> mesh;
  std::optional<std::pair<Type, Location>> local;
};
} // namespace

FailureOr<std::optional<Mesh>>
tessera::findFunctionMesh(func::FuncOp function) {
  MeshFinder finder;
  for (auto [i, type] : llvm::enumerate(function.getArgumentTypes()))
    if (failed(finder.visit(type, function.isDeclaration()
                                      ? function.getLoc()
                                      : function.getArgument(i).getLoc())))
      return failure();
  for (Type type : function.getResultTypes())
    if (failed(finder.visit(type, function.getLoc())))
      return failure();
  WalkResult walked = function.walk([&](Operation *op) {
    for (Type type : op->getResultTypes())
      if (failed(finder.visit(type, op->getLoc())))
        return WalkResult::interrupt();
    if (op == function)
      return WalkResult::advance();
    for (Region &region : op->getRegions())
      for (BlockArgument argument : region.getArguments())
        if (failed(finder.visit(argument.getType(), argument.getLoc())))
          return WalkResult::interrupt();
    return WalkResult::advance();
  });
  if (walked.wasInterrupted())
    return failure();
  return finder.find(function);
}
