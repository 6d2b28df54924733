// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Values that are zero by the ops that they are computed by.
#ifndef TESSERA_DIALECTS_TESSERA_DERIVATIVES_ZEROVALUES_H
#define TESSERA_DIALECTS_TESSERA_DERIVATIVES_ZEROVALUES_H

#include "mlir/IR/Value.h"

#include "llvm/ADT/DenseMap.h"

namespace tessera::derivatives {

/// Looks each value up once. The program must not change meanwhile.
class ZeroValues {
public:
  /// Whether `value` is zero whatever the program is given; false where that is
  /// not seen. Loops, branches and calls are followed.
  bool contain(mlir::Value value);

private:
  bool isZeroByOp(mlir::Value value);
  bool isZeroByCall(mlir::Value value);

  llvm::DenseMap<mlir::Value, bool> known;
  /// Those known to be zero, in the order in which that was found, or assumed
  /// for what a loop carries.
  llvm::SmallVector<mlir::Value> zeros;
};

} // namespace tessera::derivatives

#endif // TESSERA_DIALECTS_TESSERA_DERIVATIVES_ZEROVALUES_H
