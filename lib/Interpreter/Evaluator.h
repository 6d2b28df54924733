// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Evaluates functions op by op, each op on all devices before the next.
#ifndef TESSERA_LIB_INTERPRETER_EVALUATOR_H
#define TESSERA_LIB_INTERPRETER_EVALUATOR_H

#include "dialects/Tessera/IR/Tessera.h"
#include "lib/Interpreter/TensorOps.h"
#include "tessera/Interpreter/Interpreter.h"

namespace tessera::interpreter {

class Evaluator {
public:
  /// `mesh` is that of the devices; null evaluates logical values on one.
  Evaluator(const Mesh *mesh, InterpretStats &stats)
      : mesh(mesh), stats(stats) {}

  /// Results of `function`, what each device holds.
  mlir::FailureOr<std::vector<PerDevice>>
  call(mlir::func::FuncOp function, llvm::ArrayRef<PerDevice> arguments);

private:
  int64_t numDevices() const { return mesh ? mesh->numDevices() : 1; }
  mlir::LogicalResult evaluate(mlir::Operation *op);
  /// Calls the function `name`.
  mlir::LogicalResult evaluateCall(mlir::Operation *op,
                                   mlir::FlatSymbolRefAttr name);
  mlir::LogicalResult evaluateScan(ScanOp op);
  mlir::LogicalResult evaluateWhile(WhileOp op);
  mlir::LogicalResult evaluateCond(CondOp op);
  /// A debug_print or debug_check.
  mlir::LogicalResult evaluateEffect(mlir::Operation *op);
  /// False for ops that are neither; else sets `result`.
  bool evaluateRegionsOrEffects(mlir::Operation *op,
                                mlir::LogicalResult &result);
  /// Evaluates a block's ops and returns what its terminator gives.
  mlir::FailureOr<std::vector<PerDevice>> evaluateBlock(mlir::Block &block);
  /// Forgets the operands of `op` that nothing uses any more.
  void dropDeadOperands(mlir::Operation *op);
  /// The scalar that decides for all devices; an error at `op` where it differs
  /// between two of them. `what` is it in words: "predicate".
  mlir::FailureOr<int64_t> controlValue(mlir::Operation *op, mlir::Value value,
                                        llvm::StringRef what);
  /// An op of the dist dialect; acts on all devices together.
  mlir::FailureOr<PerDevice> evaluateDist(mlir::Operation *op);
  /// An op that each device executes on its own.
  mlir::FailureOr<Tensor> evaluateLocal(mlir::Operation *op, int64_t device);

  const Tensor &get(mlir::Value value, int64_t device) {
    return values.at(value)[device];
  }
  std::vector<PerDevice> valuesOf(mlir::ValueRange range);
  /// Gives each value of `range` what devices hold of it.
  void bind(mlir::ValueRange range, std::vector<PerDevice> all);
  std::vector<const Tensor *> tensorsOf(mlir::ValueRange list, int64_t device);
  /// The numbers that `scalars`, i32 without dimensions, hold.
  std::vector<int64_t> scalarsOf(mlir::ValueRange scalars, int64_t device);
  void countCollective(mlir::Operation *op);

  const Mesh *mesh;
  InterpretStats &stats;
  llvm::DenseMap<mlir::Value, PerDevice> values;
  /// Functions being evaluated, outermost first, to find recursion.
  std::vector<mlir::func::FuncOp> callers;
};

} // namespace tessera::interpreter

#endif // TESSERA_LIB_INTERPRETER_EVALUATOR_H
