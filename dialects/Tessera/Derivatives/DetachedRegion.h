// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A region that is in no op yet.
#ifndef TESSERA_DIALECTS_TESSERA_DERIVATIVES_DETACHEDREGION_H
#define TESSERA_DIALECTS_TESSERA_DERIVATIVES_DETACHEDREGION_H

#include "mlir/IR/Region.h"

namespace tessera::derivatives {

/// Ops of a program may use its values while it is made. Where that fails, what
/// is left of it gives these uses up before it is destroyed.
struct DetachedRegion : mlir::Region {
  ~DetachedRegion() {
    for (mlir::Block &block : *this)
      block.dropAllDefinedValueUses();
  }
};

} // namespace tessera::derivatives

#endif // TESSERA_DIALECTS_TESSERA_DERIVATIVES_DETACHEDREGION_H
