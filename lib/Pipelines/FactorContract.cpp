// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FactorContract.h"

#include "tessera/Analysis/FactorAssignment.h"
#include "tessera/Analysis/ValueStates.h"

using namespace mlir;
using namespace tessera;

namespace {
using Problem = std::optional<std::string>;
using AxisList = std::vector<AxisRef>;

/// One op's tensors beside its rule.
class FactorVerifier {
public:
  FactorVerifier(FactorRuleInterface op, const Mesh &mesh)
      : op(op), rule(op.getFactorRule()), mesh(mesh),
        axes(rule.factors.size()) {}

  Problem verify();

private:
  /// `what` says which tensor it is, for messages.
  Problem verifySplits(Value value, const TensorFactors &dims,
                       llvm::function_ref<std::string()> what);
  Problem verifyVarying();
  Problem verifyPartialOperands();
  Problem verifyPartialResult();

  FactorRuleInterface op;
  FactorRule rule;
  const Mesh &mesh;
  /// The axes of each factor, once a tensor that has it was seen.
  std::vector<std::optional<AxisList>> axes;
  /// Axes and kinds that the result must be partial along.
  std::map<AxisRef, ReduceKind> partial;
};
} // namespace

static std::string listAxes(const AxisList &axes) {
  return toString(DimLayout{axes, /*open=*/false, std::nullopt});
}

Problem FactorVerifier::verifySplits(Value value, const TensorFactors &dims,
                                     llvm::function_ref<std::string()> what) {
  const Layout *layout = layoutOf(value.getType());
  if (!layout)
    return std::nullopt;
  FactorAxesView known;
  if (!known.see(rule, dims, *layout, mesh))
    return what() + " of layout " + layout->str() +
           " is cut across the factors of " + rule.str();
  for (auto [d, factors] : llvm::enumerate(dims))
    if (factors.empty() && !withoutUnits(layout->dims[d].axes, mesh).empty())
      return what() + " splits dimension " + std::to_string(d) + ", " +
             toString(layout->dims[d]) + ", which has no factor in " +
             rule.str();
  for (auto [index, all] : known.entries()) {
    AxisList list = withoutUnits(*all, mesh);
    const Factor &factor = rule.factors[index];
    if (factor.kind == FactorKind::Replicate && !list.empty())
      return what() + " splits factor '" + factor.name + "' by " +
             listAxes(list) + ", which must be whole in " + rule.str();
    if (!axes[index])
      axes[index] = std::move(list);
    else if (*axes[index] != list)
      return what() + " splits factor '" + factor.name + "' by " +
             listAxes(list) + ", another tensor by " + listAxes(*axes[index]) +
             "; the rule is " + rule.str();
  }
  return std::nullopt;
}

/// Axes along which operands vary split no factor, are partial nowhere, and are
/// those along which the results vary.
Problem FactorVerifier::verifyVarying() {
  AxisList varying = varyingOfOperands(op, mesh);
  auto overlapsVarying = [&](const AxisRef &axis) {
    return llvm::any_of(varying, [&](const AxisRef &other) {
      return other.overlaps(axis, mesh);
    });
  };
  for (auto [factor, list] : llvm::zip(rule.factors, axes))
    if (list && llvm::any_of(*list, overlapsVarying))
      return "splits factor '" + factor.name + "' by " + listAxes(*list) +
             ", but has operands that vary along " + listAxes(varying);
  for (Type type : op->getOperandTypes())
    if (const Layout *layout = layoutOf(type))
      if (llvm::any_of(layout->partial, overlapsVarying))
        return "has an operand of layout " + layout->str() +
               ", but others vary along " + listAxes(varying);
  for (Type type : op->getResultTypes())
    if (const Layout *layout = layoutOf(type))
      if (!isSameVarying(layout->varying, varying, mesh))
        return "has a result of layout " + layout->str() +
               ", but operands that vary along " + listAxes(varying);
  return std::nullopt;
}

Problem FactorVerifier::verifyPartialOperands() {
  auto isPartial = [&](int operand, const AxisRef &axis, ReduceKind kind) {
    const Layout *layout = layoutOf(op->getOperand(operand).getType());
    return layout && layout->partialKind == kind &&
           llvm::is_contained(layout->partial, axis);
  };
  for (OpOperand &operand : op->getOpOperands()) {
    const Layout *layout = layoutOf(operand.get().getType());
    if (!layout)
      continue;
    int index = operand.getOperandNumber();
    ReduceKind kind = layout->partialKind;
    for (const AxisRef &axis : withoutUnits(layout->partial, mesh)) {
      bool passes = llvm::any_of(rule.linear, [&](const LinearGroup &group) {
        if (group.kind != kind || !llvm::is_contained(group.operands, index))
          return false;
        for (int other = 0; other < int(op->getNumOperands()); ++other)
          if (isPartial(other, axis, kind) !=
              llvm::is_contained(group.operands, other))
            return false;
        return true;
      });
      if (!passes)
        return "has operand " + std::to_string(index) + " of layout " +
               layout->str() + ", but is not linear in what is partial along " +
               toString(axis);
      partial[axis] = kind;
    }
  }
  return std::nullopt;
}

Problem FactorVerifier::verifyPartialResult() {
  for (auto [factor, list] : llvm::zip(rule.factors, axes))
    if (factor.kind == FactorKind::Reduce && list)
      for (const AxisRef &axis : *list)
        partial[axis] = factor.reduce;
  for (Value result : op->getResults()) {
    const Layout *layout = layoutOf(result.getType());
    if (!layout)
      continue;
    std::map<AxisRef, ReduceKind> got;
    for (const AxisRef &axis : withoutUnits(layout->partial, mesh))
      got[axis] = layout->partialKind;
    // Neutral elements are terms of themselves.
    if (got == partial || isNeutralSplat(result, layout->partialKind))
      continue;
    Layout expected = layout->closed();
    expected.partial.clear();
    for (auto &[axis, kind] : partial) {
      expected.partial.push_back(axis);
      expected.partialKind = kind;
    }
    return "has a result of layout " + layout->str() +
           ", but its operands and rule make " + expected.str();
  }
  return std::nullopt;
}

Problem FactorVerifier::verify() {
  for (auto [i, dims] : llvm::enumerate(rule.operands))
    if (Problem problem = verifySplits(op->getOperand(i), dims, [i = i] {
          return "has operand " + std::to_string(i);
        }))
      return problem;
  for (auto [i, dims] : llvm::enumerate(rule.results))
    if (Problem problem = verifySplits(
            op->getResult(i), dims, [] { return std::string("has a result"); }))
      return problem;
  if (Problem problem = verifyVarying())
    return problem;
  if (Problem problem = verifyPartialOperands())
    return problem;
  return verifyPartialResult();
}

std::optional<std::string> tessera::findFactorProblem(FactorRuleInterface op,
                                                      const Mesh &mesh) {
  return FactorVerifier(op, mesh).verify();
}
