// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_CONVERSION_PASSES_TD
#define TESSERA_CONVERSION_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertTesseraToTile : Pass<"convert-tessera-to-tile", "::mlir::ModuleOp"> {
  let summary = "Forms kernels of the local program's computation.";
  let description = [{
    Input: stage `local`. Output: stage `kernels`: every op that computes is part
    of a `tile.kernel`, launched from the function by `tile.launch`; collectives,
    reshapes (renamings of the same bytes) and constants that are not splat stay.

    Ops are grouped around products, attention and row operations, with the
    elementwise ops and movements that feed and follow them; a value that several
    kernels or the host need is a kernel's output. A kernel computes one block of
    its output; the blocks of other values that this takes are derived op by op.
    Booleans are i8 in kernel memory. Kernels that differ only in name are merged.
  }];
  let options = [
    Option<"target", "target", "std::string", /*default=*/"",
           "What the kernels are for, cpu or cuda[:<chip>]; by default what the "
           "module's tile.target says, else cpu. Given, it becomes the "
           "module's tile.target">];
  let dependentDialects = ["::tessera::tile::TileDialect", "::mlir::func::FuncDialect"];
}

def ConvertTileToCPU : Pass<"convert-tile-to-cpu", "::mlir::ModuleOp"> {
  let summary = "Turns tile kernels into host functions on vectors.";
  let description = [{
    Input: stage `kernels`. Output: for each kernel
    `llvm.func @name(args, begin, end)`, which runs blocks [begin, end) of the
    linearised grid (include/tessera/ABI/KernelABI.h), in the LLVM dialect alone.
    The host functions and meshes are removed; convert-host-to-plan lowers
    them.

    Tiles are computed vector by vector where they are used, or buffered on the
    stack. Products are register-blocked over packed panels. Transcendental
    functions of f32 become polynomials; pow and functions of f64 are calls of the
    C library.

    `tessera.stack_bytes` of a function is the stack that its buffers take.

    Errors: an op that is not part of the tile stage; more than 4 MiB of stack.
  }];
  let options = [
    Option<"vectorBits", "vector-bits", "int64_t", /*default=*/"0",
           "Bits of a vector register: 512, 256 or 128; 0: what the module's "
           "tile.target says, else 512">];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::cf::ControlFlowDialect",
                           "::mlir::math::MathDialect", "::mlir::vector::VectorDialect",
                           "::mlir::ub::UBDialect"];
}

def ConvertTileToNVVM : Pass<"convert-tile-to-nvvm", "::mlir::ModuleOp"> {
  let summary = "Turns tile kernels into NVVM kernels of simple schedules.";
  let description = [{
    Input: stage `kernels`. Output: `gpu.module @kernels` with one `llvm.func`
    a kernel (`nvvm.kernel`, `nvvm.reqntid`, and `tessera.shared_bytes`), in the
    LLVM and NVVM dialects alone. The host functions and meshes are removed;
    convert-host-to-plan lowers them.

    Elements of stores, reductions, products and buffers are dealt to the block's
    threads; neighbouring threads take neighbouring elements, so global accesses
    coalesce, by vectors of up to 16 bytes. Products accumulate in registers, for
    a whole loop where it only adds to them, from operands in shared memory: of
    bf16 and f16 on the tensor cores (`mma.sync`) where tiles of 16x8x16 divide
    them, else by multiply-adds; f32 is never rounded to tf32. Other
    tiles carried by loops are in shared memory, which the launch provides:
    `tessera.shared_bytes` of it.
    Transcendental functions become polynomials in f32.

    The chip is that of the module's `tile.target`; without one, kernels must fit
    every chip.

    Errors: an op that is not part of the tile stage; more shared memory than a
    block of the chip has; a grid that no GPU takes; transcendental functions of
    f64.
  }];
  let dependentDialects = ["::mlir::gpu::GPUDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::NVVM::NVVMDialect", "::mlir::cf::ControlFlowDialect",
                           "::mlir::math::MathDialect", "::mlir::vector::VectorDialect"];
}

def ConvertHostToPlan : Pass<"convert-host-to-plan", "::mlir::ModuleOp"> {
  let summary = "Turns the host function into a plan.";
  let description = [{
    Input: stage `kernels`. The entry function becomes a `plan.program` of the
    same name; other functions are removed, kernels and meshes stay.

    Tensors that are one and the same, or become one another, share memory where
    no two of them hold values at once (include/tessera/Analysis/BufferSharing.h);
    elsewhere they are copied:

    * A result is written where it will be returned: into an output's buffer,
      where one value is returned once. An argument with `tessera.tied = k` is
      donated: result k is computed in its memory, where every read of the
      argument is before the result is written or is by the kernel that writes it,
      at the same index. Otherwise the result is copied there in the end.
    * A carried value of a loop is updated in place if the step that computes the
      next one allows it, else it has two buffers that are exchanged. What it
      begins with is in the same memory where nothing reads that later.
    * Slices of sequences and entries of stacked results are windows of the whole
      buffer. What a branch yields is written where the result is.
    * What a kernel computes is written over an operand that is read for the last
      time, where the kernel reads it at the same index.
    * An all_reduce whose operand has no later use works in place. Reshapes name
      the same bytes. Large splats are filled, other constants are stored.

    Errors: an op that is not part of stage `kernels`; an argument or result of
    the entry without `dist.layout` and `dist.global_type`; a tie to a result that
    does not exist. A tie to a result of another type or layout is dropped with a
    remark.
  }];
  let options = [
    Option<"entry", "entry", "std::string", /*default=*/"",
           "Name of the entry function; by default what the module's "
           "tessera.entry says, else main">,
    Option<"windowAlignment", "window-alignment", "int64_t", /*default=*/"0",
           "Alignment in bytes that kernels require of their arguments; "
           "slices with a smaller one are copied; 0: what the module's tile.target "
           "needs">];
  let dependentDialects = ["::tessera::plan::PlanDialect"];
}

#endif // TESSERA_CONVERSION_PASSES_TD
