// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelConstants.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace tessera;

Value KernelConstants::index(int64_t value) {
  Value &constant = known[value];
  if (!constant) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(entry);
    constant = arith::ConstantIndexOp::create(builder, first, value);
  }
  return constant;
}

Value KernelConstants::of(TypedAttr value) {
  return arith::ConstantOp::create(builder, loc, value);
}

Value KernelConstants::number(Type type, double value) {
  if (isa<FloatType>(type))
    return of(builder.getFloatAttr(type, value));
  return of(builder.getIntegerAttr(type, static_cast<int64_t>(value)));
}
