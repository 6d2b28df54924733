// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Ties.h"
#include "VaryingValues.h"
#include "dialects/Tessera/Transforms/Passes.h"

#include "mlir/Interfaces/FunctionInterfaces.h"

namespace tessera {
#define GEN_PASS_DEF_VERIFYPROGRAM
#include "dialects/Tessera/Transforms/Passes.h.inc"
} // namespace tessera

using namespace mlir;
using namespace tessera;

namespace {
/// Checks the values of one function.
class FunctionVerifier {
public:
  FunctionVerifier(FunctionOpInterface function,
                   const llvm::StringMap<dist::MeshOp> &meshes, StringRef pass)
      : function(function), meshes(meshes), pass(pass) {}

  LogicalResult verify();

private:
  void checkType(Type type, Location loc, const llvm::Twine &what);
  /// Of values whose layouts fit their meshes.
  void verifyStates();
  void checkLayout(const Layout &layout, size_t rank, Location loc,
                   const llvm::Twine &what);

  FunctionOpInterface function;
  const llvm::StringMap<dist::MeshOp> &meshes;
  StringRef pass; ///< Whose errors these are: its flag.
  llvm::DenseSet<Type> seen;
  bool isValid = true;
};
} // namespace

void FunctionVerifier::checkLayout(const Layout &layout, size_t rank,
                                   Location loc, const llvm::Twine &what) {
  auto mesh = meshes.find(layout.mesh);
  if (mesh == meshes.end()) {
    isValid = false;
    InFlightDiagnostic error = emitError(loc)
                               << what << " is on mesh @" << layout.mesh
                               << ", which does not exist";
    if (meshes.empty())
      error.attachNote() << "declare it in the module, such as: dist.mesh @"
                         << layout.mesh << " <[tp = 2]>";
    for (const auto &entry : meshes)
      error.attachNote(entry.second->getLoc())
          << "mesh @" << entry.first() << " is declared here";
    return;
  }
  dist::MeshOp op = mesh->second;
  std::optional<std::string> problem =
      findLayoutError(layout, op.getPlainMesh(), rank);
  if (!problem)
    return;
  isValid = false;
  InFlightDiagnostic error = emitError(loc) << what << " has layout "
                                            << layout.str() << ": " << *problem;
  error.attachNote(op.getLoc()) << "the mesh is declared here";
}

void FunctionVerifier::checkType(Type type, Location loc,
                                 const llvm::Twine &what) {
  if (!seen.insert(type).second)
    return;
  if (auto meshTensor = dyn_cast<MeshTensorType>(type)) {
    if (meshTensor.getNumElements() != 0)
      return checkLayout(meshTensor.getLayout(), meshTensor.getShape().size(),
                         loc, what);
    isValid = false;
    InFlightDiagnostic error = emitError(loc) << what << " has type " << type
                                              << ", which has no elements";
    error.attachNote() << "every dimension of a program's tensors has size 1 "
                          "or more";
    return;
  }
  isValid = false;
  InFlightDiagnostic error = emitError(loc) << what << " has type " << type
                                            << "; expected a mesh tensor";
  error.attachNote() << "whole programs hold mesh tensors, as in "
                        "!tessera.mesh_tensor<2x3xf32, @mesh>; builtin tensors "
                        "are the local values after tessera-partition";
}

void FunctionVerifier::verifyStates() {
  function->walk([&](Operation *op) {
    SmallVector<Type> types(op->getOperandTypes());
    llvm::append_range(types, op->getResultTypes());
    for (Type type : types) {
      const Layout *layout = layoutOf(type);
      if (!layout)
        continue;
      dist::MeshOp mesh = meshes.find(layout->mesh)->second;
      isValid &= succeeded(verifyVarying(op, mesh.getPlainMesh()));
      return;
    }
  });
}

LogicalResult FunctionVerifier::verify() {
  if (failed(verifyRegionsAreKnown(function, pass)))
    return failure();
  for (auto [i, type] : llvm::enumerate(function.getArgumentTypes())) {
    Location loc = function.isExternal() ? function.getLoc()
                                         : function.getArgument(i).getLoc();
    checkType(type, loc, "argument " + llvm::Twine(i));
  }
  for (auto [i, type] : llvm::enumerate(function.getResultTypes()))
    checkType(type, function.getLoc(), "result " + llvm::Twine(i));
  function->walk([&](Operation *op) {
    for (Value result : op->getResults())
      checkType(result.getType(), op->getLoc(),
                "result of '" + op->getName().getStringRef() + "'");
    for (Region &region : op->getRegions())
      if (op != function.getOperation())
        for (BlockArgument argument : region.getArguments())
          checkType(argument.getType(), argument.getLoc(),
                    "block argument " + llvm::Twine(argument.getArgNumber()) +
                        " of '" + op->getName().getStringRef() + "'");
    if (auto constrain = dyn_cast<ConstrainOp>(op))
      checkLayout(constrain.getLayout().getValue(),
                  shapeOf(constrain.getInput()).size(), op->getLoc(),
                  "constraint");
  });
  if (isValid)
    verifyStates();
  // Types that are checked are those of tensors.
  auto plain = dyn_cast<func::FuncOp>(function.getOperation());
  return success(isValid && (!plain || succeeded(findTies(plain))));
}

namespace {
struct VerifyProgramPass : tessera::impl::VerifyProgramBase<VerifyProgramPass> {
  void runOnOperation() override {
    llvm::StringMap<dist::MeshOp> meshes;
    for (auto mesh : getOperation().getOps<dist::MeshOp>())
      meshes[mesh.getSymName()] = mesh;
    for (auto function : getOperation().getOps<FunctionOpInterface>())
      if (failed(FunctionVerifier(function, meshes, getArgument()).verify()))
        signalPassFailure();
    markAllAnalysesPreserved();
  }
};
} // namespace
