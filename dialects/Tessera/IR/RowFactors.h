// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What ops on whole rows state of themselves alike.
#ifndef TESSERA_DIALECTS_TESSERA_IR_ROWFACTORS_H
#define TESSERA_DIALECTS_TESSERA_IR_ROWFACTORS_H

#include "dialects/Tessera/IR/Tessera.h"

namespace tessera {

/// Factors of a tensor whose dimension `dim` stays whole.
inline TensorFactors addRowFactors(FactorRule &rule,
                                   llvm::ArrayRef<int64_t> shape, int64_t dim) {
  TensorFactors factors;
  for (auto [d, size] : llvm::enumerate(shape))
    factors.push_back(
        {rule.addFactor("d" + std::to_string(d), size,
                        static_cast<int64_t>(d) == dim ? FactorKind::Replicate
                                                       : FactorKind::Pass)});
  return factors;
}

/// As a factor of operations.
inline double numElements(mlir::Value value) {
  return static_cast<double>(mlir::ShapedType::getNumElements(shapeOf(value)));
}

} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_IR_ROWFACTORS_H
