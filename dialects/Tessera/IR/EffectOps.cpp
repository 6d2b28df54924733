// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/Effects.h"

#include "Verification.h"
#include "tessera/ABI/Format.h"

using namespace mlir;
using namespace tessera;

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/EffectOps.cpp.inc"

//===----------------------------------------------------------------------===//
// barrier
//===----------------------------------------------------------------------===//

LogicalResult BarrierOp::verify() {
  if (getInputs().size() != getNumResults())
    return explain(emitOpError() << "expects a result for each of its "
                                 << getInputs().size() << " values, got "
                                 << getNumResults(),
                   *this, {}, "result i is value i");
  if (failed(verifyOneMesh(*this)))
    return failure();
  return verifyEdges(*this);
}

SmallVector<DataFlowEdge> BarrierOp::getDataFlowEdges() {
  SmallVector<DataFlowEdge> edges;
  for (unsigned i = 0; i < getNumResults(); ++i)
    edges.push_back({DataFlowEdge::Kind::Identity,
                     i,
                     {&getInputsMutable()[i]},
                     {getResult(i)}});
  return edges;
}

//===----------------------------------------------------------------------===//
// debug_print, debug_check
//===----------------------------------------------------------------------===//

/// Every {} has a value, and every value one.
static LogicalResult verifyFormat(Operation *op, StringRef format,
                                  size_t count) {
  auto parts = abi::splitFormat(format);
  if (!parts)
    return explain(op->emitOpError()
                       << "has a single brace in \"" << format << "\"",
                   op, {}, "{} stands for a value, {{ and }} for braces");
  if (parts->size() - 1 == count)
    return success();
  return explain(op->emitOpError()
                     << "has " << parts->size() - 1 << " places {} in \""
                     << format << "\", but " << count << " values",
                 op, {}, "each {} stands for one value, in order");
}

/// Each device needs all values whole: one of them reports for all.
static FactorRule wholeRule(const OpShapes &shapes) {
  FactorRule rule;
  for (auto [i, shape] : llvm::enumerate(shapes.operands)) {
    TensorFactors dims;
    for (auto [d, size] : llvm::enumerate(shape))
      dims.push_back(
          {rule.addFactor("v" + std::to_string(i) + "d" + std::to_string(d),
                          size, FactorKind::Replicate)});
    rule.operands.push_back(dims);
  }
  return rule;
}

LogicalResult DebugPrintOp::verify() {
  if (failed(verifyOneMesh(*this)))
    return failure();
  return verifyFormat(*this, getFormat(), getValues().size());
}

FactorRule DebugPrintOp::getFactorRuleFor(const OpShapes &shapes) {
  return wholeRule(shapes);
}

double DebugPrintOp::getFlops() { return 0; }

LogicalResult DebugCheckOp::verify() {
  if (failed(verifyOneMesh(*this)))
    return failure();
  return verifyFormat(*this, getMessage(), getValues().size());
}

FactorRule DebugCheckOp::getFactorRuleFor(const OpShapes &shapes) {
  return wholeRule(shapes);
}

double DebugCheckOp::getFlops() { return 0; }
