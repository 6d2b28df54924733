// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Keeps numbers of bf16 out of the host's back end.
#ifndef TESSERA_LIB_TARGET_CPU_BF16ASBITS_H
#define TESSERA_LIB_TARGET_CPU_BF16ASBITS_H

#include "mlir/IR/BuiltinOps.h"

namespace tessera {

/// Turns values of bf16 into values of i16 with the same bits. Kernels only
/// move such numbers, their conversions are bit arithmetic; x86 without bf16
/// instructions would widen them to f32 for a move and narrow them by calls of
/// the compiler's library, which host objects do not link.
void moveBF16AsBits(mlir::ModuleOp module);

} // namespace tessera

#endif // TESSERA_LIB_TARGET_CPU_BF16ASBITS_H
