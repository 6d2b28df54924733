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

Boundary dist::makeBoundary(const Layout &layout, RankedTensorType whole) {
  return {LayoutAttr::get(whole.getContext(), layout), TypeAttr::get(whole)};
}

void dist::writeBoundary(NamedAttrList &attributes, const Boundary &boundary) {
  attributes.set(layoutAttrName, boundary.layout);
  attributes.set(globalTypeAttrName, boundary.globalType);
}
