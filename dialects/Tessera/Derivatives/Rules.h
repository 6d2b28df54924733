// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The derivative rules of ops: each op of the dialect has one, or says why not.
// Rules are written in differentiable ops, so that they can be differentiated
// again.
#ifndef TESSERA_DIALECTS_TESSERA_DERIVATIVES_RULES_H
#define TESSERA_DIALECTS_TESSERA_DERIVATIVES_RULES_H

#include "Linearizer.h"
#include "Transposer.h"

#include "llvm/ADT/StringMap.h"

#include <functional>

namespace tessera::derivatives {

/// Sets the tangents of an op's results that depend on those of its operands,
/// of which at least one is not zero.
using JvpRule =
    std::function<mlir::LogicalResult(mlir::Operation *, Tangents &)>;
/// Adds to the cotangents of the operands that an op is linear in, from those
/// of its results, of which at least one is not zero.
using TransposeRule =
    std::function<mlir::LogicalResult(mlir::Operation *, Cotangents &)>;

/// What is known of one op.
struct DerivativeRule {
  JvpRule jvp;             ///< None: results have no tangents.
  TransposeRule transpose; ///< None: it is not linear in any operand.
  std::string refusal;     ///< Why it cannot be differentiated.
};

class DerivativeRules {
public:
  /// Results are integers, or do not change where operands change a little.
  template <typename... Ops> void none() {
    (rules[Ops::getOperationName()], ...);
  }
  template <typename Op> void refuse(llvm::StringRef reason) {
    rules[Op::getOperationName()].refusal = reason.str();
  }
  template <typename Op, typename Fn> void jvp(Fn rule) {
    rules[Op::getOperationName()].jvp = [rule](mlir::Operation *op,
                                               Tangents &tangents) {
      return returnsResult(rule, llvm::cast<Op>(op), tangents);
    };
  }
  template <typename Op, typename Fn> void transpose(Fn rule) {
    rules[Op::getOperationName()].transpose = [rule](mlir::Operation *op,
                                                     Cotangents &cotangents) {
      return returnsResult(rule, llvm::cast<Op>(op), cotangents);
    };
  }
  /// One operand: `rule` gives what its tangent is multiplied by.
  template <typename Op, typename Fn> void factor(Fn rule) {
    jvp<Op>([rule](Op op, Tangents &t) {
      mlir::Value factor = rule(t.primal, op);
      t.set(op->getResult(0),
            t.linear.template create<MulOp>(t.of(op->getOperand(0)), factor));
    });
  }
  /// The op applied to the tangents of its float operands, zeros where they
  /// have none.
  template <typename... Ops> void linear() {
    (jvp<Ops>([](Ops op, Tangents &t) { applyToTangents(op, t); }), ...);
  }

  const DerivativeRule *find(mlir::Operation *op) const {
    return find(op->getName().getStringRef());
  }
  const DerivativeRule *find(llvm::StringRef opName) const {
    auto found = rules.find(opName);
    return found == rules.end() ? nullptr : &found->second;
  }

private:
  /// Rules that cannot fail return nothing.
  template <typename Fn, typename Op, typename Context>
  static mlir::LogicalResult returnsResult(const Fn &rule, Op op,
                                           Context &context) {
    if constexpr (std::is_void_v<decltype(rule(op, context))>) {
      rule(op, context);
      return mlir::success();
    } else {
      return rule(op, context);
    }
  }
  static void applyToTangents(mlir::Operation *op, Tangents &tangents);

  llvm::StringMap<DerivativeRule> rules;
};

/// The table of all ops.
const DerivativeRules &getDerivativeRules();

void addElementwiseRules(DerivativeRules &rules);
void addShapeRules(DerivativeRules &rules);
void addReductionRules(DerivativeRules &rules);
void addIndexingRules(DerivativeRules &rules);
void addNeuralRules(DerivativeRules &rules);
void addAttentionRules(DerivativeRules &rules);
void addRowRules(DerivativeRules &rules);
void addControlRules(DerivativeRules &rules);
void addCallRules(DerivativeRules &rules);

/// Whether values have tangents: those of floats.
bool isDifferentiable(mlir::Value value);

} // namespace tessera::derivatives

#endif // TESSERA_DIALECTS_TESSERA_DERIVATIVES_RULES_H
