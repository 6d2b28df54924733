// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Verification.h"

using namespace mlir;
using namespace tessera::dist;

#define GET_OP_CLASSES
#include "dialects/Dist/IR/MeshOps.cpp.inc"

tessera::Mesh MeshOp::getPlainMesh() {
  Mesh mesh = getMesh().getValue();
  mesh.name = getSymName().str();
  return mesh;
}

LogicalResult AxisIndexOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return findMeshOfAxes(*this, symbols, getMeshAttr(), getAxes());
}

/// An op that asks about a dimension of `size` elements.
template <typename QueryOp>
static LogicalResult verifyDimQuery(QueryOp op,
                                    SymbolTableCollection &symbols) {
  if (static_cast<int64_t>(op.getSize()) < 0)
    return op.emitOpError() << "expects a size of 0 or more, got "
                            << static_cast<int64_t>(op.getSize());
  return findMeshOfAxes(op, symbols, op.getMeshAttr(), op.getAxes());
}

LogicalResult ValidExtentOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyDimQuery(*this, symbols);
}

LogicalResult LocalOffsetOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyDimQuery(*this, symbols);
}
