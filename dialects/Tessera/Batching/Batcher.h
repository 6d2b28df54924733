// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Copies ops so that they compute a batch of entries. A batched value has the
// batch as its first dimension; a value that is the same for all entries stays
// as it is.
#ifndef TESSERA_DIALECTS_TESSERA_BATCHING_BATCHER_H
#define TESSERA_DIALECTS_TESSERA_BATCHING_BATCHER_H

#include "Vectorize.h"
#include "dialects/Tessera/IR/FormulaBuilder.h"
#include "dialects/Tessera/IR/Tessera.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/DenseSet.h"

#include <map>

namespace tessera::batching {

/// The functions that are made of functions of the module, each once.
class BatchedFunctions {
public:
  BatchedFunctions(mlir::func::FuncOp after, const BatchOptions &options,
                   llvm::StringRef prefix)
      : options(options), prefix(prefix), last(after) {}

  const BatchOptions &getOptions() const { return options; }
  llvm::ArrayRef<mlir::func::FuncOp> getMade() const { return made; }

  /// `callee` of a batch; results behind those that `results` lists are as
  /// computed. `from` is the op that asks for it. `name` is what it is called,
  /// where that has been promised.
  llvm::FailureOr<BatchedFunction> get(mlir::Operation *from,
                                       mlir::FunctionOpInterface callee,
                                       llvm::ArrayRef<bool> arguments,
                                       llvm::ArrayRef<BatchedResult> results,
                                       llvm::StringRef name = "");
  /// What `get` calls the function, which may still be being made.
  std::optional<llvm::StringRef>
  findName(mlir::FunctionOpInterface callee, llvm::ArrayRef<bool> arguments,
           llvm::ArrayRef<BatchedResult> results) const;
  bool isBeingMade(mlir::FunctionOpInterface callee,
                   llvm::ArrayRef<bool> arguments,
                   llvm::ArrayRef<BatchedResult> results) const;

  /// A name for a function that is made later.
  std::string newName();
  /// By the name of a function being made that gives residuals, and that of
  /// what they are for: what the latter is called of a batch.
  std::map<std::pair<std::string, std::string>, std::string> promised;

private:
  struct Known {
    std::string name;
    BatchedFunction made; ///< No function while it is being made.
  };

  llvm::FailureOr<BatchedFunction> make(mlir::FunctionOpInterface callee,
                                        llvm::StringRef name,
                                        llvm::ArrayRef<bool> arguments,
                                        llvm::ArrayRef<BatchedResult> results);

  const BatchOptions &options;
  std::string prefix;
  mlir::Operation *last; ///< Behind which the next function is inserted.
  llvm::SmallVector<mlir::func::FuncOp> made;
  unsigned numNames = 0;
  std::map<std::string, Known> known; ///< By name and how it is batched.
};

/// Copies blocks of one function. Values that are asked for are those of the
/// function that is copied; what is given is a value of the copy.
class Batcher {
public:
  using Value = mlir::Value;

  Batcher(mlir::OpBuilder &builder, BatchedFunctions &functions)
      : builder(builder), functions(functions) {}

  /// Copies the ops of `block`, but for its terminator, to where the builder
  /// is, at the end of a block.
  mlir::LogicalResult run(mlir::Block &block);

  bool isBatched(Value value) const { return batched.contains(value); }
  /// With the batch or without.
  Value get(Value value) const { return mapping.lookup(value); }
  void set(Value value, Value copy, bool isBatched);

  /// The type with the batch as first dimension, which is open.
  mlir::Type batchedType(mlir::Type type) const;

  mlir::OpBuilder &getBuilder() { return builder; }
  BatchedFunctions &getFunctions() { return functions; }
  int64_t getSize() const { return functions.getOptions().size; }

  /// In a branch that all entries run: which of them take it. Null elsewhere.
  /// What entries share has no derivative through ops of those that do not.
  Value taken;
  /// Whether values of entries that do not take the branch matter in it.
  bool needsOtherEntries = false;

private:
  mlir::LogicalResult runOp(mlir::Operation *op);
  mlir::LogicalResult runBatched(mlir::Operation *op);
  mlir::LogicalResult runSharedProduct(ContractOp op);

  mlir::OpBuilder &builder;
  BatchedFunctions &functions;
  mlir::IRMapping mapping;
  llvm::DenseSet<Value> batched;
};

/// What the rule of one op works with: an operand at least is batched, or a
/// value that its regions use.
class BatchedOp {
public:
  using Value = mlir::Value;

  BatchedOp(mlir::Operation *op, Batcher &batcher);

  int64_t size() const { return batcher.getSize(); }
  bool isBatched(Value value) const { return batcher.isBatched(value); }
  bool isAnyBatched(mlir::ValueRange values) const;
  Value get(Value value) const { return batcher.get(value); }
  /// With the batch, repeated along it if need be.
  Value batched(Value value);
  llvm::SmallVector<Value> getAll(mlir::ValueRange values);
  llvm::SmallVector<Value> batchedAll(mlir::ValueRange values);

  /// `value`, whose derivative is stopped where `predicate` is false, which is
  /// a scalar or has the first dimension of `value`.
  Value stopUnless(Value predicate, Value value);

  /// Sets the batched result.
  void set(Value result, Value copy) { batcher.set(result, copy, true); }
  void set(Value value, Value copy, bool isBatched) {
    batcher.set(value, copy, isBatched);
  }

  /// The op on these operands; its results are batched.
  mlir::Operation *copyWith(llvm::ArrayRef<Value> operands);
  /// The op on its operands, all of them batched.
  mlir::Operation *copy();

  /// An open type of the op's mesh: that of `value`, with the batch or not.
  mlir::Type typeOf(Value value, bool isBatched);

  Batcher &getBatcher() { return batcher; }
  mlir::OpBuilder &getBuilder() { return batcher.getBuilder(); }
  mlir::Location getLoc() { return op->getLoc(); }

private:
  mlir::Operation *op;
  Batcher &batcher;

public:
  FormulaBuilder build;
};

/// Whether a value is of a type that has derivatives, and no constant.
bool mayHaveDerivative(mlir::Value value);

/// `shape` with the batch in front.
llvm::SmallVector<int64_t> withFront(int64_t size,
                                     llvm::ArrayRef<int64_t> shape);
/// Numbers of dimensions that stand behind the batch.
llvm::SmallVector<int64_t> shifted(llvm::ArrayRef<int64_t> dims);
/// Dimension `dim` of `value` becomes the first one.
mlir::Value moveToFront(FormulaBuilder &build, mlir::Value value, int64_t dim);

} // namespace tessera::batching

#endif // TESSERA_DIALECTS_TESSERA_BATCHING_BATCHER_H
