// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "MathLibraryCalls.h"
#include "lib/Conversion/TileKernels/ExpandFunctions.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace tessera;

/// The C library's name of a function on one element.
static std::string libraryName(Operation *op, Type elementType) {
  std::string name =
      isa<math::PowFOp>(op) ? "pow" : op->getName().stripDialect().str();
  return elementType.isF32() ? name + "f" : name;
}

static void callLibrary(ModuleOp module, Operation *op) {
  OpBuilder builder(op);
  Location loc = op->getLoc();
  Type single = getElementTypeOrSelf(op->getResult(0).getType());
  std::string name = libraryName(op, single);
  if (!module.lookupSymbol(name)) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(module.getBody());
    SmallVector<Type> inputs(op->getNumOperands(), single);
    LLVM::LLVMFuncOp::create(builder, loc, name,
                             LLVM::LLVMFunctionType::get(single, inputs));
  }
  auto call = [&](ValueRange operands) -> Value {
    return LLVM::CallOp::create(builder, loc, TypeRange{single}, name, operands)
        .getResult();
  };
  Value result;
  if (auto type = dyn_cast<VectorType>(op->getResult(0).getType())) {
    SmallVector<Value> elements;
    for (int64_t lane = 0; lane < type.getNumElements(); ++lane) {
      SmallVector<Value> operands;
      for (Value operand : op->getOperands())
        operands.push_back(
            vector::ExtractOp::create(builder, loc, operand, lane));
      elements.push_back(call(operands));
    }
    result = vector::FromElementsOp::create(builder, loc, type, elements);
  } else {
    result = call(op->getOperands());
  }
  op->getResult(0).replaceAllUsesWith(result);
  op->erase();
}

void tessera::callMathLibrary(ModuleOp module) {
  SmallVector<Operation *> ops;
  module.walk([&](Operation *op) {
    if (isLibraryFunction(op))
      ops.push_back(op);
  });
  for (Operation *op : ops)
    callLibrary(module, op);
}
