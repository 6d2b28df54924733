// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Plan/IR/Lifetimes.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace tessera::plan;

static void number(Region &region,
                   llvm::DenseMap<Operation *, Lifetime> &places,
                   int64_t &next) {
  for (Operation &op : region.getOps()) {
    int64_t begin = next++;
    for (Region &inner : op.getRegions())
      number(inner, places, next);
    places[&op] = {begin, op.getNumRegions() ? next++ : begin};
  }
}

Lifetimes::Lifetimes(ProgramOp program) {
  int64_t next = 0;
  number(program.getBody(), places, next);
}

FailureOr<std::optional<Lifetime>> Lifetimes::of(AllocateOp piece) const {
  std::optional<Lifetime> life;
  for (OpOperand &use : piece.getBuffer().getUses()) {
    Operation *user = use.getOwner();
    auto place = places.find(piece->getBlock()->findAncestorOpInBlock(*user));
    if (place == places.end()) {
      InFlightDiagnostic error =
          piece.emitOpError() << "is used outside of the steps that follow it";
      error.attachNote(user->getLoc()) << "it is used here";
      return error;
    }
    Lifetime used = place->second;
    if (Operation *end = getCompletion(place->first); end && end != user)
      used.end = std::max(used.end, places.find(end)->second.end);
    // A selector is read before any branch runs.
    if (isa<IfOp>(user) && place->first == user)
      used.end = used.begin;
    if (!life)
      life = used;
    life->begin = std::min(life->begin, used.begin);
    life->end = std::max(life->end, used.end);
  }
  return life;
}
