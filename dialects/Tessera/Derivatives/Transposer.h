// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Reverse mode: the transposed map of a linear program (Linearizer.h).
#ifndef TESSERA_DIALECTS_TESSERA_DERIVATIVES_TRANSPOSER_H
#define TESSERA_DIALECTS_TESSERA_DERIVATIVES_TRANSPOSER_H

#include "dialects/Tessera/IR/FormulaBuilder.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

namespace tessera::derivatives {

/// Computes the cotangents of a block's linear values from those of its
/// results, walking its ops from the last to the first. Cotangents of one value
/// are added in that order: first that of its last use. A null stands for
/// zeros, which are never added.
class Transposer {
public:
  /// Ops are inserted by `builder`. `linear` are the block's values from
  /// outside of its ops that it is linear in. `outer` has the values from
  /// outside.
  Transposer(mlir::OpBuilder &builder, mlir::Block &block,
             llvm::ArrayRef<mlir::Value> linear, Transposer *outer);
  /// Of a whole function; `anchor` is in its module.
  Transposer(mlir::OpBuilder &builder, mlir::Block &block,
             llvm::ArrayRef<mlir::Value> linear, mlir::Operation *anchor)
      : Transposer(builder, block, linear, static_cast<Transposer *>(nullptr)) {
    this->anchor = anchor;
  }

  /// Says what a value of the block that is not linear is in the new program.
  void map(mlir::Value value, mlir::Value there) { mapping.map(value, there); }

  void add(mlir::Value value, mlir::Value cotangent);
  /// Null where it is zero.
  mlir::Value cotangentOf(mlir::Value value) const {
    return cotangents.lookup(value);
  }
  mlir::LogicalResult run();

  bool isLinear(mlir::Value value) const {
    return linearValues.contains(value) || (outer && outer->isLinear(value));
  }
  bool isLinearOp(mlir::Operation *op) const;
  /// A value that is not linear, in the new program. What the block computes of
  /// such values is computed again there, where it is first needed: so a
  /// backward pass recomputes one region of a checkpoint after the other.
  mlir::Value residual(mlir::Value value);

  /// Reports that `op` is not linear in tangents, and why; run() fails then.
  void refuse(mlir::Operation *op, llvm::StringRef why = "");

  mlir::OpBuilder &getBuilder() { return builder; }
  /// An op of the module; blocks that are being made are in none.
  mlir::Operation *getAnchor() { return outer ? outer->getAnchor() : anchor; }

private:
  bool hasRefused() const { return outer ? outer->hasRefused() : hasFailed; }
  mlir::Value placeholder(mlir::Value like);

  mlir::OpBuilder &builder;
  mlir::Block &block;
  bool hasFailed = false; ///< Of the outermost one, of all.
  Transposer *outer;
  mlir::Operation *anchor = nullptr;
  mlir::Operation *current = nullptr; ///< Whose rule runs.
  mlir::IRMapping mapping;
  llvm::DenseSet<mlir::Value> linearValues;
  llvm::DenseMap<mlir::Value, mlir::Value> cotangents;
};

/// What the rule of one linear op works with.
class Cotangents {
public:
  using Value = mlir::Value;

  Cotangents(mlir::Operation *op, Transposer &transposer)
      : transposer(transposer),
        build(transposer.getBuilder(), op->getLoc(),
              op->getNumResults() ? op->getResult(0).getType()
                                  : op->getOperand(0).getType()) {}

  /// Null where it is zero.
  Value of(Value result) const { return transposer.cotangentOf(result); }
  Value ofOrZeros(Value result);
  bool isLinear(Value operand) const { return transposer.isLinear(operand); }
  Value residual(Value operand) { return transposer.residual(operand); }
  /// Nothing where the operand is not linear.
  void add(Value operand, Value cotangent) {
    if (cotangent && isLinear(operand))
      transposer.add(operand, cotangent);
  }
  Transposer &getTransposer() { return transposer; }

private:
  Transposer &transposer;

public:
  FormulaBuilder build;
};

/// Inserts at the end of `block`, which may be in no op yet.
mlir::OpBuilder atEndOf(mlir::Block &block, mlir::MLIRContext *context);

/// Zeros of the shape and type of `value`.
mlir::Value zerosLike(FormulaBuilder &build, mlir::Value value);

} // namespace tessera::derivatives

#endif // TESSERA_DIALECTS_TESSERA_DERIVATIVES_TRANSPOSER_H
