// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Folding.h"
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
/// the terms of a sum would each be rounded, or overflow, by themselves.
static bool isExactConversion(ConvertOp convert) {
  auto from =
      dyn_cast<FloatType>(getElementTypeOrSelf(convert.getInput().getType()));
  auto to = dyn_cast<FloatType>(getElementTypeOrSelf(convert.getType()));
  return from && to &&
         APFloat::isRepresentableBy(from.getFloatSemantics(),
                                    to.getFloatSemantics());
}

/// Which operands of an elementwise op may be partial sums (or maxima).
static std::vector<LinearGroup> linearGroupsOf(Operation *op) {
  using Groups = std::vector<LinearGroup>;
  return llvm::TypeSwitch<Operation *, Groups>(op)
      .Case<NegOp, DivOp>([](auto) { return Groups{{{0}}}; })
      .Case<AddOp, SubOp>([](auto) { return Groups{{{0, 1}}}; })
      .Case<MulOp>([](auto) { return Groups{{{0}}, {{1}}}; })
      .Case<SelectOp>([](auto) { return Groups{{{1, 2}}}; })
      .Case<MaxOp>([](auto) { return Groups{{{0, 1}, ReduceKind::Max}}; })
      .Case<MinOp>([](auto) { return Groups{{{0, 1}, ReduceKind::Min}}; })
      .Case<ConvertOp>([](ConvertOp convert) {
        return isExactConversion(convert) ? Groups{{{0}}} : Groups{};
      })
      .Default([](Operation *) { return Groups{}; });
}

static FactorRule ruleOf(Operation *op, const OpShapes &shapes) {
  FactorRule rule = elementwiseRule(shapes.results[0], op->getNumOperands());
  rule.linear = linearGroupsOf(op);
  // Integer division rounds, so it is not linear.
  if (isa<DivOp>(op) &&
      !isa<FloatType>(getElementTypeOrSelf(op->getResult(0).getType())))
    rule.linear.clear();
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
  if (failed(verifyOperandShapes(op)))
    return failure();
  Type type = getElementTypeOrSelf(op->getResult(0).getType());
  for (auto [i, operand] : llvm::enumerate(op->getOperands()))
    if (failed(verifyElementType(op, operand, "operand " + std::to_string(i),
                                 type)))
      return failure();
  return success();
}

/// Instructions per element, roughly, as vectors of f32 on a CPU.
static int64_t elementCostOf(Operation *op) {
  return llvm::TypeSwitch<Operation *, int64_t>(op)
      .Case<DivOp, SqrtOp, RsqrtOp>([](auto) { return 8; })
      .Case<ExpOp, LogOp, LogisticOp, SiluOp>([](auto) { return 16; })
      .Case<TanhOp, ErfOp, SinOp, CosOp>([](auto) { return 24; })
      .Case<PowOp>([](auto) { return 40; })
      .Default([](Operation *) { return 1; });
}

// One entry per op of the classes Tessera_Unary and Tessera_Binary.
// clang-format off
#define TESSERA_UNARY_OPS(X)                                                   \
  X(NegOp) X(AbsOp) X(SignOp) X(ExpOp) X(LogOp) X(SqrtOp) X(RsqrtOp)           \
  X(TanhOp) X(ErfOp) X(LogisticOp) X(SiluOp) X(SinOp) X(CosOp) X(FloorOp)      \
  X(NotOp)
#define TESSERA_BINARY_OPS(X)                                                  \
  X(AddOp) X(SubOp) X(MulOp) X(DivOp) X(RemOp) X(PowOp) X(MaxOp) X(MinOp)      \
  X(AndOp) X(OrOp) X(XorOp)
// clang-format on

#define DEFINE_ELEMENTWISE(OP, ARITY)                                          \
  ParseResult OP::parse(OpAsmParser &parser, OperationState &result) {         \
    return parseOperandsAndTypes(parser, result, ARITY);                       \
  }                                                                            \
  void OP::print(OpAsmPrinter &printer) {                                      \
    printOperandsAndTypes(*this, printer);                                     \
  }                                                                            \
  LogicalResult OP::verify() { return verifySame(*this); }                     \
  OpFoldResult OP::fold(FoldAdaptor adaptor) {                                 \
    return foldElementwise(*this, adaptor.getOperands());                      \
  }                                                                            \
  FactorRule OP::getFactorRuleFor(const OpShapes &shapes) {                    \
    return ruleOf(*this, shapes);                                              \
  }                                                                            \
  KernelRole OP::getKernelRole() { return KernelRole::Elementwise; }           \
  int64_t OP::getElementCost() { return elementCostOf(*this); }
#define DEFINE_UNARY(OP) DEFINE_ELEMENTWISE(OP, 1)
#define DEFINE_BINARY(OP) DEFINE_ELEMENTWISE(OP, 2)
TESSERA_UNARY_OPS(DEFINE_UNARY)
TESSERA_BINARY_OPS(DEFINE_BINARY)

LogicalResult CompareOp::verify() {
  if (failed(verifyOperandShapes(*this)))
    return failure();
  return verifyElementType(*this, getRhs(), "the right side",
                           getElementTypeOrSelf(getLhs().getType()));
}
KernelRole CompareOp::getKernelRole() { return KernelRole::Elementwise; }
FactorRule CompareOp::getFactorRuleFor(const OpShapes &shapes) {
  return ruleOf(*this, shapes);
}

LogicalResult SelectOp::verify() {
  if (failed(verifyOperandShapes(*this)))
    return failure();
  Type type = getElementTypeOrSelf(getType());
  if (failed(verifyElementType(*this, getOnTrue(), "on_true", type)))
    return failure();
  return verifyElementType(*this, getOnFalse(), "on_false", type);
}
KernelRole SelectOp::getKernelRole() { return KernelRole::Elementwise; }
FactorRule SelectOp::getFactorRuleFor(const OpShapes &shapes) {
  return ruleOf(*this, shapes);
}

LogicalResult ConvertOp::verify() { return verifyOperandShapes(*this); }
KernelRole ConvertOp::getKernelRole() { return KernelRole::Elementwise; }
FactorRule ConvertOp::getFactorRuleFor(const OpShapes &shapes) {
  return ruleOf(*this, shapes);
}
