// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Plan/IR/Lifetimes.h"
#include "dialects/Plan/Transforms/Passes.h"
#include "dialects/Tessera/IR/DataFlow.h"
#include "tessera/ABI/KernelABI.h"
#include "tessera/Analysis/ArenaPlanner.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/MapVector.h"

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
    // Those of each stage, whose devices have an arena of their own; those of
    // a program without stages are under null.
    struct Pieces {
      SmallVector<plan::AllocateOp> ops;
      std::vector<ArenaRequest> requests;
    };
    llvm::MapVector<plan::StageOp, Pieces> piecesOf;
    for (auto stage : program.getOps<plan::StageOp>())
      piecesOf[stage];
    WalkResult result = program.walk([&](plan::AllocateOp piece) {
      auto life = lifetimes.of(piece);
      if (failed(life))
        return WalkResult::interrupt();
      // What nothing uses meets nothing.
      ArenaRequest request;
      request.bytes = piece.getBuffer().getType().getBytes();
      request.begin = *life ? (*life)->begin : -1;
      request.end = *life ? (*life)->end : -1;
      Pieces &pieces = piecesOf[piece->getParentOfType<plan::StageOp>()];
      pieces.ops.push_back(piece);
      pieces.requests.push_back(request);
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    int64_t largest = 0;
    for (auto &[stage, pieces] : piecesOf) {
      ArenaPlan arena = planArena(pieces.requests, abi::bufferAlignment);
      for (auto [piece, offset] : llvm::zip_equal(pieces.ops, arena.offsets))
        piece.setOffset(offset);
      if (stage)
        stage.setArena(arena.bytes);
      largest = std::max(largest, arena.bytes);
    }
    program.setArena(largest);
  }
};
} // namespace
