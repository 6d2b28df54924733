// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The batching rules of ops: each op of the dialect has one, or says why not.
#ifndef TESSERA_DIALECTS_TESSERA_BATCHING_RULES_H
#define TESSERA_DIALECTS_TESSERA_BATCHING_RULES_H

#include "Batcher.h"

#include "llvm/ADT/StringMap.h"

#include <functional>

namespace tessera::batching {

/// What is known of one op. Rules run where an operand is batched; else the op
/// is copied.
struct BatchingRule {
  /// Writes the op for a batch, and sets its results.
  std::function<mlir::LogicalResult(mlir::Operation *, BatchedOp &)> batch;
  std::string refusal; ///< Why there is none.
};

class BatchingRules {
public:
  template <typename Op> void refuse(llvm::StringRef reason) {
    rules[Op::getOperationName()].refusal = reason.str();
  }
  /// Rules that cannot fail return nothing.
  template <typename Op, typename Fn> void add(Fn rule) {
    rules[Op::getOperationName()].batch = [rule](mlir::Operation *op,
                                                 BatchedOp &b) {
      if constexpr (std::is_void_v<decltype(rule(llvm::cast<Op>(op), b))>) {
        rule(llvm::cast<Op>(op), b);
        return mlir::success();
      } else {
        return rule(llvm::cast<Op>(op), b);
      }
    };
  }
  /// The op itself on batched operands, one of its dimensions more.
  template <typename... Ops> void elementwise() {
    (add<Ops>([](Ops, BatchedOp &b) { b.copy(); }), ...);
  }

  const BatchingRule *find(mlir::Operation *op) const {
    auto found = rules.find(op->getName().getStringRef());
    return found == rules.end() ? nullptr : &found->second;
  }

private:
  llvm::StringMap<BatchingRule> rules;
};

/// The table of all ops.
const BatchingRules &getBatchingRules();

void addElementwiseRules(BatchingRules &rules);
void addShapeRules(BatchingRules &rules);
void addReductionRules(BatchingRules &rules);
void addIndexingRules(BatchingRules &rules);
void addDynamicSliceRules(BatchingRules &rules);
void addNeuralRules(BatchingRules &rules);
void addRowRules(BatchingRules &rules);
void addControlRules(BatchingRules &rules);
void addCallRules(BatchingRules &rules);

} // namespace tessera::batching

#endif // TESSERA_DIALECTS_TESSERA_BATCHING_RULES_H
