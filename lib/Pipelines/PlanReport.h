// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What a plan tells about its program, as JSON.
#ifndef TESSERA_LIB_PIPELINES_PLANREPORT_H
#define TESSERA_LIB_PIPELINES_PLANREPORT_H

#include "dialects/Plan/IR/Plan.h"
#include "tessera/Pipelines/Report.h"

namespace tessera {

/// Adds "arenaBytes", "launches", "ties" and "stages" of a program whose memory
/// is assigned.
void reportPlan(plan::ProgramOp program, Report &report);

} // namespace tessera

#endif // TESSERA_LIB_PIPELINES_PLANREPORT_H
