// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Constants of the function that a kernel becomes.
#ifndef TESSERA_LIB_CONVERSION_TILEKERNELS_KERNELCONSTANTS_H
#define TESSERA_LIB_CONVERSION_TILEKERNELS_KERNELCONSTANTS_H

#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"

namespace tessera {

class KernelConstants {
public:
  /// `entry` is the block that dominates all others. `loc` is where `builder`
  /// emits at present.
  KernelConstants(mlir::OpBuilder &builder, const mlir::Location &loc,
                  mlir::Block *entry)
      : builder(builder), loc(loc), first(loc), entry(entry) {}

  /// One op a value, in the entry block, so that equal indices are equal
  /// values.
  mlir::Value index(int64_t value);
  mlir::Value number(mlir::Type type, double value);
  mlir::Value of(mlir::TypedAttr value);

private:
  mlir::OpBuilder &builder;
  const mlir::Location &loc;
  mlir::Location first; ///< The kernel's.
  mlir::Block *entry;
  llvm::DenseMap<int64_t, mlir::Value> known;
};

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TILEKERNELS_KERNELCONSTANTS_H
