// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_DIST_IR_DISTDIALECT_TD
#define TESSERA_DIST_IR_DISTDIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/OpBase.td"

def Dist_Dialect : Dialect {
  let name = "dist";
  let cppNamespace = "::tessera::dist";
  let summary = "Device meshes, layouts on them, and collectives on local tensors.";
  let description = [{
    `dist.mesh` names the devices. `#dist.layout` says how a logical tensor is
    distributed over them. The collectives take and give builtin tensors of *local* shape: a
    function that holds them is the program of one device, and every device of
    the mesh runs the same sequence.
  }];
  let useDefaultAttributePrinterParser = 1;
}

class Dist_Attr<string name, string attrMnemonic> : AttrDef<Dist_Dialect, name> {
  let mnemonic = attrMnemonic;
}
class Dist_Op<string mnemonic, list<Trait> traits = []>
    : Op<Dist_Dialect, mnemonic, traits>;

#endif // TESSERA_DIST_IR_DISTDIALECT_TD
