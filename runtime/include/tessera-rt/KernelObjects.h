// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The host kernels of an artefact.
#ifndef TESSERA_RT_KERNELOBJECTS_H
#define TESSERA_RT_KERNELOBJECTS_H

#include "tessera-rt/SharedObject.h"
#include "tessera/ABI/PlanFormat.h"

#include <vector>

namespace tessera::rt {

struct KernelObjects {
  std::vector<SharedObject> objects;
  std::vector<void *> functions; ///< One per kernel of the plan.

  /// Loads all objects and finds every kernel's symbol. Refuses objects that
  /// use instructions which this machine lacks.
  static Result<KernelObjects> load(const abi::Artefact &artefact);
};

} // namespace tessera::rt

#endif // TESSERA_RT_KERNELOBJECTS_H
