// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The stages of a program together.
#ifndef TESSERA_DIALECTS_PLAN_IR_STAGES_H
#define TESSERA_DIALECTS_PLAN_IR_STAGES_H

#include "dialects/Plan/IR/Plan.h"
#include "tessera/Analysis/Mesh.h"

namespace tessera::plan {

/// Verifies that every device of the mesh runs exactly one of the program's
/// stages, that all have the same joint steps, and that each writes the outputs
/// which its devices hold parts of. The axes of all steps are those of the
/// mesh.
mlir::LogicalResult verifyStages(ProgramOp program, const Mesh &mesh);

} // namespace tessera::plan

#endif // TESSERA_DIALECTS_PLAN_IR_STAGES_H
