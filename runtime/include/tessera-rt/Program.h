// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Artefacts as the runtime accepts them.
#ifndef TESSERA_RT_PROGRAM_H
#define TESSERA_RT_PROGRAM_H

#include "tessera-rt/Status.h"
#include "tessera/ABI/PlanFormat.h"

namespace tessera::rt {

/// Reads an artefact and checks it as a whole: executing what this returns
/// touches no memory outside its buffers (kernels aside, which are trusted).
Result<abi::Artefact> loadArtefact(const void *bytes, size_t size);

/// Checks every index, size, enumerator and shape of a plan. Part of
/// loadArtefact; for plans that were not read from bytes.
Status validatePlan(const abi::Artefact &artefact);

/// "step 3 (launch of 'matmul_0')".
std::string describeStep(const abi::Plan &plan, size_t index);

} // namespace tessera::rt

#endif // TESSERA_RT_PROGRAM_H
