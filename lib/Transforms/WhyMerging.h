// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// How the reasons of collectives are joined when a rewrite merges them.
#ifndef TESSERA_LIB_TRANSFORMS_WHYMERGING_H
#define TESSERA_LIB_TRANSFORMS_WHYMERGING_H

#include "dialects/Dist/IR/Dist.h"
#include "tessera/Analysis/ReshardPlanner.h"

namespace tessera::dist {

/// The reasons of `parts` (null ones are skipped), each once, with the modelled
/// cost of the collective of `kind` over `axes` that they now share. Null when
/// all are null.
WhyAttr mergeWhys(llvm::ArrayRef<WhyAttr> parts, CollectiveKind kind,
                  AxesAttr axes, mlir::Value input, const Mesh &mesh);

/// The reasons of `a` and `b` with the cost of `a`: for two equal collectives.
WhyAttr mergeWhys(WhyAttr a, WhyAttr b);

} // namespace tessera::dist

#endif // TESSERA_LIB_TRANSFORMS_WHYMERGING_H
