// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// When the pieces of the arena hold values.
#ifndef TESSERA_DIALECTS_PLAN_IR_LIFETIMES_H
#define TESSERA_DIALECTS_PLAN_IR_LIFETIMES_H

#include "dialects/Plan/IR/Plan.h"

namespace tessera::plan {

/// Places in the order of a program's text, both included.
struct Lifetime {
  int64_t begin = 0, end = 0;

  bool meets(const Lifetime &other) const {
    return begin <= other.end && other.begin <= end;
  }
};

/// A piece lives from the first step that uses it to the last, or to the
/// plan.await of an asynchronous one. One that is used
/// inside a loop or conditional and defined outside of it lives through all of
/// that: it may carry a value from one iteration to the next. One that is
/// defined inside is free between iterations.
class Lifetimes {
public:
  explicit Lifetimes(ProgramOp program);

  /// Empty where nothing uses the piece. Fails, with an error, where a use is
  /// not in the program.
  mlir::FailureOr<std::optional<Lifetime>> of(AllocateOp piece) const;

private:
  llvm::DenseMap<mlir::Operation *, Lifetime> places;
};

} // namespace tessera::plan

#endif // TESSERA_DIALECTS_PLAN_IR_LIFETIMES_H
