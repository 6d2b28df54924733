// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TESSERA_IR_TESSERAINTERFACES_TD
#define TESSERA_TESSERA_IR_TESSERAINTERFACES_TD

include "mlir/IR/OpBase.td"

def Tessera_FactorRuleInterface : OpInterface<"FactorRuleInterface"> {
  let cppNamespace = "::tessera";
  let description = [{
    The op's index space and how its operands and results map to it. Shapes are
    those of the op's types: logical before partitioning, local after.
  }];
  let methods = [
    InterfaceMethod<"The factor rule of this op.",
                    "::tessera::FactorRule", "getFactorRule", (ins)>,
    InterfaceMethod<[{Floating-point operations of one execution at the op's
        own shapes (a multiply-add counts as 2); 0 for data movement.}],
        "double", "getFlops", (ins), [{}], [{
          double elements = 1;
          auto type = ::llvm::cast<::mlir::ShapedType>($_op->getResult(0).getType());
          for (int64_t size : type.getShape())
            elements *= size;
          return elements;
        }]>,
  ];
}

#endif // TESSERA_TESSERA_IR_TESSERAINTERFACES_TD
