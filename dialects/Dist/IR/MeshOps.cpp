// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Dist/IR/Dist.h"

using namespace mlir;
using namespace tessera::dist;

#define GET_OP_CLASSES
#include "dialects/Dist/IR/MeshOps.cpp.inc"

tessera::Mesh MeshOp::getPlainMesh() {
  Mesh mesh = getMesh().getValue();
  mesh.name = getSymName().str();
  return mesh;
}
