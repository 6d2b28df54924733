// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "BF16AsBits.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

void tessera::moveBF16AsBits(ModuleOp module) {
  Type bits = IntegerType::get(module.getContext(), 16);
  auto retype = [&](Value value) {
    if (!getElementTypeOrSelf(value.getType()).isBF16())
      return;
    auto vector = dyn_cast<VectorType>(value.getType());
    value.setType(vector ? Type(vector.clone(bits)) : bits);
  };
  module.walk([&](Operation *op) {
    for (Region &region : op->getRegions())
      for (Block &block : region)
        llvm::for_each(block.getArguments(), retype);
    if (auto constant = dyn_cast<LLVM::ConstantOp>(op)) {
      if (auto number = dyn_cast<FloatAttr>(constant.getValue());
          number && number.getType().isBF16())
        constant.setValueAttr(
            IntegerAttr::get(bits, number.getValue().bitcastToAPInt()));
      if (auto numbers = dyn_cast<DenseElementsAttr>(constant.getValue());
          numbers && numbers.getElementType().isBF16())
        constant.setValueAttr(numbers.bitcast(bits));
    }
    llvm::for_each(op->getResults(), retype);
    if (auto cast = dyn_cast<LLVM::BitcastOp>(op);
        cast && cast.getArg().getType() == cast.getType()) {
      cast.getResult().replaceAllUsesWith(cast.getArg());
      cast.erase();
    }
  });
}
