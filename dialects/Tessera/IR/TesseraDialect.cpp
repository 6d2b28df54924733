// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/Calls.h"
#include "dialects/Tessera/IR/Effects.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tessera;

#include "dialects/Tessera/IR/TesseraDialect.cpp.inc"
#include "dialects/Tessera/IR/TesseraEnums.cpp.inc"
#include "dialects/Tessera/IR/TesseraInterfaces.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Tessera/IR/TesseraAttrs.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/Tessera/IR/TesseraTypes.cpp.inc"

void TesseraDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Tessera/IR/TesseraAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/Tessera/IR/TesseraTypes.cpp.inc"
      >();
#include "dialects/Tessera/IR/TesseraOps.inc"
}

StringRef TesseraDialect::getEntry(Operation *module) {
  auto name = module->getAttrOfType<StringAttr>(entryAttrName);
  return name ? name.getValue() : StringRef("main");
}

/// Folds give back splats and small constants in the type of the op they
/// replace.
Operation *TesseraDialect::materializeConstant(OpBuilder &builder,
                                               Attribute value, Type type,
                                               Location loc) {
  if (auto elements = dyn_cast<ElementsAttr>(value))
    return ConstantOp::create(builder, loc, type, elements);
  return nullptr;
}

LogicalResult TesseraDialect::verifyOperationAttribute(Operation *op,
                                                       NamedAttribute attr) {
  if (attr.getName() != phaseAttrName)
    return success();
  auto phase = dyn_cast<StringAttr>(attr.getValue());
  if (phase && (phase == "forward" || phase == "backward"))
    return success();
  return op->emitOpError() << "has phase " << attr.getValue()
                           << "; expected \"forward\" or \"backward\"";
}
