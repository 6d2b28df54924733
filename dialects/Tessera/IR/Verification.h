// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the verifiers of the op families share.
#ifndef TESSERA_DIALECTS_TESSERA_IR_VERIFICATION_H
#define TESSERA_DIALECTS_TESSERA_IR_VERIFICATION_H

#include "dialects/Tessera/IR/Tessera.h"

#include "mlir/IR/OpImplementation.h"

namespace tessera {

/// An operand or result as messages call it: "the input".
struct NamedValue {
  mlir::Value value;
  llvm::StringRef name;
};

/// Ends `error`, which is at `op`, with a note at each value that causes it,
/// where that comes from ("the input has type ..."), and a note that says what
/// would do.
mlir::LogicalResult explain(mlir::InFlightDiagnostic error, mlir::Operation *op,
                            llvm::ArrayRef<NamedValue> causes,
                            llvm::StringRef wayOut = "");

/// All mesh tensors among operands and results are on one mesh, and none is
/// mixed with a builtin tensor (scalar builtin offsets excepted).
mlir::LogicalResult verifyOneMesh(mlir::Operation *op);

/// All ends of each edge of `op` are one value up to layouts and leading
/// dimensions: shape, element type and mesh are the same.
mlir::LogicalResult verifyEdges(DataFlowInterface op);

/// `value`, called `name`, has exactly `shape`.
mlir::LogicalResult verifyShape(mlir::Operation *op, mlir::Value value,
                                llvm::StringRef name,
                                llvm::ArrayRef<int64_t> shape,
                                llvm::StringRef hint = "");

/// `value`, called `name`, has elements of type `type`.
mlir::LogicalResult verifyElementType(mlir::Operation *op, mlir::Value value,
                                      llvm::StringRef name, mlir::Type type);

/// The result has the shape that operands and attributes give it, and, unless
/// `checksElements` is off, the element type. `hint` says why the shape.
mlir::LogicalResult verifyInferredResult(mlir::Operation *op,
                                         llvm::StringRef hint = "",
                                         bool checksElements = true);

/// Operand 0 and the result are one value up to their layouts.
mlir::LogicalResult verifySameTensor(mlir::Operation *op);

/// `dims`, called `name`, ascend and are dimensions of `tensor`.
mlir::LogicalResult verifyAscendingDims(mlir::Operation *op,
                                        llvm::StringRef name,
                                        llvm::ArrayRef<int64_t> dims,
                                        NamedValue tensor);

/// `dim` is a dimension of `tensor`.
mlir::LogicalResult verifyDim(mlir::Operation *op, int64_t dim,
                              NamedValue tensor);

/// The type of operand `index`: what elementwise ops and many others give.
InferredType likeOperand(mlir::Operation *op, unsigned index = 0);

/// `[2, 3]`.
std::string shapeToString(llvm::ArrayRef<int64_t> shape);

/// `(tensor<2xf32>, tensor<i32>)`, or `()`: types in an op's custom syntax.
mlir::ParseResult parseTypes(mlir::OpAsmParser &parser,
                             llvm::SmallVectorImpl<mlir::Type> &types);
void printTypes(mlir::OpAsmPrinter &printer, mlir::Operation *op,
                mlir::TypeRange types);

} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_IR_VERIFICATION_H
