// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Plan/IR/Plan.h"
#include "tessera/Syntax/RegionSyntax.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace tessera::plan;

#define GET_OP_CLASSES
#include "dialects/Plan/IR/RegionOps.cpp.inc"

Value tessera::plan::getMemory(Value buffer) {
  while (auto window = dyn_cast<BlockArgument>(buffer)) {
    auto loop = dyn_cast<LoopOp>(window.getOwner()->getParentOp());
    if (!loop || window.getArgNumber() >= loop.getBases().size())
      break;
    buffer = loop.getBases()[window.getArgNumber()];
  }
  return buffer;
}

SmallVector<Value> tessera::plan::getWrittenBuffers(Operation *op) {
  SmallVector<Value> written;
  if (auto loop = dyn_cast<LoopOp>(op)) {
    if (loop.getIndex())
      written.push_back(loop.getIndex());
    llvm::append_range(written, loop.getCurrent());
    llvm::append_range(written, loop.getNext());
  } else if (auto repeat = dyn_cast<WhileOp>(op)) {
    llvm::append_range(written, repeat.getCurrent());
    llvm::append_range(written, repeat.getNext());
  } else if (auto effects = dyn_cast<MemoryEffectOpInterface>(op)) {
    for (Value operand : op->getOperands())
      if (effects.getEffectOnValue<MemoryEffects::Write>(operand))
        written.push_back(operand);
  }
  return written;
}

static int64_t bytesOf(Value buffer) {
  return cast<BufferType>(buffer.getType()).getBytes();
}

/// Carried values come in pairs of buffers of equal size.
static LogicalResult verifyCarries(Operation *op, OperandRange current,
                                   OperandRange next) {
  if (current.size() != next.size())
    return op->emitOpError() << "carries " << current.size() << " values to "
                             << next.size() << " buffers";
  for (auto [from, to] : llvm::zip_equal(current, next)) {
    if (from == to)
      return op->emitOpError()
             << "exchanges a buffer with itself; a value that is updated in "
                "place is not carried";
    if (from.getType() == to.getType())
      continue;
    InFlightDiagnostic error = op->emitOpError()
                               << "exchanges buffers of " << bytesOf(from)
                               << " and " << bytesOf(to) << " bytes";
    error.attachNote(from.getLoc()) << "the value is read here";
    error.attachNote(to.getLoc()) << "and written here";
    return error;
  }
  return success();
}

static LogicalResult verifyNoArguments(Operation *op, Region &region) {
  if (region.getNumArguments() == 0)
    return success();
  return op->emitOpError() << "has a region with arguments; only windows of "
                              "plan.loop are arguments";
}

LogicalResult LoopOp::verify() {
  int64_t count = getCount();
  if (count < 0 || count > std::numeric_limits<int32_t>::max())
    return emitOpError() << "runs " << count << " times; expected 0 to "
                         << std::numeric_limits<int32_t>::max();
  if (getIndex() && bytesOf(getIndex()) != 4)
    return emitOpError() << "writes its index, one i32, into a buffer of "
                         << bytesOf(getIndex()) << " bytes";
  if (getBody().getNumArguments() != getBases().size())
    return emitOpError() << "has " << getBody().getNumArguments()
                         << " windows over " << getBases().size() << " buffers";
  for (auto [window, base] :
       llvm::zip_equal(getBody().getArguments(), getBases())) {
    if (!isa<BufferType>(window.getType()))
      return emitOpError() << "has a window of type " << window.getType()
                           << "; expected a buffer";
    if (count > 0 && bytesOf(window) > bytesOf(base) / count)
      return emitOpError() << "moves a window of " << bytesOf(window)
                           << " bytes " << count << " times over a buffer of "
                           << bytesOf(base);
  }
  return verifyCarries(*this, getCurrent(), getNext());
}

LogicalResult WhileOp::verify() {
  if (bytesOf(getPredicate()) != 1)
    return emitOpError() << "tests a predicate of " << bytesOf(getPredicate())
                         << " bytes; expected one i1";
  for (Region *region : {&getCondition(), &getBody()})
    if (failed(verifyNoArguments(*this, *region)))
      return failure();
  return verifyCarries(*this, getCurrent(), getNext());
}

LogicalResult IfOp::verify() {
  int64_t bytes = bytesOf(getSelector());
  if (bytes != 1 && bytes != 4)
    return emitOpError() << "selects by " << bytes
                         << " bytes; expected one i1 or one i32";
  if (bytes == 1 ? getBranches().size() != 2 : getBranches().empty())
    return emitOpError() << "has " << getBranches().size()
                         << " branches; an i1 selects one of two, an i32 one "
                            "of one or more";
  for (Region &region : getBranches())
    if (failed(verifyNoArguments(*this, region)))
      return failure();
  return success();
}
