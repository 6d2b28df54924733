// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/Program.h"
#include "tessera/ABI/PlanCodec.h"

using namespace tessera;
using namespace tessera::rt;

Result<abi::Artefact> tessera::rt::loadArtefact(const void *bytes,
                                                size_t size) {
  abi::Artefact artefact;
  std::string wrong =
      abi::decodeArtefact(static_cast<const char *>(bytes), size, artefact);
  if (!wrong.empty())
    return Status::error("the artefact " + wrong);
  Status status = validatePlan(artefact);
  if (!status.ok())
    return status.in("the artefact is inconsistent (written by compiler '" +
                     artefact.plan.compiler + "')");
  return artefact;
}
