// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Brings values of one block into another: Residuals.cpp decides and copies,
// Budgets.cpp chooses what checkpoints with a budget keep.
#ifndef TESSERA_DIALECTS_TESSERA_DERIVATIVES_RESIDUALBRINGER_H
#define TESSERA_DIALECTS_TESSERA_DERIVATIVES_RESIDUALBRINGER_H

#include "Checkpoints.h"
#include "Residuals.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

namespace tessera::derivatives {

class ResidualBringer {
public:
  using Value = mlir::Value;

  ResidualBringer(mlir::Block &linear, mlir::Block &primal)
      : linear(linear), primal(primal),
        builder(primal.getParentOp()->getContext()) {}

  llvm::FailureOr<llvm::SmallVector<Residual>> run();

private:
  /// The mark of the checkpoint that computes `value` again, or null: one that
  /// no other op of the program needs, and that its policy does not keep.
  mlir::Attribute regionOf(Value value);
  bool isInPrimal(Value value) { return value.getParentBlock() == &primal; }
  bool isCheap(Value value);
  /// Whether `value` is made of random numbers and constants, element by
  /// element: it is computed again of the key.
  bool isOfKeys(Value value);

  /// A value that is needed, and the mark of the checkpoint that it is needed
  /// for, or null.
  using Need = std::pair<Value, mlir::Attribute>;
  llvm::SmallVector<Need> needsOf(llvm::ArrayRef<mlir::OpOperand *> uses);
  /// What `op` needs, which is computed again for a need of checkpoint `owner`.
  void addNeeds(mlir::Operation *op, mlir::Attribute owner,
                llvm::SmallVectorImpl<Need> &needs);

  /// Chooses what checkpoints with a budget keep. An error where a budget
  /// cannot be met.
  llvm::LogicalResult meetBudgets(llvm::ArrayRef<mlir::OpOperand *> uses);
  void findNeeded(llvm::SmallVector<Need> needs);
  llvm::LogicalResult meetBudget(mlir::Attribute region,
                                 llvm::ArrayRef<Value> wanted);
  bool isAliveAnyway(Value value);

  /// Finds what is kept, what is computed again, and for which checkpoints.
  void collect(llvm::ArrayRef<mlir::OpOperand *> uses);
  /// Computes again what one op of the program does.
  void copy(mlir::Operation *op);
  void openCheckpoint(mlir::Attribute region);
  double flopsAgain(Value value);
  /// Of a barrier: what is kept, and how much is computed again.
  mlir::DictionaryAttr describe(mlir::Attribute region);
  /// What stands for `value` in the linear program, for an op of `region`.
  Value there(Value value, mlir::Attribute region);

  mlir::Block &linear, &primal;
  mlir::OpBuilder builder;
  llvm::SetVector<Value> kept;
  llvm::SetVector<mlir::Operation *> copied;
  llvm::DenseMap<Value, bool> ofKeys;
  mlir::IRMapping outside; ///< What is kept, and copies in no checkpoint.
  llvm::DenseSet<Value> behindBarriers; ///< Of the linear program.
  struct Checkpoint {
    llvm::SetVector<Value> inputs; ///< Of what is computed again.
    llvm::SetVector<Value> kept;   ///< All that is kept for it.
    double flops = 0;              ///< Of what is computed again.
    mlir::IRMapping again;
    bool isOpen = false;
  };
  llvm::DenseMap<mlir::Attribute, Checkpoint> checkpoints;

  llvm::DenseSet<Value> keptByBudget;
  /// Of checkpoints whose budgets are not met yet: what is needed.
  llvm::MapVector<mlir::Attribute, llvm::SetVector<Value>> needed;
  llvm::DenseSet<Need> reached;
};

} // namespace tessera::derivatives

#endif // TESSERA_DIALECTS_TESSERA_DERIVATIVES_RESIDUALBRINGER_H
