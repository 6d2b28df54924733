// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Cumulative ops along a dimension that devices hold parts of.
#ifndef TESSERA_DIALECTS_TESSERA_TRANSFORMS_SPLITSCANS_H
#define TESSERA_DIALECTS_TESSERA_TRANSFORMS_SPLITSCANS_H

#include "dialects/Tessera/Transforms/ReshardSteps.h"

namespace tessera {

/// Writes `op`, whose operand is local already, as a scan of each device's part
/// and the exchange of one value of each: what the parts before a device's own
/// come to is combined into its scan. Gives the local value of the result, or
/// null where the dimension is not split. The builder of `values` inserts
/// before the op.
mlir::FailureOr<mlir::Value>
writeSplitScan(CumulativeOp op, LocalValues &values, ReshardSteps &reshards);

} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_TRANSFORMS_SPLITSCANS_H
