// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/Calls.h"

#include "Verification.h"

using namespace mlir;
using namespace tessera;

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/CallOps.cpp.inc"

std::optional<CheckpointPolicy> CheckpointPolicy::parse(StringRef text) {
  CheckpointPolicy policy;
  if (text == "everything")
    return policy;
  if (text == "nothing" || text == "dots" ||
      text == "dots_with_no_batch_dims") {
    policy.kind = text == "nothing" ? Kind::Nothing
                  : text == "dots"  ? Kind::Dots
                                    : Kind::PlainDots;
    return policy;
  }
  if (text.consume_front("names:")) {
    policy.kind = Kind::Names;
    text.split(policy.names, ',');
    return policy;
  }
  if (text.consume_front("except:")) {
    policy.kind = Kind::NotNames;
    text.split(policy.names, ',');
    return policy;
  }
  policy.kind = Kind::Budget;
  if (!text.consume_front("budget:") || text.getAsInteger(10, policy.bytes) ||
      policy.bytes < 0)
    return std::nullopt;
  return policy;
}

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

static bool isFloat(Type type) {
  return isa<FloatType>(getElementTypeOrSelf(type));
}

/// A rule of `call` takes and gives as many values as it should.
static LogicalResult verifyCounts(CallOp call, StringRef role,
                                  FlatSymbolRefAttr name, size_t arguments,
                                  size_t results, bool givesMore,
                                  SymbolTableCollection &symbols) {
  FunctionOpInterface rule = findFunction(call, name, symbols);
  if (!rule)
    return failure();
  bool fits = rule.getNumArguments() == arguments &&
              (givesMore ? rule.getNumResults() >= results
                         : rule.getNumResults() == results);
  if (fits)
    return success();
  return call.emitOpError()
         << "has " << role << " " << name << " of " << rule.getNumArguments()
         << " arguments and " << rule.getNumResults() << " results; expected "
         << arguments << " arguments and " << (givesMore ? "at least " : "")
         << results << " results";
}

/// The rules that say how `call` is differentiated have its shape.
static LogicalResult verifyRules(CallOp call, SymbolTableCollection &symbols) {
  size_t operands = call.getOperands().size(), results = call->getNumResults();
  size_t tangents = llvm::count_if(call.getOperandTypes(), isFloat);
  size_t cotangents = llvm::count_if(call.getResultTypes(), isFloat);
  if (call.getJvp())
    return verifyCounts(call, "a rule jvp", call.getJvpAttr(),
                        operands + tangents, results + cotangents, false,
                        symbols);
  if (!call.getFwd())
    return success();
  if (failed(verifyCounts(call, "a rule fwd", call.getFwdAttr(), operands,
                          results, true, symbols)))
    return failure();
  auto forward = symbols.lookupNearestSymbolFrom<FunctionOpInterface>(
      call, call.getFwdAttr());
  size_t residuals = forward.getNumResults() - results;
  return verifyCounts(call, "a rule bwd", call.getBwdAttr(),
                      residuals + cotangents, tangents, false, symbols);
}

LogicalResult CallOp::verifySymbolUses(SymbolTableCollection &symbols) {
  FunctionOpInterface callee = findFunction(*this, getCalleeAttr(), symbols);
  if (!callee)
    return failure();
  if (failed(verifyRules(*this, symbols)))
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
  if (getRefuse() && (getFwd() || getJvp()))
    return emitOpError() << "has a rule and refuses to be differentiated; "
                            "expected one of both";
  if (getCheckpoint() && !CheckpointPolicy::parse(*getCheckpoint()))
    return emitOpError() << "has checkpoint " << getCheckpointAttr()
                         << "; expected \"everything\", \"nothing\", "
                            "\"dots\", \"dots_with_no_batch_dims\", "
                            "\"names:a,b\", \"except:a,b\" or "
                            "\"budget:<bytes>\"";
  return verifyOneMesh(*this);
}

LogicalResult StopGradientOp::verify() { return verifySameTensor(*this); }

LogicalResult CheckpointNameOp::verify() { return verifySameTensor(*this); }

LogicalResult
CustomTangentOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return success(static_cast<bool>(findFunction(*this, getBwdAttr(), symbols)));
}
