// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Conversion/TileKernels/ForLoop.h"

using namespace mlir;
using namespace tessera;

SmallVector<Value> tessera::emitForLoop(OpBuilder &builder, Location loc,
                                        LoopRange range, ValueRange inits,
                                        LoopBody body) {
  auto loop = scf::ForOp::create(builder, loc, range.begin, range.end,
                                 range.step, inits);
  OpBuilder::InsertionGuard guard(builder);
  // A loop that carries nothing already ends in a yield.
  if (inits.empty())
    builder.setInsertionPoint(loop.getBody()->getTerminator());
  else
    builder.setInsertionPointToEnd(loop.getBody());
  SmallVector<Value> results =
      body(loop.getInductionVar(), loop.getRegionIterArgs());
  if (!inits.empty())
    scf::YieldOp::create(builder, loc, results);
  return llvm::to_vector_of<Value>(loop.getResults());
}
