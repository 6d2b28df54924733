// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Relocatable objects to a shared object, by lld.
#ifndef TESSERA_LIB_TARGET_CPU_LINKOBJECT_H
#define TESSERA_LIB_TARGET_CPU_LINKOBJECT_H

#include "mlir/IR/Location.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/SmallVector.h"

namespace tessera {

/// Links relocatable objects into a shared object by running `linker`.
llvm::FailureOr<llvm::SmallVector<char>>
linkSharedObject(llvm::ArrayRef<llvm::StringRef> objects,
                 llvm::StringRef linker, mlir::Location loc);

} // namespace tessera

#endif // TESSERA_LIB_TARGET_CPU_LINKOBJECT_H
