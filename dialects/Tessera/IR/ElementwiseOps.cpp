// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Folding.h"
#include "TermConversion.h"
#include "Verification.h"

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

//===----------------------------------------------------------------------===//
// Rules and verification
//===----------------------------------------------------------------------===//

/// Whether the result type has every number of the input's. Where it rounds,
/// the terms of a sum would each be rounded, or overflow, by themselves, which
/// a program may ask for.
static bool passesTerms(ConvertOp convert) {
  if (convert->hasAttr(roundsTermsAttrName))
    return true;
  auto from =
      dyn_cast<FloatType>(getElementTypeOrSelf(convert.getInput().getType()));
  auto to = dyn_cast<FloatType>(getElementTypeOrSelf(convert.getType()));
  return from && to &&
         APFloat::isRepresentableBy(from.getFloatSemantics(),
                                    to.getFloatSemantics());
}

/// Rule of an elementwise op with these linear groups.
static FactorRule ruleOf(const OpShapes &shapes,
                         std::vector<LinearGroup> linear) {
  FactorRule rule = elementwiseRule(shapes.results[0], shapes.operands.size());
  rule.linear = std::move(linear);
  return rule;
}

static LogicalResult verifyOperandShapes(Operation *op) {
  if (failed(verifyOneMesh(op)))
    return failure();
  for (auto [i, operand] : llvm::enumerate(op->getOperands()))
    if (failed(verifyShape(op, operand, "operand " + std::to_string(i),
                           shapeOf(op->getResult(0)),
                           "shapes are never broadcast silently; use "
                           "tessera.broadcast")))
      return failure();
  return success();
}

/// Operands and result have one shape and one element type.
static LogicalResult verifySame(Operation *op) {
  // One type has one shape, element type and mesh.
  Type common = op->getResult(0).getType();
  if (llvm::all_of(op->getOperandTypes(),
                   [&](Type operand) { return operand == common; }))
    return success();
  if (failed(verifyOperandShapes(op)))
    return failure();
  Type type = getElementTypeOrSelf(op->getResult(0).getType());
  for (auto [i, operand] : llvm::enumerate(op->getOperands()))
    if (failed(verifyElementType(op, operand, "operand " + std::to_string(i),
                                 type)))
      return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// The ops of the table
//===----------------------------------------------------------------------===//

#define DEFINE_ELEMENTWISE(NAME, ARITY, COST, FLOATS_ONLY, ...)                \
  ParseResult NAME##Op::parse(OpAsmParser &parser, OperationState &result) {   \
    return parseOperandsAndTypes(parser, result, ARITY);                       \
  }                                                                            \
  void NAME##Op::print(OpAsmPrinter &printer) {                                \
    printOperandsAndTypes(*this, printer);                                     \
  }                                                                            \
  LogicalResult NAME##Op::verify() { return verifySame(*this); }               \
  OpFoldResult NAME##Op::fold(FoldAdaptor adaptor) {                           \
    return foldElementwise(*this, adaptor.getOperands());                      \
  }                                                                            \
  InferredType NAME##Op::inferResultType() { return likeOperand(*this); }      \
  KernelRole NAME##Op::getKernelRole() { return KernelRole::Elementwise; }     \
  int64_t NAME##Op::getElementCost() { return COST; }                          \
  FactorRule NAME##Op::getFactorRuleFor(const OpShapes &shapes) {              \
    bool isFloat = isa<FloatType>(getElementTypeOrSelf(getType()));            \
    if ((FLOATS_ONLY) && !isFloat)                                             \
      return ruleOf(shapes, {});                                               \
    return ruleOf(shapes, {__VA_ARGS__});                                      \
  }
#define TESSERA_UNARY(NAME, ...) DEFINE_ELEMENTWISE(NAME, 1, __VA_ARGS__)
#define TESSERA_BINARY(NAME, ...) DEFINE_ELEMENTWISE(NAME, 2, __VA_ARGS__)
#include "dialects/Tessera/IR/ElementwiseTable.inc"

//===----------------------------------------------------------------------===//
// compare, select, convert
//===----------------------------------------------------------------------===//

LogicalResult CompareOp::verify() {
  if (failed(verifyOperandShapes(*this)))
    return failure();
  return verifyElementType(*this, getRhs(), "the right side",
                           getElementTypeOrSelf(getLhs().getType()));
}
InferredType CompareOp::inferResultType() {
  return {SmallVector<int64_t>(shapeOf(getLhs())),
          IntegerType::get(getContext(), 1)};
}
KernelRole CompareOp::getKernelRole() { return KernelRole::Elementwise; }
FactorRule CompareOp::getFactorRuleFor(const OpShapes &shapes) {
  return ruleOf(shapes, {});
}

LogicalResult SelectOp::verify() {
  if (failed(verifyOperandShapes(*this)))
    return failure();
  Type type = getElementTypeOrSelf(getType());
  if (failed(verifyElementType(*this, getOnTrue(), "on_true", type)))
    return failure();
  return verifyElementType(*this, getOnFalse(), "on_false", type);
}
InferredType SelectOp::inferResultType() { return likeOperand(*this, 1); }
KernelRole SelectOp::getKernelRole() { return KernelRole::Elementwise; }
FactorRule SelectOp::getFactorRuleFor(const OpShapes &shapes) {
  return ruleOf(shapes, {{{1, 2}}});
}

LogicalResult ConvertOp::verify() { return verifyOperandShapes(*this); }
InferredType ConvertOp::inferResultType() {
  return {SmallVector<int64_t>(shapeOf(getInput())), Type()};
}
KernelRole ConvertOp::getKernelRole() { return KernelRole::Elementwise; }
FactorRule ConvertOp::getFactorRuleFor(const OpShapes &shapes) {
  if (passesTerms(*this))
    return ruleOf(shapes, {{{0}}});
  return ruleOf(shapes, {});
}
