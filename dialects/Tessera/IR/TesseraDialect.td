// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TESSERA_IR_TESSERADIALECT_TD
#define TESSERA_TESSERA_IR_TESSERADIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/Tessera/IR/TesseraInterfaces.td"

def Tessera_Dialect : Dialect {
  let name = "tessera";
  let cppNamespace = "::tessera";
  let summary = "Tensor programs on whole (logical) tensors.";
  let description = [{
    The ops compute on `!tessera.mesh_tensor` values, whose type carries the
    logical shape and the layout on a mesh. After partitioning the same ops
    compute on builtin tensors of local shape, with the same meaning.
    Shapes are static. There is no implicit broadcasting and no implicit
    conversion of element types.

    The attribute `tessera.phase`, "forward" or "backward", may be on any op: the
    pass over a model that it belongs to. A change of layout is shared by the
    users of one phase.
  }];
  let dependentDialects = ["::tessera::dist::DistDialect"];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let hasConstantMaterializer = 1;
  let hasCanonicalizer = 1;
  let hasOperationAttrVerify = 1;
  let extraClassDeclaration = [{
    /// Module attribute: the stage that the module has reached, as in --emit=.
    /// tessera-verify-stage sets it; passes that lead on remove it.
    static constexpr ::llvm::StringLiteral stageAttrName = "tessera.stage";
    /// Module attribute: the name of the entry function, a string.
    static constexpr ::llvm::StringLiteral entryAttrName = "tessera.entry";
    /// That of `module`; "main" where it says nothing.
    static ::llvm::StringRef getEntry(::mlir::Operation *module);
    /// Attribute of an op: the phase it belongs to, "forward" or "backward".
    static constexpr ::llvm::StringLiteral phaseAttrName = "tessera.phase";
  }];
}

// Every op of the dialect. An op either computes (and then has a factor rule)
// or, like `reshard`, only changes a layout.
class Tessera_Op<string mnemonic, list<Trait> traits = []>
    : Op<Tessera_Dialect, mnemonic, !listconcat([Pure], traits)>;
// `rule`, `part` and `kernel` list the methods with a default that the op
// overrides: of FactorRuleInterface, LocaliseInterface and KernelInterface.
class Tessera_ComputeOp<string mnemonic, list<Trait> traits = [],
                        list<string> rule = [], list<string> part = [],
                        list<string> kernel = []>
    : Tessera_Op<mnemonic, !listconcat(
        [DeclareOpInterfaceMethods<Tessera_FactorRuleInterface, rule>,
         DeclareOpInterfaceMethods<Tessera_LocaliseInterface, part>,
         DeclareOpInterfaceMethods<Tessera_ResultTypeInterface>,
         DeclareOpInterfaceMethods<Tessera_KernelInterface, kernel>], traits)>;

// A whole-program tensor, or a local builtin tensor of static shape.
def Tessera_Tensor : Type<
    CPred<"::tessera::isProgramTensor($_self)">,
    "mesh tensor or statically shaped tensor of f32, bf16, f16, f64, i32, i64, ui32 or i1",
    "::mlir::Type">;
class Tessera_TensorOf<string pred, string desc> : Type<And<[
    Tessera_Tensor.predicate,
    CPred<"[](::mlir::Type t) { return " # pred # "; }(::mlir::getElementTypeOrSelf($_self))">]>,
    "mesh tensor or statically shaped tensor of " # desc, "::mlir::Type">;
def Tessera_FloatTensor : Tessera_TensorOf<
    "::llvm::isa<::mlir::FloatType>(t)", "a float type">;
def Tessera_IntTensor : Tessera_TensorOf<
    "t.isInteger(32) || t.isInteger(64)", "i32, ui32 or i64">;
def Tessera_BoolTensor : Tessera_TensorOf<"t.isInteger(1)", "i1">;
def Tessera_NumberTensor : Tessera_TensorOf<
    "::llvm::isa<::mlir::FloatType>(t) || t.isInteger(32) || t.isInteger(64)", "a float or integer type">;
def Tessera_IntOrBoolTensor : Tessera_TensorOf<
    "::llvm::isa<::mlir::IntegerType>(t)", "an integer type or i1">;

#endif // TESSERA_TESSERA_IR_TESSERADIALECT_TD
