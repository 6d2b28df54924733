// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "LoopTurns.h"

#include "mlir/Analysis/CFGLoopInfo.h"
#include "mlir/IR/Dominance.h"

using namespace mlir;
using namespace tessera;

static Value i32Constant(OpBuilder &builder, Location loc, int32_t value) {
  return LLVM::ConstantOp::create(builder, loc, builder.getI32Type(),
                                  builder.getI32IntegerAttr(value));
}

LoopTurns::LoopTurns(LLVM::LLVMFuncOp function, OpBuilder &builder) {
  Region &body = function.getBody();
  if (body.hasOneBlock())
    return;
  DominanceInfo dominance(function);
  CFGLoopInfo loops(dominance.getDomTree(&body));
  OpBuilder::InsertionGuard guard(builder);
  Location loc = function.getLoc();
  Type i32 = builder.getI32Type();
  for (CFGLoop *loop : loops.getLoopsInPreorder()) {
    builder.setInsertionPointToStart(&body.front());
    Value counter = LLVM::AllocaOp::create(
        builder, loc, LLVM::LLVMPointerType::get(builder.getContext()), i32,
        i32Constant(builder, loc, 1));
    for (Block *before : loop->getHeader()->getPredecessors()) {
      builder.setInsertionPoint(before->getTerminator());
      Value turn = i32Constant(builder, loc, 0);
      if (loop->contains(before))
        turn = LLVM::AddOp::create(
            builder, loc, LLVM::LoadOp::create(builder, loc, i32, counter),
            i32Constant(builder, loc, 1));
      LLVM::StoreOp::create(builder, loc, turn, counter);
    }
    // Inner loops come later and take their blocks over.
    for (Block *block : loop->getBlocks())
      counters[block] = counter;
  }
}

Value LoopTurns::at(OpBuilder &builder, Location loc) const {
  Value counter = counters.lookup(builder.getInsertionBlock());
  if (!counter)
    return i32Constant(builder, loc, 0);
  return LLVM::LoadOp::create(builder, loc, builder.getI32Type(), counter);
}
