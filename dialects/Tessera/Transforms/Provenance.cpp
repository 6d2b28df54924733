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

std::string tessera::describeValue(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    auto function =
        dyn_cast_or_null<func::FuncOp>(argument.getOwner()->getParentOp());
    if (function)
      if (auto name = function.getArgAttrOfType<StringAttr>(
              argument.getArgNumber(), argumentNameAttr))
        return ("argument '" + name.getValue() + "'").str();
    return "argument " + std::to_string(argument.getArgNumber());
  }
  Operation *op = value.getDefiningOp();
  std::string where = describeLocation(op->getLoc());
  std::string text = op->getName().getStringRef().str();
  return where.empty() ? text : text + " at " + where;
}

SmallVector<Attribute> tessera::originsOf(Value value, StringRef axis) {
  DictionaryAttr origins;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
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

std::string tessera::describeNeed(Operation *user, const FactorRule &rule,
                                  const Layout &now, const Layout &wanted) {
  std::string where = describeLocation(user->getLoc());
  std::string consumer = user->getName().getStringRef().str() +
                         (where.empty() ? "" : " at " + where);
  if (now.partial.size() > wanted.partial.size())
    return consumer +
           " needs the whole value, of which each device holds a term of a " +
           toString(now.partialKind);
  return consumer + " needs the value in another layout: " + rule.str();
}

static const Layout &layoutOfValue(Value value) {
  return cast<MeshTensorType>(value.getType()).getLayout();
}

/// The op that first made `value` partial: those after it passed it on.
static Operation *findPartialSource(Value value) {
  Operation *op = value.getDefiningOp();
  while (op) {
    Value partial;
    for (Value operand : op->getOperands())
      if (isa<MeshTensorType>(operand.getType()) &&
          !layoutOfValue(operand).partial.empty())
        partial = operand;
    if (!partial)
      return op;
    op = partial.getDefiningOp();
  }
  return nullptr;
}

/// Why the dimension that `producer` sums over came to be split by `axis`.
static SmallVector<Attribute> originsOfPartial(Operation *producer,
                                               const AxisRef &axis) {
  for (Value operand : producer->getOperands()) {
    SmallVector<Attribute> chain = originsOf(operand, toString(axis));
    if (chain.empty())
      continue;
    std::string where = describeLocation(producer->getLoc());
    std::string text = producer->getName().getStringRef().str() +
                       (where.empty() ? "" : " at " + where) +
                       " sums over a dimension that '" + toString(axis) +
                       "' splits";
    chain.insert(chain.begin(), StringAttr::get(producer->getContext(), text));
    return chain;
  }
  return {};
}

dist::WhyAttr tessera::explainReshard(Value value, const Layout &wanted,
                                      const std::string &rule) {
  MLIRContext *context = value.getContext();
  const Layout &now = layoutOfValue(value);
  SmallVector<Attribute> origins;
  if (Operation *producer = findPartialSource(value))
    for (const AxisRef &axis : now.partial)
      llvm::append_range(origins, originsOfPartial(producer, axis));
  if (origins.empty())
    for (const DimLayout &dim : now.dims)
      for (const AxisRef &axis : dim.axes)
        llvm::append_range(origins, originsOf(value, toString(axis)));
  if (origins.empty())
    for (const DimLayout &dim : wanted.dims)
      for (const AxisRef &axis : dim.axes)
        origins.push_back(StringAttr::get(context, "'" + toString(axis) +
                                                       "' splits it at its "
                                                       "user"));
  std::string text =
      rule + "; it comes from " + describeValue(value) + " as " + now.str();
  return dist::WhyAttr::get(context, StringAttr::get(context, text),
                            ArrayAttr::get(context, origins), 0, 0,
                            ArrayAttr::get(context, {}));
}
