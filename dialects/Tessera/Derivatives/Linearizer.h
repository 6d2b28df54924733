// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Forward differentiation of a block of ops: beside each op the ops that
// compute the tangents of its results from those of its operands. This is the
// primitive rule of an op; reverse mode transposes what it makes
// (Transposer.h).
#ifndef TESSERA_DIALECTS_TESSERA_DERIVATIVES_LINEARIZER_H
#define TESSERA_DIALECTS_TESSERA_DERIVATIVES_LINEARIZER_H

#include "dialects/Tessera/IR/FormulaBuilder.h"

#include "llvm/ADT/DenseMap.h"

namespace tessera::derivatives {

/// Where the ops on tangents go.
enum class Form {
  /// Beside those of the program: forward mode, which computes both at once.
  Together,
  /// Into a block of their own, the linear program. Its ops use values of the
  /// primal one directly until Residuals.h brings these in.
  Apart,
};

/// Adds tangents to the ops of one block. A value without tangent, a null, does
/// not depend on what is differentiated: its tangent is zero and never
/// computed.
class Linearizer {
public:
  /// Ops on tangents are inserted at the end of `linear`, which is null in form
  /// Together. `outer` knows the tangents of values from outside.
  Linearizer(Form form, mlir::Block *linear, Linearizer *outer = nullptr)
      : form(form), linear(linear), outer(outer) {}

  /// What is made is only transposed, and never computed itself; so for the
  /// blocks inside, too. Form Apart alone.
  void setForTransposing() { forTransposing = true; }
  bool isForTransposing() const {
    return outer ? outer->isForTransposing() : forTransposing;
  }

  /// Of the ops that what the block ends with is computed from.
  mlir::LogicalResult run(mlir::Block &primal);
  /// Of the ops that `results` are computed from.
  mlir::LogicalResult run(mlir::Block &primal, mlir::ValueRange results);
  /// Differentiates the formula of `op` (OpFormulas.h) in its place.
  mlir::LogicalResult runFormula(mlir::Operation *op);

  mlir::Value tangentOf(mlir::Value value) const;
  void setTangent(mlir::Value value, mlir::Value tangent) {
    if (tangent)
      tangents[value] = tangent;
  }

  Form getForm() const { return form; }
  mlir::Block *getLinearBlock() const { return linear; }
  /// The end of the block of ops on tangents; in form Together, the place
  /// behind the op whose rule runs.
  mlir::OpBuilder linearBuilder(mlir::Operation *next) const;

private:
  mlir::LogicalResult runOp(mlir::Operation *op);
  mlir::LogicalResult runOps(mlir::Block &primal,
                             llvm::ArrayRef<mlir::Operation *> ops);
  bool hasActiveOperand(mlir::Operation *op) const;

  Form form;
  mlir::Block *linear;
  Linearizer *outer;
  bool forTransposing = false; ///< Of the outermost one, of all.
  llvm::DenseMap<mlir::Value, mlir::Value> tangents;
};

/// What the rule of one op works with.
class Tangents {
public:
  using Value = mlir::Value;

  Tangents(mlir::Operation *op, Linearizer &linearizer);

  /// Null where it is zero.
  Value of(Value operand) const { return linearizer.tangentOf(operand); }
  Value ofOrZeros(Value operand);
  void set(Value result, Value tangent) {
    linearizer.setTangent(result, tangent);
  }
  /// The sum, of which either may be null.
  Value sum(Value x, Value y);

  Linearizer &getLinearizer() { return linearizer; }
  mlir::OpBuilder &getPrimalBuilder() { return primalBuilder; }
  mlir::OpBuilder &getLinearBuilder() { return *linearBuilderUsed; }

private:
  Linearizer &linearizer;
  mlir::OpBuilder primalBuilder, linearBuilder;
  mlir::OpBuilder *linearBuilderUsed;

public:
  /// Ops on values of the program.
  FormulaBuilder primal;
  /// Ops on tangents, linear in them.
  FormulaBuilder linear;
};

/// Values from outside or inside of `op`'s regions that differ with `seeds`,
/// values of the regions or captured by them: what is computed from them in
/// floats, through all iterations.
llvm::DenseSet<mlir::Value> findActiveValues(mlir::Operation *op,
                                             llvm::DenseSet<mlir::Value> seeds);

} // namespace tessera::derivatives

#endif // TESSERA_DIALECTS_TESSERA_DERIVATIVES_LINEARIZER_H
