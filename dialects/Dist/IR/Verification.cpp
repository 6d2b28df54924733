// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Verification.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::dist;

FailureOr<Mesh> tessera::dist::findMesh(Operation *op,
                                        SymbolTableCollection &symbols,
                                        FlatSymbolRefAttr name) {
  Operation *symbol = symbols.lookupNearestSymbolFrom(op, name);
  if (auto mesh = dyn_cast_or_null<MeshOp>(symbol))
    return mesh.getPlainMesh();
  InFlightDiagnostic error = op->emitOpError();
  if (symbol) {
    error << "expects a mesh, but " << name << " is a '" << symbol->getName()
          << "'";
    error.attachNote(symbol->getLoc()) << name << " is defined here";
  } else {
    error << "refers to mesh " << name << ", which does not exist";
  }
  error.attachNote() << "declare a mesh in the module, such as: dist.mesh "
                     << name << " <[tp = 2]>";
  return failure();
}

FailureOr<Mesh> tessera::dist::findMeshOfAxes(Operation *op,
                                              SymbolTableCollection &symbols,
                                              FlatSymbolRefAttr name,
                                              AxesAttr axes) {
  FailureOr<Mesh> mesh = findMesh(op, symbols, name);
  if (failed(mesh))
    return failure();
  std::optional<std::string> problem = findAxesError(axes.getValue(), *mesh);
  if (!problem)
    return mesh;
  InFlightDiagnostic error = op->emitOpError()
                             << "has axes " << axes << ": " << *problem;
  Operation *symbol = symbols.lookupNearestSymbolFrom(op, name);
  error.attachNote(symbol->getLoc()) << "the mesh is declared here";
  return failure();
}
