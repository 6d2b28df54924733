// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the arguments and results of one device's program say of the whole
// tensors that they are parts of.
#ifndef TESSERA_DIALECTS_DIST_IR_BOUNDARY_H
#define TESSERA_DIALECTS_DIST_IR_BOUNDARY_H

#include "dialects/Dist/IR/Dist.h"

#include "mlir/Interfaces/FunctionInterfaces.h"

namespace tessera::dist {

/// The attributes of an argument or result that say how the runtime cuts and
/// joins the whole tensor.
inline constexpr llvm::StringLiteral layoutAttrName = "dist.layout";
inline constexpr llvm::StringLiteral globalTypeAttrName = "dist.global_type";

/// Both are null on functions that no runtime calls.
struct Boundary {
  LayoutAttr layout;
  mlir::TypeAttr globalType; ///< A ranked tensor of static shape.

  bool isComplete() const { return layout && globalType; }
};

Boundary readBoundary(mlir::DictionaryAttr attributes);
Boundary readArgument(mlir::FunctionOpInterface function, unsigned index);
Boundary readResult(mlir::FunctionOpInterface function, unsigned index);

/// Of a value that is a part of a tensor of type `whole` under `layout`.
Boundary makeBoundary(const Layout &layout, mlir::RankedTensorType whole);
void writeBoundary(mlir::NamedAttrList &attributes, const Boundary &boundary);

} // namespace tessera::dist

#endif // TESSERA_DIALECTS_DIST_IR_BOUNDARY_H
