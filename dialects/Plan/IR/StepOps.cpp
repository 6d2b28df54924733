// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Plan/IR/Plan.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace tessera::plan;

#define GET_OP_CLASSES
#include "dialects/Plan/IR/StepOps.cpp.inc"

LogicalResult CopyOp::verify() {
  if (getInput().getType() == getOutput().getType())
    return success();
  return emitOpError() << "copies " << getInput().getType().getBytes()
                       << " bytes into a buffer of "
                       << getOutput().getType().getBytes();
}
