// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TESSERA_IR_TESSERATYPES_TD
#define TESSERA_TESSERA_IR_TESSERATYPES_TD

include "mlir/IR/BuiltinTypeInterfaces.td"
include "dialects/Tessera/IR/TesseraDialect.td"

def Tessera_MeshTensorType : TypeDef<Tessera_Dialect, "MeshTensor", [ShapedTypeInterface]> {
  let mnemonic = "mesh_tensor";
  let summary = "A logical tensor laid out on a mesh.";
  let description = [{
    `!tessera.mesh_tensor<16x2048xbf16, @mesh, [{dp}, {?} ]>`: logical shape,
    element type, mesh, and the layout of `#dist.layout`. A layout that leaves
    every dimension open, as before propagation, is not printed:
    `!tessera.mesh_tensor<16x2048xbf16, @mesh>`.
  }];
  let parameters = (ins
    ArrayRefParameter<"int64_t", "logical shape">:$shape,
    TypeParameter<"::mlir::Type", "element type">:$elementType,
    AttrParameter<"::tessera::Layout", "layout, mesh name included", "const ::tessera::Layout &">:$layout);
  let hasCustomAssemblyFormat = 1;
  let extraClassDeclaration = [{
    /// By hand: what genVerifyDecl declares copies the layout at each call.
    static ::llvm::LogicalResult
    verifyInvariants(::llvm::function_ref<::mlir::InFlightDiagnostic()> emitError,
                     ::llvm::ArrayRef<int64_t> shape, ::mlir::Type elementType,
                     const ::tessera::Layout &layout);
    bool hasRank() const { return true; }
    ::mlir::ShapedType cloneWith(std::optional<::llvm::ArrayRef<int64_t>> shape,
                                 ::mlir::Type elementType) const;
    /// The same tensor laid out as `layout`.
    MeshTensorType withLayout(const ::tessera::Layout &layout) const;
    /// The builtin tensor each device of `mesh` holds.
    ::mlir::RankedTensorType getLocalType(const ::tessera::Mesh &mesh) const;
  }];
}

#endif // TESSERA_TESSERA_IR_TESSERATYPES_TD
