// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/Calls.h"

#include "Verification.h"

using namespace mlir;
using namespace tessera;

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/CallOps.cpp.inc"

/// The values that stand for `types` on both sides of a call agree up to their
/// layouts.
static LogicalResult verifyTypes(Operation *op, StringRef callee,
                                 StringRef side, TypeRange given,
                                 TypeRange wanted) {
  if (given.size() != wanted.size())
    return op->emitOpError()
           << "has " << given.size() << " " << side << "s; function @" << callee
           << " has " << wanted.size();
  for (auto [i, pair] : llvm::enumerate(llvm::zip(given, wanted))) {
    auto [here, there] = pair;
    auto a = dyn_cast<ShapedType>(here), b = dyn_cast<ShapedType>(there);
    if (a && b && a.getShape() == b.getShape() &&
        a.getElementType() == b.getElementType())
      continue;
    return op->emitOpError()
           << "has " << side << " " << i << " of type " << here
           << "; function @" << callee << " has type " << there;
  }
  return success();
}

static FunctionOpInterface findFunction(Operation *op, FlatSymbolRefAttr name,
                                        SymbolTableCollection &symbols) {
  auto function =
      symbols.lookupNearestSymbolFrom<FunctionOpInterface>(op, name);
  if (!function)
    op->emitOpError() << "calls function " << name
                      << ", which the module does not have";
  return function;
}

LogicalResult CallOp::verifySymbolUses(SymbolTableCollection &symbols) {
  FunctionOpInterface callee = findFunction(*this, getCalleeAttr(), symbols);
  if (!callee)
    return failure();
  for (FlatSymbolRefAttr rule : {getJvpAttr(), getFwdAttr(), getBwdAttr()})
    if (rule && !findFunction(*this, rule, symbols))
      return failure();
  if (failed(verifyTypes(*this, getCallee(), "operand", getOperandTypes(),
                         callee.getArgumentTypes())))
    return failure();
  return verifyTypes(*this, getCallee(), "result", getResultTypes(),
                     callee.getResultTypes());
}

LogicalResult CallOp::verify() {
  if (getFwd().has_value() != getBwd().has_value())
    return emitOpError() << "has one of fwd and bwd; expected both or none";
  if (getFwd() && getJvp())
    return emitOpError() << "has jvp as well as fwd and bwd; expected one rule";
  return verifyOneMesh(*this);
}

LogicalResult StopGradientOp::verify() { return verifySameTensor(*this); }

LogicalResult CheckpointNameOp::verify() { return verifySameTensor(*this); }

LogicalResult
CustomTangentOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return success(static_cast<bool>(findFunction(*this, getBwdAttr(), symbols)));
}
