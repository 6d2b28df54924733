// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Plan/Transforms/Passes.h"
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
    plan::ProgramOp program = getOperation();
    llvm::DenseMap<Operation *, int64_t> positions;
    for (auto [position, op] :
         llvm::enumerate(program.getBody().front().getOperations()))
      positions[&op] = position;

    SmallVector<plan::AllocateOp> pieces;
    std::vector<ArenaRequest> requests;
    for (auto piece : program.getOps<plan::AllocateOp>()) {
      ArenaRequest request;
      request.bytes = piece.getBuffer().getType().getBytes();
      request.begin = request.end = positions[piece];
      bool isFirst = true;
      for (Operation *user : piece.getBuffer().getUsers()) {
        int64_t position = positions[user];
        request.begin = isFirst ? position : std::min(request.begin, position);
        request.end = std::max(request.end, position);
        isFirst = false;
      }
      pieces.push_back(piece);
      requests.push_back(request);
    }
    ArenaPlan arena = planArena(requests, abi::bufferAlignment);
    for (auto [piece, offset] : llvm::zip_equal(pieces, arena.offsets))
      piece.setOffset(offset);
    program.setArena(arena.bytes);
  }
};
} // namespace
