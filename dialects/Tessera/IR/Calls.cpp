// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/Calls.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace tessera;

SmallVector<Value> tessera::cloneBody(FunctionOpInterface function,
                                      ValueRange arguments,
                                      OpBuilder &builder) {
  Block &body = function.getFunctionBody().front();
  IRMapping mapping;
  mapping.map(body.getArguments(), arguments);
  for (Operation &op : body.without_terminator())
    builder.clone(op, mapping);
  return llvm::map_to_vector(
      body.getTerminator()->getOperands(),
      [&](Value value) { return mapping.lookupOrDefault(value); });
}

FailureOr<FunctionOpInterface>
tessera::findCallee(Operation *op, FlatSymbolRefAttr name, Operation *from) {
  auto callee = SymbolTable::lookupNearestSymbolFrom<FunctionOpInterface>(
      from ? from : op, name);
  if (callee && !callee.isExternal())
    return callee;
  return op->emitOpError() << "calls function " << name
                           << ", which the module does not define";
}

/// An error if control returns to a function that `call` is in by calls alone.
/// `around` holds the functions on the way; `done` those that have been looked
/// at.
static LogicalResult checkNotRecursive(CallOp call,
                                       SmallVectorImpl<StringRef> &around,
                                       llvm::StringSet<> &done) {
  FailureOr<FunctionOpInterface> callee =
      findCallee(call, call.getCalleeAttr());
  if (failed(callee))
    return failure();
  StringRef name = call.getCallee();
  if (llvm::is_contained(around, name)) {
    InFlightDiagnostic error = call.emitOpError() << "calls function @" << name
                                                  << ", in which it is itself";
    error.attachNote() << "functions do not call themselves; tessera.scan and "
                          "tessera.while repeat";
    return error;
  }
  if (!done.insert(name).second)
    return success();
  around.push_back(name);
  WalkResult result = (*callee)->walk([&](CallOp inner) -> WalkResult {
    return checkNotRecursive(inner, around, done);
  });
  around.pop_back();
  return failure(result.wasInterrupted());
}

LogicalResult tessera::verifyNotRecursive(Operation *root) {
  SmallVector<StringRef> around;
  llvm::StringSet<> done;
  if (auto function = dyn_cast<FunctionOpInterface>(root))
    around.push_back(function.getName());
  WalkResult result = root->walk([&](CallOp call) -> WalkResult {
    return checkNotRecursive(call, around, done);
  });
  return failure(result.wasInterrupted());
}

LogicalResult tessera::refuseForwardMode(CustomTangentOp op) {
  InFlightDiagnostic error =
      op.emitError() << "the derivative of this call is known in reverse mode "
                        "only, and is used in forward mode";
  error.attachNote() << "differentiate with grad or vjp, or give the function "
                        "a rule for jvp instead";
  return error;
}

LogicalResult tessera::inlineCalls(Operation *root,
                                   function_ref<bool(CallOp)> isWanted) {
  SmallVector<CallOp> calls;
  auto collect = [&](Operation *op) {
    op->walk([&](CallOp call) {
      if (isWanted(call))
        calls.push_back(call);
    });
  };
  collect(root);
  if (!calls.empty() && failed(verifyNotRecursive(root)))
    return failure();
  while (!calls.empty()) {
    CallOp call = calls.pop_back_val();
    FailureOr<FunctionOpInterface> callee =
        findCallee(call, call.getCalleeAttr());
    if (failed(callee))
      return failure();
    Operation *before = call->getPrevNode();
    OpBuilder builder(call);
    SmallVector<Value> results =
        cloneBody(*callee, call.getOperands(), builder);
    call->replaceAllUsesWith(results);
    Operation *op = before ? before->getNextNode() : &call->getBlock()->front();
    for (; op != call; op = op->getNextNode())
      collect(op);
    call->erase();
  }
  return success();
}
