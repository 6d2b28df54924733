// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Provenance.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace tessera;

std::string tessera::describeLocation(Location loc) {
  if (auto file = loc->findInstanceOf<FileLineColLoc>())
    return (file.getFilename().getValue() + ":" + Twine(file.getLine()) + ":" +
            Twine(file.getColumn()))
        .str();
  return "";
}

std::string tessera::describeOp(Operation *op) {
  std::string where = describeLocation(op->getLoc());
  std::string text = op->getName().getStringRef().str();
  return where.empty() ? text : text + " at " + where;
}

std::string tessera::describeValue(Value value) {
  if (std::optional<DataFlowEdge> edge = findEdgeTo(value)) {
    Operation *op = value.getDefiningOp();
    return edge->describe() + " of " +
           describeOp(op ? op : value.getParentBlock()->getParentOp());
  }
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    auto function =
        dyn_cast_or_null<func::FuncOp>(argument.getOwner()->getParentOp());
    if (function)
      if (auto name = function.getArgAttrOfType<StringAttr>(
              argument.getArgNumber(), argumentNameAttr))
        return ("argument '" + name.getValue() + "'").str();
    std::string name = "argument " + std::to_string(argument.getArgNumber());
    if (function)
      return name;
    return name + " of " + describeOp(argument.getOwner()->getParentOp());
  }
  return describeOp(value.getDefiningOp());
}

SmallVector<Attribute> tessera::originsOf(Value value, StringRef axis) {
  DictionaryAttr origins;
  if (std::optional<DataFlowEdge> edge = findEdgeTo(value)) {
    Operation *op = value.getDefiningOp();
    if (!op)
      op = value.getParentBlock()->getParentOp();
    if (auto edges = op->getAttrOfType<DictionaryAttr>(originsAttrName))
      origins = edges.getAs<DictionaryAttr>(edge->describe());
  } else if (auto argument = dyn_cast<BlockArgument>(value)) {
    auto function =
        dyn_cast_or_null<func::FuncOp>(argument.getOwner()->getParentOp());
    if (function)
      origins = function.getArgAttrOfType<DictionaryAttr>(
          argument.getArgNumber(), originsAttrName);
  } else {
    origins =
        value.getDefiningOp()->getAttrOfType<DictionaryAttr>(originsAttrName);
  }
  if (!origins)
    return {};
  auto chain = origins.getAs<ArrayAttr>(axis);
  return chain ? llvm::to_vector(chain.getValue()) : SmallVector<Attribute>();
}

static bool isSplitAlong(Value value, const AxisRef &axis) {
  const Layout *layout = layoutOf(value.getType());
  return layout && llvm::any_of(layout->dims, [&](const DimLayout &dim) {
           return llvm::is_contained(dim.axes, axis);
         });
}

/// The reasons why `axis` splits `value`. Where propagation recorded none,
/// since an op was given another layout afterwards, they are those of the
/// operand that it follows.
static SmallVector<Attribute> chainOf(Value value, const AxisRef &axis) {
  MLIRContext *context = value.getContext();
  SmallVector<Attribute> chain;
  auto add = [&](const Twine &text) {
    chain.push_back(StringAttr::get(context, text));
  };
  while (chain.size() < maxChain) {
    SmallVector<Attribute> known = originsOf(value, toString(axis));
    Operation *op = value.getDefiningOp();
    if (auto reshard = dyn_cast_or_null<ReshardOp>(op);
        reshard && known.empty())
      if (dist::WhyAttr why = reshard.getWhyAttr()) {
        add(Twine(why.getRule().getValue()));
        known = llvm::to_vector(why.getOrigins().getValue());
      }
    llvm::append_range(chain, known);
    if (!known.empty())
      return chain;
    Value followed;
    for (Value operand : op ? op->getOperands() : ValueRange())
      if (!followed && isSplitAlong(operand, axis))
        followed = operand;
    if (!followed) {
      add("annotated: " + describeValue(value) + " is split by '" +
          toString(axis) + "'");
      return chain;
    }
    add(describeValue(value) + " is split as its operand " +
        describeValue(followed));
    value = followed;
  }
  return chain;
}

std::string tessera::describeNeed(Operation *user, const FactorRule &rule,
                                  const Layout &now, const Layout &wanted) {
  std::string consumer = describeOp(user);
  if (now.partial.size() > wanted.partial.size())
    return consumer + " needs the whole value; each device holds a term of a " +
           toString(now.partialKind);
  return consumer + " needs the value in another layout: " + rule.str();
}

std::string tessera::describeEdgeNeed(Operation *op, const DataFlowEdge &edge,
                                      const Layout &now) {
  if (edge.hasLeadingSource() && !now.dims.front().axes.empty())
    return describeOp(op) +
           " runs its iterations one after another on every device, so "
           "dimension 0 of " +
           edge.describe() + " must be whole";
  if (!now.partial.empty())
    return edge.describe() + " of " + describeOp(op) +
           " needs the reduced value; each device holds a partial " +
           toString(now.partialKind);
  return edge.describe() + " of " + describeOp(op) +
         (edge.kind == DataFlowEdge::Kind::Result
              ? " has one layout for all branches"
              : " has one layout in all iterations");
}

static const Layout &layoutOfValue(Value value) {
  return cast<MeshTensorType>(value.getType()).getLayout();
}

static bool isPartialAlong(Value value, const AxisRef &axis) {
  return isa<MeshTensorType>(value.getType()) &&
         llvm::is_contained(layoutOfValue(value).partial, axis);
}

llvm::SetVector<Value> tessera::findPartialSources(Value value,
                                                   const AxisRef &axis) {
  llvm::SetVector<Value> sources;
  llvm::SetVector<Value> seen;
  seen.insert(value);
  for (size_t i = 0; i < seen.size(); ++i) {
    Operation *op = seen[i].getDefiningOp();
    SmallVector<Value> operands;
    if (std::optional<DataFlowEdge> edge = findEdgeTo(seen[i]))
      for (OpOperand *end : edge->sources)
        operands.push_back(end->get());
    else if (op)
      llvm::append_range(operands, op->getOperands());
    bool isPassedOn = false;
    for (Value operand : operands)
      if (isPartialAlong(operand, axis)) {
        seen.insert(operand);
        isPassedOn = true;
      }
    if (!isPassedOn)
      sources.insert(seen[i]);
  }
  return sources;
}

/// Why `source` is partial along `axis`: an argument by its annotation, an op's
/// result as the dimension that the op sums over came to be split.
static SmallVector<Attribute> originsOfPartial(Value source,
                                               const AxisRef &axis) {
  MLIRContext *context = source.getContext();
  Operation *producer = source.getDefiningOp();
  if (!producer)
    return {StringAttr::get(context, "annotated: " + describeValue(source) +
                                         " is partial along '" +
                                         toString(axis) + "'")};
  ReduceKind kind = layoutOfValue(source).partialKind;
  std::string combines = kind == ReduceKind::Sum ? " sums over"
                                                 : std::string(" takes the ") +
                                                       toString(kind) + " over";
  // Of several operands that it splits, one whose reasons are recorded.
  SmallVector<Value> operands = llvm::to_vector(producer->getOperands());
  llvm::stable_sort(operands, [&](Value a, Value b) {
    return !originsOf(a, toString(axis)).empty() &&
           originsOf(b, toString(axis)).empty();
  });
  for (Value operand : operands) {
    if (!isSplitAlong(operand, axis) &&
        originsOf(operand, toString(axis)).empty())
      continue;
    SmallVector<Attribute> chain = chainOf(operand, axis);
    chain.insert(chain.begin(),
                 StringAttr::get(context, describeValue(source) + combines +
                                              " a dimension that '" +
                                              toString(axis) + "' splits"));
    return chain;
  }
  return {StringAttr::get(context, "annotated: " + describeValue(source) +
                                       " is partial along '" + toString(axis) +
                                       "'")};
}

/// Why `value` is a part of an op that was written out; empty where it is none.
static std::string describeExpansion(Value value) {
  std::string text;
  value.getLoc()->walk([&](Location loc) {
    auto name = dyn_cast<NameLoc>(loc);
    StringRef note = name ? name.getName().getValue() : StringRef();
    if (!note.consume_front(expansionNote))
      return WalkResult::advance();
    text = ("; " + note).str();
    return WalkResult::interrupt();
  });
  return text;
}

dist::WhyAttr tessera::explainReshard(Value value, const Layout &wanted,
                                      const std::string &rule) {
  MLIRContext *context = value.getContext();
  const Layout &now = layoutOfValue(value);
  SmallVector<Attribute> origins;
  for (const AxisRef &axis : now.partial)
    for (Value source : findPartialSources(value, axis))
      llvm::append_range(origins, originsOfPartial(source, axis));
  if (origins.empty())
    for (const DimLayout &dim : now.dims)
      for (const AxisRef &axis : dim.axes)
        llvm::append_range(origins, chainOf(value, axis));
  if (origins.empty())
    for (const DimLayout &dim : wanted.dims)
      for (const AxisRef &axis : dim.axes)
        origins.push_back(StringAttr::get(context, "'" + toString(axis) +
                                                       "' splits it at its "
                                                       "user"));
  std::string text = rule + "; it comes from " + describeValue(value) + " as " +
                     now.str() + describeExpansion(value);
  return dist::WhyAttr::get(context, StringAttr::get(context, text),
                            ArrayAttr::get(context, origins), 0, 0,
                            ArrayAttr::get(context, {}));
}
