// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TESSERA_IR_TESSERAENUMS_TD
#define TESSERA_TESSERA_IR_TESSERAENUMS_TD

include "mlir/IR/EnumAttr.td"
include "dialects/Tessera/IR/TesseraDialect.td"

class Tessera_Enum<string name, string desc, list<string> cases>
    : I32EnumAttr<name, desc, !foreach(i, !range(!size(cases)),
        I32EnumAttrCase<cases[i], i>)> {
  let cppNamespace = "::tessera";
  let genSpecializedAttr = 0;
}

def Tessera_CompareDirection : Tessera_Enum<"CompareDirection",
    "Which comparison.", ["eq", "ne", "lt", "le", "gt", "ge"]>;
def Tessera_CompareDirectionAttr
    : EnumAttr<Tessera_Dialect, Tessera_CompareDirection, "direction"> {
  let assemblyFormat = "$value";
}

def Tessera_GeluApproximation : Tessera_Enum<"GeluApproximation",
    "Formula of gelu.", ["none", "tanh"]>;
def Tessera_GeluApproximationAttr
    : EnumAttr<Tessera_Dialect, Tessera_GeluApproximation, "approximation"> {
  let assemblyFormat = "$value";
}

def Tessera_AttentionOperand : Tessera_Enum<"AttentionOperand",
    "An operand of attention.", ["query", "key", "value"]>;
def Tessera_AttentionOperandAttr
    : EnumAttr<Tessera_Dialect, Tessera_AttentionOperand, "attention_operand"> {
  let assemblyFormat = "$value";
}

def Tessera_ScatterKind : Tessera_Enum<"ScatterKind",
    "How a scatter combines elements.", ["set", "add", "max", "min"]>;
def Tessera_ScatterKindAttr
    : EnumAttr<Tessera_Dialect, Tessera_ScatterKind, "scatter"> {
  let assemblyFormat = "$value";
}

def Tessera_RngDistribution : Tessera_Enum<"RngDistribution",
    "What random numbers follow.", ["uniform", "normal", "bits"]>;
def Tessera_RngDistributionAttr
    : EnumAttr<Tessera_Dialect, Tessera_RngDistribution, "distribution"> {
  let assemblyFormat = "$value";
}

#endif // TESSERA_TESSERA_IR_TESSERAENUMS_TD
