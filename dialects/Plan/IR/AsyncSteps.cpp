// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Plan/IR/AsyncSteps.h"

#include "dialects/Plan/IR/Plan.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace tessera::plan;

static std::optional<uint32_t> tokenOf(Operation *op) {
  auto step = dyn_cast<AsyncStepInterface>(op);
  return step ? step.getToken() : std::nullopt;
}

Operation *tessera::plan::getCompletion(Operation *step) {
  std::optional<uint32_t> token = tokenOf(step);
  if (!token)
    return step;
  for (Operation *op = step->getNextNode(); op; op = op->getNextNode())
    if (auto await = dyn_cast<AwaitOp>(op); await && await.getToken() == *token)
      return op;
  return nullptr;
}

/// A step in `op`, or `op` itself, that reads or writes the memory of `buffer`;
/// only writes count if `writesAlone`.
static Operation *findAccess(Operation *op, Value buffer, bool writesAlone) {
  Value root = getMemory(buffer);
  Operation *found = nullptr;
  op->walk([&](Operation *inner) {
    auto effects = dyn_cast<MemoryEffectOpInterface>(inner);
    for (Value operand : inner->getOperands()) {
      if (getMemory(operand) != root)
        continue;
      if (writesAlone && effects &&
          !effects.getEffectOnValue<MemoryEffects::Write>(operand))
        continue;
      found = inner;
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return found;
}

LogicalResult tessera::plan::verifyAsyncStep(Operation *op) {
  auto step = cast<AsyncStepInterface>(op);
  std::optional<uint32_t> token = step.getToken();
  if (!token) {
    if (step.getStream())
      return op->emitOpError()
             << "is in stream " << *step.getStream() << " but has no token";
    return success();
  }
  Operation *end = getCompletion(op);
  if (!end)
    return op->emitOpError() << "has token " << *token
                             << ", which no plan.await behind it in its block "
                                "waits for";
  auto effects = cast<MemoryEffectOpInterface>(op);
  for (Operation *other = op->getNextNode(); other != end;
       other = other->getNextNode()) {
    if (tokenOf(other) == token) {
      InFlightDiagnostic error = other->emitOpError()
                                 << "has token " << *token
                                 << ", which a step that is not yet waited for "
                                    "has";
      error.attachNote(op->getLoc()) << "that step is here";
      return error;
    }
    for (Value buffer : op->getOperands()) {
      bool isWritten =
          effects.getEffectOnValue<MemoryEffects::Write>(buffer).has_value();
      Operation *access = findAccess(other, buffer, /*writesAlone=*/!isWritten);
      if (!access)
        continue;
      InFlightDiagnostic error =
          access->emitOpError()
          << (isWritten ? "uses what the step of token "
                        : "writes what the step of token ")
          << *token << (isWritten ? " writes" : " reads")
          << ", before that step is waited for";
      error.attachNote(op->getLoc()) << "that step is here";
      error.attachNote(end->getLoc()) << "it is waited for here";
      return error;
    }
  }
  return success();
}

LogicalResult AwaitOp::verify() {
  Operation *op = *this;
  while ((op = op->getPrevNode())) {
    if (tokenOf(op) == getToken())
      return success();
    if (auto await = dyn_cast<AwaitOp>(op);
        await && await.getToken() == getToken())
      break;
  }
  return emitOpError() << "waits for token " << getToken()
                       << ", which no step before it in its block has";
}
