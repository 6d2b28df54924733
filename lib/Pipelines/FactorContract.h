// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What stage `reshards` asks of an op's layouts.
#ifndef TESSERA_LIB_PIPELINES_FACTORCONTRACT_H
#define TESSERA_LIB_PIPELINES_FACTORCONTRACT_H

#include "dialects/Tessera/IR/Tessera.h"

namespace tessera {

/// First violation, in words, of: operands and results split each factor alike;
/// Replicate factors are whole; an operand is partial only as a linear group
/// allows; the result is partial along exactly the axes that a split Reduce
/// factor or a partial operand gives it, with their kind. Axes of one device do
/// not count.
std::optional<std::string> findFactorProblem(FactorRuleInterface op,
                                             const Mesh &mesh);

} // namespace tessera

#endif // TESSERA_LIB_PIPELINES_FACTORCONTRACT_H
