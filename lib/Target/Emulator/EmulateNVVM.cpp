// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelEmulator.h"
#include "dialects/Tessera/IR/DataFlow.h"
#include "tessera/Target/Passes.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace tessera {
#define GEN_PASS_DEF_EMULATENVVM
#include "lib/Target/Passes.h.inc"

namespace {

/// Offsets of the shared memory globals that `kernel` uses: one after another
/// in order of first use, each on its alignment.
llvm::StringMap<int64_t> layOutShared(LLVM::LLVMFuncOp kernel,
                                      SymbolTable &symbols) {
  llvm::StringMap<int64_t> offsets;
  int64_t end = 0;
  kernel.walk([&](LLVM::AddressOfOp op) {
    auto global = symbols.lookup<LLVM::GlobalOp>(op.getGlobalName());
    if (!global || global.getAddrSpace() != sharedMemorySpace ||
        offsets.contains(global.getSymName()))
      return;
    int64_t alignment = global.getAlignment().value_or(16);
    int64_t offset = llvm::alignTo(end, alignment);
    offsets[global.getSymName()] = offset;
    end = offset + static_cast<int64_t>(
                       DataLayout().getTypeSize(global.getGlobalType()));
  });
  return offsets;
}

/// A host function with the body of `kernel`; bindArguments completes it.
LLVM::LLVMFuncOp cloneAsHostFunction(OpBuilder &builder,
                                     LLVM::LLVMFuncOp kernel) {
  auto pointer = LLVM::LLVMPointerType::get(builder.getContext());
  auto type = LLVM::LLVMFunctionType::get(
      LLVM::LLVMVoidType::get(builder.getContext()), {pointer});
  auto function = LLVM::LLVMFuncOp::create(builder, kernel.getLoc(),
                                           kernel.getName(), type);
  IRMapping mapping;
  kernel.getBody().cloneInto(&function.getBody(), mapping);
  return function;
}

/// Replaces the kernel's arguments by loads from the one array argument. Last,
/// so that these loads, which are the host's, are not checked.
void bindArguments(LLVM::LLVMFuncOp function) {
  auto pointer = LLVM::LLVMPointerType::get(function.getContext());
  Block &entry = function.getBody().front();
  OpBuilder builder = OpBuilder::atBlockBegin(&entry);
  Location loc = function.getLoc();
  Value args = entry.insertArgument(0u, pointer, loc);
  for (unsigned i = entry.getNumArguments() - 1; i > 0; --i) {
    Value slot = LLVM::GEPOp::create(
        builder, loc, pointer, pointer, args,
        ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(i - 1)});
    Value value = LLVM::LoadOp::create(builder, loc,
                                       entry.getArgument(i).getType(), slot);
    entry.getArgument(i).replaceAllUsesWith(value);
    entry.eraseArgument(i);
  }
}

struct EmulateNVVMPass : impl::EmulateNVVMBase<EmulateNVVMPass> {
  void runOnOperation() override {
    if (failed(verifyRegionsAreKnown(getOperation(), getArgument())))
      return signalPassFailure();
    ModuleOp module = getOperation();
    auto gpuModules = llvm::to_vector(module.getOps<gpu::GPUModuleOp>());
    if (gpuModules.empty())
      return;
    for (gpu::GPUModuleOp gpuModule : gpuModules)
      if (failed(verifyRegionsAreKnown(gpuModule, getArgument())))
        return signalPassFailure();
    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    EmulatorCalls calls(builder, createTable(builder));
    for (gpu::GPUModuleOp gpuModule : gpuModules) {
      if (failed(emulate(gpuModule, calls)))
        return signalPassFailure();
      gpuModule.erase();
    }
  }

  LLVM::GlobalOp createTable(OpBuilder &builder) {
    auto pointer = LLVM::LLVMPointerType::get(&getContext());
    auto table = LLVM::GlobalOp::create(
        builder, getOperation().getLoc(), pointer, /*isConstant=*/false,
        LLVM::Linkage::External, TESSERA_EMU_TABLE, Attribute());
    OpBuilder::InsertionGuard guard(builder);
    builder.createBlock(&table.getInitializerRegion());
    Value null =
        LLVM::ZeroOp::create(builder, table.getLoc(), pointer).getResult();
    LLVM::ReturnOp::create(builder, table.getLoc(), null);
    return table;
  }

  LogicalResult emulate(gpu::GPUModuleOp gpuModule, EmulatorCalls &calls) {
    SymbolTable symbols(gpuModule);
    for (Operation &op : gpuModule.getBody()->getOperations()) {
      calls.builder.setInsertionPointToEnd(getOperation().getBody());
      auto kernel = dyn_cast<LLVM::LLVMFuncOp>(op);
      auto global = dyn_cast<LLVM::GlobalOp>(op);
      if (kernel &&
          kernel->hasAttr(NVVM::NVVMDialect::getKernelFuncAttrName())) {
        llvm::StringMap<int64_t> shared = layOutShared(kernel, symbols);
        LLVM::LLVMFuncOp function = cloneAsHostFunction(calls.builder, kernel);
        if (failed(emulateKernel(function, calls, shared)))
          return failure();
        bindArguments(function);
      } else if (kernel ||
                 (global && global.getAddrSpace() != sharedMemorySpace)) {
        calls.builder.clone(op);
      }
    }
    return success();
  }
};

} // namespace
} // namespace tessera
