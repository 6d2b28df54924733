// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TARGET_PASSES_TD
#define TESSERA_TARGET_PASSES_TD

include "mlir/Pass/PassBase.td"

def EmulateNVVM : Pass<"emulate-nvvm", "::mlir::ModuleOp"> {
  let summary = "Turns GPU kernels into host functions that call the emulator.";
  let description = [{
    Input: `gpu.module` ops that hold kernels (`llvm.func` with `nvvm.kernel`) in
    the LLVM and NVVM dialects, the very ones that are compiled to PTX.

    Each kernel becomes `llvm.func @name(%args: !llvm.ptr)` in the enclosing
    module: the program of one thread, whose arguments are read from the array
    `args`. Each NVVM op becomes a call through the table of
    include/tessera/ABI/EmulatorABI.h; each access to global or shared memory is
    preceded by a check. For global memory the check also takes the access's
    number and the iteration of the loop around it, by which the accesses that
    the lanes of a warp make together are recognised. Shared memory globals become offsets into the block's
    shared memory. Arithmetic is not touched.

    An NVVM op that the emulator does not model is an error at the op.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

#endif // TESSERA_TARGET_PASSES_TD
