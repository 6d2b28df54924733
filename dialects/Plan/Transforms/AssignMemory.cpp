// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Plan/IR/Lifetimes.h"
#include "dialects/Plan/Transforms/Passes.h"
#include "dialects/Tessera/IR/DataFlow.h"
#include "tessera/ABI/KernelABI.h"
#include "tessera/Analysis/ArenaPlanner.h"

#include "mlir/IR/Builders.h"

namespace tessera {
#define GEN_PASS_DEF_ASSIGNMEMORY
#include "dialects/Plan/Transforms/Passes.h.inc"
} // namespace tessera

using namespace mlir;
using namespace tessera;

namespace {
struct AssignMemoryPass : tessera::impl::AssignMemoryBase<AssignMemoryPass> {
  void runOnOperation() override {
    auto isOfPlan = [](Operation *op) {
      return isa_and_nonnull<plan::PlanDialect>(op->getDialect());
    };
    if (failed(verifyRegionsAreKnown(getOperation(), getArgument(), isOfPlan)))
      return signalPassFailure();
    plan::ProgramOp program = getOperation();
    plan::Lifetimes lifetimes(program);
    SmallVector<plan::AllocateOp> pieces;
    std::vector<ArenaRequest> requests;
    WalkResult result = program.walk([&](plan::AllocateOp piece) {
      auto life = lifetimes.of(piece);
      if (failed(life))
        return WalkResult::interrupt();
      // What nothing uses meets nothing.
      ArenaRequest request;
      request.bytes = piece.getBuffer().getType().getBytes();
      request.begin = *life ? (*life)->begin : -1;
      request.end = *life ? (*life)->end : -1;
      pieces.push_back(piece);
      requests.push_back(request);
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    ArenaPlan arena = planArena(requests, abi::bufferAlignment);
    for (auto [piece, offset] : llvm::zip_equal(pieces, arena.offsets))
      piece.setOffset(offset);
    program.setArena(arena.bytes);
  }
};
} // namespace
