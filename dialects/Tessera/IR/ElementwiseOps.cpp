// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/Tessera.h"
using namespace mlir;
using namespace tessera;

/// Ops whose operands and result usually share one type print it once:
/// `tessera.add %a, %b : T`; otherwise `: (T, U) -> V`.
static ParseResult parseOperandsAndTypes(OpAsmParser &parser,
                                         OperationState &result,
                                         size_t numOperands) {
  SmallVector<OpAsmParser::UnresolvedOperand, 3> operands;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseOperandList(operands, numOperands) ||
      parser.parseOptionalAttrDict(result.attributes) || parser.parseColon())
    return failure();
  Type type;
  if (parser.parseType(type))
    return failure();
  if (auto function = dyn_cast<FunctionType>(type)) {
    result.addTypes(function.getResults());
    return parser.resolveOperands(operands, function.getInputs(), loc,
                                  result.operands);
  }
  result.addTypes(type);
  return parser.resolveOperands(operands, type, result.operands);
}

static void printOperandsAndTypes(Operation *op, OpAsmPrinter &printer,
                                  ArrayRef<StringRef> elided = {}) {
  printer << " " << op->getOperands();
  printer.printOptionalAttrDict(op->getAttrs(), elided);
  printer << " : ";
  Type type = op->getResult(0).getType();
  if (llvm::all_of(op->getOperandTypes(), [&](Type t) { return t == type; }))
    printer << type;
  else
    printer.printFunctionalType(op->getOperandTypes(), op->getResultTypes());
}

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/ElementwiseOps.cpp.inc"

// One entry per op of the classes Tessera_Unary and Tessera_Binary.
#define TESSERA_UNARY_OPS(X) \
  X(NegOp) X(AbsOp) X(SignOp) X(ExpOp) X(LogOp) X(SqrtOp) X(RsqrtOp) X(TanhOp) X(ErfOp) X(LogisticOp) X(SiluOp) X(SinOp) X(CosOp) X(FloorOp) X(NotOp)
#define TESSERA_BINARY_OPS(X) \
  X(AddOp) X(SubOp) X(MulOp) X(DivOp) X(RemOp) X(PowOp) X(MaxOp) X(MinOp) X(AndOp) X(OrOp) X(XorOp)

#define DEFINE_ELEMENTWISE(OP, ARITY) \
  ParseResult OP::parse(OpAsmParser &parser, OperationState &result) { \
    return parseOperandsAndTypes(parser, result, ARITY); \
  } \
  void OP::print(OpAsmPrinter &printer) { \
    printOperandsAndTypes(*this, printer); \
  } \
  LogicalResult OP::verify() { return success(); } \
  OpFoldResult OP::fold(FoldAdaptor) { return {}; } \
  FactorRule OP::getFactorRule() { \
    return elementwiseRule(shapeVector(getType()), ARITY); \
  }
#define DEFINE_UNARY(OP) DEFINE_ELEMENTWISE(OP, 1)
#define DEFINE_BINARY(OP) DEFINE_ELEMENTWISE(OP, 2)
TESSERA_UNARY_OPS(DEFINE_UNARY)
TESSERA_BINARY_OPS(DEFINE_BINARY)

LogicalResult CompareOp::verify() { return success(); }
OpFoldResult CompareOp::fold(FoldAdaptor) { return {}; }
FactorRule CompareOp::getFactorRule() { return elementwiseRule(shapeVector(getType()), 2); }
LogicalResult SelectOp::verify() { return success(); }
OpFoldResult SelectOp::fold(FoldAdaptor) { return {}; }
FactorRule SelectOp::getFactorRule() { return elementwiseRule(shapeVector(getType()), 3); }
LogicalResult ConvertOp::verify() { return success(); }
OpFoldResult ConvertOp::fold(FoldAdaptor) { return {}; }
FactorRule ConvertOp::getFactorRule() { return elementwiseRule(shapeVector(getType()), 1); }
