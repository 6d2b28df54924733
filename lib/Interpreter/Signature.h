// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The attributes that tell how a device program's arguments and results are
// parts of whole tensors.
#ifndef TESSERA_LIB_INTERPRETER_SIGNATURE_H
#define TESSERA_LIB_INTERPRETER_SIGNATURE_H

#include "dialects/Dist/IR/Dist.h"
#include "tessera/Interpreter/Interpreter.h"

namespace tessera::interpreter {

/// An argument or a result. Both attributes are null for a mesh tensor and for
/// a value that is whole on every device.
struct Endpoint {
  mlir::Type type;
  dist::LayoutAttr layout;
  mlir::TypeAttr globalType;
};
Endpoint argumentOf(mlir::func::FuncOp function, unsigned i);
Endpoint resultOf(mlir::func::FuncOp function, unsigned i);

/// The largest value that is evaluated, over all devices: 2 GiB of doubles.
inline constexpr int64_t maxInterpretedElements = int64_t(1) << 28;
/// Whether a tensor of `shape` on each device is no larger than that.
bool fitsInterpreter(llvm::ArrayRef<int64_t> shape, int64_t numDevices);

} // namespace tessera::interpreter

#endif // TESSERA_LIB_INTERPRETER_SIGNATURE_H
