// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Dist/IR/Boundary.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::dist;

Boundary dist::readBoundary(DictionaryAttr attributes) {
  if (!attributes)
    return {};
  return {attributes.getAs<LayoutAttr>(layoutAttrName),
          attributes.getAs<TypeAttr>(globalTypeAttrName)};
}

Boundary dist::readArgument(FunctionOpInterface function, unsigned index) {
  return readBoundary(function.getArgAttrDict(index));
}

Boundary dist::readResult(FunctionOpInterface function, unsigned index) {
  return readBoundary(function.getResultAttrDict(index));
}

void dist::writeBoundary(NamedAttrList &attributes, const Layout &layout,
                         RankedTensorType whole) {
  MLIRContext *context = whole.getContext();
  attributes.set(layoutAttrName, LayoutAttr::get(context, layout));
  attributes.set(globalTypeAttrName, TypeAttr::get(whole));
}
