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
