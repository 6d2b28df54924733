// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Verification.h"
#include "tessera/Syntax/RegionSyntax.h"

using namespace mlir;
using namespace tessera;

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/ControlOps.cpp.inc"

//===----------------------------------------------------------------------===//
// Verification
//===----------------------------------------------------------------------===//

/// The region ends with tessera.yield of `count` values.
static LogicalResult verifyYield(Operation *op, Region &region,
                                 StringRef regionName, size_t count,
                                 StringRef what) {
  Operation *last = region.front().empty() ? nullptr : &region.front().back();
  if (!isa_and_nonnull<YieldOp>(last))
    return op->emitOpError()
           << "expects its " << regionName << " to end with tessera.yield";
  if (last->getNumOperands() == count)
    return success();
  InFlightDiagnostic error = op->emitOpError()
                             << "expects its " << regionName << " to yield "
                             << count << " values (" << what << "), got "
                             << last->getNumOperands();
  error.attachNote(last->getLoc()) << "the values are yielded here";
  return error;
}

static LogicalResult verifyArguments(Operation *op, Region &region,
                                     StringRef regionName, size_t count,
                                     StringRef what) {
  if (region.getNumArguments() == count)
    return success();
  return op->emitOpError() << "expects its " << regionName << " to have "
                           << count << " arguments (" << what << "), got "
                           << region.getNumArguments();
}

/// A scalar of type `element`.
static bool isScalarOf(Type type, Type element) {
  return isProgramTensor(type) && cast<ShapedType>(type).getRank() == 0 &&
         getElementTypeOrSelf(type) == element;
}

/// Operands and results of a control flow op, and the arguments of its regions,
/// are program tensors.
static LogicalResult verifyArgumentTypes(Operation *op) {
  for (Region &region : op->getRegions())
    for (BlockArgument argument : region.getArguments())
      if (!isProgramTensor(argument.getType()))
        return op->emitOpError()
               << "has a block argument of type " << argument.getType()
               << "; expected a mesh tensor or a statically shaped tensor";
  return verifyOneMesh(op);
}

//===----------------------------------------------------------------------===//
// scan
//===----------------------------------------------------------------------===//

/// Sequences and stacked results have a leading dimension of the length.
static LogicalResult verifyLeading(ScanOp op, Value value, StringRef name) {
  ArrayRef<int64_t> shape = shapeOf(value);
  auto length = static_cast<int64_t>(op.getLength());
  if (!shape.empty() && shape.front() == length)
    return success();
  return op.emitOpError() << "expects " << name << " with a leading dimension "
                          << "of its length, " << length << ", got type "
                          << value.getType();
}

static LogicalResult verifyLength(ScanOp op) {
  auto length = static_cast<int64_t>(op.getLength());
  if (length < 0)
    return op.emitOpError() << "expects a length of 0 or more, got " << length;
  if (length > 0 || (op.getNumStacked() == 0 && op.getSequences().empty()))
    return success();
  InFlightDiagnostic error = op.emitOpError()
                             << "has length 0 and "
                             << (op.getSequences().empty() ? "stacked results"
                                                           : "sequences")
                             << ", which would have no elements";
  error.attachNote() << "a loop that never runs gives its initial values; use "
                        "these, and no sequences or stacked results";
  return error;
}

LogicalResult ScanOp::verifyRegions() {
  if (getNumResults() < getNumCarried())
    return emitOpError() << "has " << getNumCarried() << " carried values, but "
                         << getNumResults()
                         << " results; expected a result for each";
  if (failed(verifyLength(*this)) ||
      failed(verifyArguments(*this, getBody(), "body",
                             1 + getNumCarried() + getSequences().size(),
                             "the index, carried values, slices of "
                             "sequences")) ||
      failed(verifyYield(*this, getBody(), "body", getNumResults(),
                         "carried values, then what is stacked")) ||
      failed(verifyArgumentTypes(*this)))
    return failure();
  if (!isScalarOf(getIndex().getType(), IntegerType::get(getContext(), 32)))
    return emitOpError() << "expects the body's first argument to be the "
                            "index, an i32 scalar, got type "
                         << getIndex().getType();
  for (Value sequence : getSequences())
    if (failed(verifyLeading(*this, sequence, "a sequence")))
      return failure();
  for (Value stacked : getResults().drop_front(getNumCarried()))
    if (failed(verifyLeading(*this, stacked, "a stacked result")))
      return failure();
  return verifyEdges(*this);
}

SmallVector<DataFlowEdge> ScanOp::getDataFlowEdges() {
  using Kind = DataFlowEdge::Kind;
  SmallVector<DataFlowEdge> edges;
  Operation *yield = getYield();
  for (unsigned i = 0; i < getNumCarried(); ++i)
    edges.push_back({Kind::Carried,
                     i,
                     {&getInitsMutable()[i], &yield->getOpOperand(i)},
                     {getCarried(i), getResult(i)}});
  for (unsigned i = 0; i < getSequences().size(); ++i)
    edges.push_back(
        {Kind::Sequence, i, {&getSequencesMutable()[i]}, {getSlice(i)}});
  for (unsigned i = 0; i < getNumStacked(); ++i)
    edges.push_back({Kind::Stacked,
                     i,
                     {&yield->getOpOperand(getNumCarried() + i)},
                     {getResult(getNumCarried() + i)}});
  return edges;
}

SmallVector<Value> ScanOp::getControlValues() { return {getIndex()}; }

std::optional<int64_t> ScanOp::getTripCount(Region *) {
  return static_cast<int64_t>(getLength());
}

//===----------------------------------------------------------------------===//
// while
//===----------------------------------------------------------------------===//

LogicalResult WhileOp::verifyRegions() {
  size_t count = getInits().size();
  if (getNumResults() != count)
    return emitOpError() << "has " << count << " carried values, but "
                         << getNumResults()
                         << " results; expected a result for each";
  if (failed(verifyArguments(*this, getCondition(), "condition", count,
                             "the carried values")) ||
      failed(verifyArguments(*this, getBody(), "body", count,
                             "the carried values")) ||
      failed(verifyYield(*this, getCondition(), "condition", 1,
                         "the predicate")) ||
      failed(verifyYield(*this, getBody(), "body", count,
                         "the next carried values")) ||
      failed(verifyArgumentTypes(*this)))
    return failure();
  Type predicate = getConditionYield()->getOperand(0).getType();
  if (!isScalarOf(predicate, IntegerType::get(getContext(), 1))) {
    InFlightDiagnostic error = emitOpError()
                               << "expects its condition to yield the "
                                  "predicate, an i1 scalar, got type "
                               << predicate;
    error.attachNote(getConditionYield()->getLoc()) << "it is yielded here";
    return error;
  }
  return verifyEdges(*this);
}

SmallVector<DataFlowEdge> WhileOp::getDataFlowEdges() {
  SmallVector<DataFlowEdge> edges;
  for (unsigned i = 0; i < getInits().size(); ++i)
    edges.push_back({DataFlowEdge::Kind::Carried,
                     i,
                     {&getInitsMutable()[i], &getBodyYield()->getOpOperand(i)},
                     {getCondition().getArgument(i), getBody().getArgument(i),
                      getResult(i)}});
  return edges;
}

SmallVector<OpOperand *> WhileOp::getControlOperands() {
  return {&getConditionYield()->getOpOperand(0)};
}

std::optional<int64_t> WhileOp::getTripCount(Region *) { return std::nullopt; }

//===----------------------------------------------------------------------===//
// cond
//===----------------------------------------------------------------------===//

LogicalResult CondOp::verifyRegions() {
  Type selector = getSelector().getType();
  bool isBool = isScalarOf(selector, IntegerType::get(getContext(), 1));
  if (!isBool && !isScalarOf(selector, IntegerType::get(getContext(), 32)))
    return explain(emitOpError() << "expects a selector that is an i1 or i32 "
                                    "scalar, got type "
                                 << selector,
                   *this, {},
                   "tessera.convert changes the element type; "
                   "tessera.select chooses element by element");
  size_t count = getBranches().size();
  if (isBool && count != 2)
    return emitOpError() << "has an i1 selector and " << count
                         << " branches; expected 2, for false and true";
  if (count == 0)
    return emitOpError() << "expects at least one branch";
  for (Region &branch : getBranches())
    if (failed(verifyArguments(*this, branch, "branches", 0,
                               "they use values from outside")) ||
        failed(verifyYield(*this, branch, "branches", getNumResults(),
                           "one per result")))
      return failure();
  if (failed(verifyOneMesh(*this)))
    return failure();
  return verifyEdges(*this);
}

SmallVector<DataFlowEdge> CondOp::getDataFlowEdges() {
  SmallVector<DataFlowEdge> edges;
  for (unsigned i = 0; i < getNumResults(); ++i) {
    DataFlowEdge edge{DataFlowEdge::Kind::Result, i, {}, {getResult(i)}};
    for (Region &branch : getBranches())
      edge.sources.push_back(&branch.front().getTerminator()->getOpOperand(i));
    edges.push_back(std::move(edge));
  }
  return edges;
}

SmallVector<OpOperand *> CondOp::getControlOperands() {
  return {&getSelectorMutable()};
}
