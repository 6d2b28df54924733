// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Tiles that take the buffer of a product's result, which nothing reads after
// them: what is written is then in the caches, and there is less to hold there.
#include "CPUProductEmitter.h"

#include "dialects/Tile/IR/KernelAnalysis.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

/// The op that is the last to read the result of `op`, whose own result is kept
/// in a buffer and has the same type, and which reads of the product what is at
/// the place that it computes. Null where there is none.
Operation *CPUKernelEmitter::findOverwriting(DotOp op) const {
  SmallVector<Value> worklist = {op.getResult()};
  llvm::DenseSet<Operation *> seen;
  Operation *last = nullptr;
  while (!worklist.empty())
    for (Operation *user : worklist.pop_back_val().getUsers()) {
      bool isElementwise = OpTrait::hasElementwiseMappableTraits(user);
      if (user->getBlock() != op->getBlock() ||
          !(isElementwise || isa<ReduceOp>(user)))
        return nullptr;
      if (!seen.insert(user).second)
        continue;
      if (isElementwise && !isBuffered(user))
        worklist.push_back(user->getResult(0));
      else if (!last || last->isBeforeInBlock(user))
        last = user;
    }
  bool takes = last && !isa<ReduceOp>(last) &&
               last->getResult(0).getType() == op.getType();
  return takes ? last : nullptr;
}
