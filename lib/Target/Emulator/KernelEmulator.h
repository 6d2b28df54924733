// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Turns the NVVM ops of a kernel into calls of the emulator.
#ifndef TESSERA_LIB_TARGET_EMULATOR_KERNELEMULATOR_H
#define TESSERA_LIB_TARGET_EMULATOR_KERNELEMULATOR_H

#include "EmulatorCalls.h"

#include "llvm/ADT/StringMap.h"

namespace tessera {

/// The address space of shared memory.
constexpr unsigned sharedMemorySpace = 3;

/// Replaces the GPU ops of `kernel`, which is a host function by now, by calls.
/// Shared memory globals become offsets into the block's shared memory:
/// `sharedOffsets`, by name. Fails, with an error at the op, on what is not
/// modelled.
mlir::LogicalResult
emulateKernel(mlir::LLVM::LLVMFuncOp kernel, EmulatorCalls &calls,
              const llvm::StringMap<int64_t> &sharedOffsets);

} // namespace tessera

#endif // TESSERA_LIB_TARGET_EMULATOR_KERNELEMULATOR_H
