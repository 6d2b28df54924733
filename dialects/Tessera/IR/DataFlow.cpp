// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/DataFlow.h"

#include "dialects/Tessera/IR/Tessera.h"

#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace tessera;

std::string DataFlowEdge::describe() const {
  auto name = [&]() -> llvm::StringRef {
    switch (kind) {
    case Kind::Carried:
      return "carried value ";
    case Kind::Sequence:
      return "sequence ";
    case Kind::Stacked:
      return "stacked result ";
    case Kind::Result:
      return "result ";
    case Kind::Identity:
      return "value ";
    }
    llvm_unreachable("unknown kind of edge");
  };
  return (name() + llvm::Twine(number)).str();
}

FactorRule DataFlowEdge::getFactorRule() const {
  bool hasLeading = hasLeadingSource() || hasLeadingTarget();
  Value whole = hasLeadingSource() ? sources.front()->get() : targets.front();
  ArrayRef<int64_t> shape = shapeOf(whole);
  FactorRule rule;
  TensorFactors leading, element;
  if (hasLeading)
    leading.push_back(
        {rule.addFactor("steps", shape.front(), FactorKind::Replicate)});
  for (auto [d, size] : llvm::enumerate(shape.drop_front(hasLeading)))
    element.push_back({rule.addFactor("d" + std::to_string(d), size)});
  llvm::append_range(leading, element);
  rule.operands.assign(sources.size(), hasLeadingSource() ? leading : element);
  rule.results.assign(targets.size(), hasLeadingTarget() ? leading : element);
  return rule;
}

std::optional<DataFlowEdge> tessera::findEdgeTo(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op)
    op = cast<BlockArgument>(value).getOwner()->getParentOp();
  auto flow = dyn_cast_or_null<DataFlowInterface>(op);
  if (!flow)
    return std::nullopt;
  for (DataFlowEdge &edge : flow.getDataFlowEdges())
    if (llvm::is_contained(edge.targets, value))
      return std::move(edge);
  return std::nullopt;
}

/// A kernel, or the program of a plan.
static bool isUnit(Operation *op) {
  return op->hasTrait<OpTrait::IsIsolatedFromAbove>() &&
         isa<SymbolOpInterface>(op);
}

bool tessera::hasKnownRegions(Operation *op) {
  return op->getNumRegions() == 0 || op->hasTrait<OpTrait::SymbolTable>() ||
         isa<FunctionOpInterface, DataFlowInterface>(op) || isUnit(op);
}

LogicalResult
tessera::verifyRegionsAreKnown(Operation *root, StringRef pass,
                               function_ref<bool(Operation *)> isKnown) {
  WalkResult result = root->walk<WalkOrder::PreOrder>([&](Operation *op) {
    // What other passes work on they check themselves.
    if (op != root && isUnit(op) && !isa<FunctionOpInterface>(op))
      return WalkResult::skip();
    if (hasKnownRegions(op) || (isKnown && isKnown(op)))
      return WalkResult::advance();
    InFlightDiagnostic error = op->emitError()
                               << pass << " does not know the regions of '"
                               << op->getName() << "'";
    error.attachNote() << "passes see into the ops that implement "
                          "DataFlowInterface, as tessera.scan, tessera.while "
                          "and tessera.cond do; implement it, or lower the op "
                          "before this pass";
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}
