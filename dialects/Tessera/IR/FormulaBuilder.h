// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Writes formulas of tessera ops: result types are inferred, constants take the
// shape of what they meet.
#ifndef TESSERA_DIALECTS_TESSERA_IR_FORMULABUILDER_H
#define TESSERA_DIALECTS_TESSERA_IR_FORMULABUILDER_H

#include "dialects/Tessera/IR/Tessera.h"

namespace tessera {

/// The type in which ops on `value` compute, and which their formulas are in:
/// f64 for f64, else f32.
mlir::Type wideTypeOf(mlir::Value value);

/// Every value that it makes is a mesh tensor with an open layout, or a builtin
/// tensor where `like` is one. Operands must be well formed: that is the
/// caller's part, not the user's.
class FormulaBuilder {
public:
  using Value = mlir::Value;

  /// Ops are made by `builder` at `loc`; `like` is a type on the formula's
  /// mesh, or a builtin tensor.
  FormulaBuilder(mlir::OpBuilder &builder, mlir::Location loc, mlir::Type like)
      : builder(builder), loc(loc), model(like) {}

  /// The type of the formula's values of this shape and element type.
  mlir::Type typeOf(llvm::ArrayRef<int64_t> shape, mlir::Type element) const;

  /// An op whose operands and attributes decide its result's type; `args` are
  /// those of its builder behind the type.
  template <typename Op, typename... Args> Value create(Args &&...args) {
    mlir::OperationState state(loc, Op::getOperationName());
    Op::build(builder, state, model, std::forward<Args>(args)...);
    return insertInferred(state);
  }

  /// A constant whose elements are all `value`.
  Value number(double value, llvm::ArrayRef<int64_t> shape, mlir::Type element);
  /// The same in the shape and element type of `x`.
  Value numberLike(double value, Value x);
  /// An integer, of which a double need not have all digits.
  Value integerLike(int64_t value, Value x);

  Value convert(Value x, mlir::Type element);
  Value reduce(dist::ReductionKind kind, Value x, int64_t dim);
  /// Undoes `reduce`: repeats `x` along `dim` of `shape`.
  Value repeat(Value x, llvm::ArrayRef<int64_t> shape, int64_t dim);
  Value broadcast(Value x, llvm::ArrayRef<int64_t> shape,
                  llvm::ArrayRef<int64_t> dims);
  Value reshape(Value x, llvm::ArrayRef<int64_t> shape);
  Value transpose(Value x, llvm::ArrayRef<int64_t> permutation);
  Value contract(Value x, Value y, llvm::StringRef spec);
  Value compare(CompareDirection direction, Value x, Value y);
  Value select(Value predicate, Value onTrue, Value onFalse);
  /// Indices along `dim`, as i32.
  Value iota(llvm::ArrayRef<int64_t> shape, int64_t dim) {
    return iota(shape, dim, builder.getI32Type());
  }
  Value iota(llvm::ArrayRef<int64_t> shape, int64_t dim, mlir::Type element);

protected:
  mlir::OpBuilder &builder;
  mlir::Location loc;

private:
  Value insertInferred(mlir::OperationState &state);

  mlir::Type model;
};

} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_IR_FORMULABUILDER_H
