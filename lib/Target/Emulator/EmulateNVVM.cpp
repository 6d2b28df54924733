// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/ABI/EmulatorABI.h"
#include "tessera/Target/Passes.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace tessera {
#define GEN_PASS_DEF_EMULATENVVM
#include "lib/Target/Passes.h.inc"

namespace {

constexpr unsigned sharedSpace = 3;

/// Index of an entry in TesseraEmuTable, counted in pointers.
enum class Entry : int64_t {
  ReadRegister = offsetof(TesseraEmuTable, readRegister) / sizeof(void *),
  Barrier = offsetof(TesseraEmuTable, barrier) / sizeof(void *),
  SyncWarp = offsetof(TesseraEmuTable, syncWarp) / sizeof(void *),
  Shuffle = offsetof(TesseraEmuTable, shuffle) / sizeof(void *),
  SharedMemory = offsetof(TesseraEmuTable, sharedMemory) / sizeof(void *),
  CheckAccess = offsetof(TesseraEmuTable, checkAccess) / sizeof(void *),
};

/// Bytes that a load or store of `type` touches.
int64_t bytesOf(Type type) {
  if (auto vector = dyn_cast<VectorType>(type))
    return vector.getNumElements() * bytesOf(vector.getElementType());
  if (isa<LLVM::LLVMPointerType>(type))
    return 8;
  return (type.getIntOrFloatBitWidth() + 7) / 8;
}

/// Whether the address is in the thread's own memory, which nobody shares.
bool isThreadLocal(Value address) {
  while (Operation *op = address.getDefiningOp()) {
    if (isa<LLVM::AllocaOp>(op))
      return true;
    if (!isa<LLVM::GEPOp, LLVM::BitcastOp, LLVM::AddrSpaceCastOp>(op))
      return false;
    address = op->getOperand(0);
  }
  return false;
}

/// Writes calls through the table in front of ops.
class CallBuilder {
public:
  CallBuilder(OpBuilder &builder, LLVM::GlobalOp table)
      : builder(builder), table(table),
        pointer(LLVM::LLVMPointerType::get(builder.getContext())),
        i32(builder.getI32Type()) {}

  Value constant(Location loc, int64_t value, Type type) {
    return LLVM::ConstantOp::create(builder, loc, type,
                                    builder.getIntegerAttr(type, value));
  }
  Value constantI32(Location loc, int64_t value) {
    return constant(loc, value, i32);
  }

  /// The result of entry(args), or null when `result` is void.
  Value call(Location loc, Entry entry, Type result, ValueRange args) {
    Value slot = LLVM::AddressOfOp::create(builder, loc, table);
    Value entries = LLVM::LoadOp::create(builder, loc, pointer, slot);
    Value address = LLVM::GEPOp::create(
        builder, loc, pointer, pointer, entries,
        ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(entry)});
    Value function = LLVM::LoadOp::create(builder, loc, pointer, address);
    auto type =
        LLVM::LLVMFunctionType::get(result, llvm::to_vector(args.getTypes()));
    SmallVector<Value> operands{function};
    operands.append(args.begin(), args.end());
    auto op = LLVM::CallOp::create(builder, loc, type, operands);
    return op.getNumResults() ? op.getResult() : Value();
  }

  OpBuilder &builder;
  LLVM::GlobalOp table;
  LLVM::LLVMPointerType pointer;
  Type i32;
};

/// Replaces the GPU ops of one kernel, now a host function, by calls.
class KernelEmulator {
public:
  KernelEmulator(CallBuilder &calls,
                 const llvm::StringMap<int64_t> &sharedOffsets)
      : calls(calls), builder(calls.builder), sharedOffsets(sharedOffsets) {}

  LogicalResult run(LLVM::LLVMFuncOp kernel) {
    SmallVector<Operation *> ops;
    kernel.walk([&](Operation *op) { ops.push_back(op); });
    for (Operation *op : ops)
      if (failed(rewrite(op)))
        return failure();
    return success();
  }

private:
  LogicalResult rewrite(Operation *op) {
    builder.setInsertionPoint(op);
    if (auto load = dyn_cast<LLVM::LoadOp>(op)) {
      check(op->getLoc(), load.getAddr(), load.getType(), 0);
      return success();
    }
    if (auto store = dyn_cast<LLVM::StoreOp>(op)) {
      check(op->getLoc(), store.getAddr(), store.getValue().getType(),
            TESSERA_EMU_ACCESS_WRITE);
      return success();
    }
    if (auto address = dyn_cast<LLVM::AddressOfOp>(op))
      return rewriteAddress(address);
    if (auto asmOp = dyn_cast<LLVM::InlineAsmOp>(op))
      return op->emitOpError("is PTX, which the emulator cannot run: ")
             << asmOp.getAsmString();
    if (auto intrinsic = dyn_cast<LLVM::CallIntrinsicOp>(op))
      if (intrinsic.getIntrin().starts_with("llvm.nvvm."))
        return op->emitOpError("calls ")
               << intrinsic.getIntrin()
               << ", which is not modelled by the emulator";
    if (isa<LLVM::AtomicRMWOp, LLVM::AtomicCmpXchgOp>(op))
      return op->emitOpError("is not modelled by the emulator, whose race "
                             "checks know plain accesses only");
    if (!isa_and_nonnull<NVVM::NVVMDialect>(op->getDialect()))
      return success();
    if (std::optional<int32_t> which = registerOf(op)) {
      replace(op, calls.call(op->getLoc(), Entry::ReadRegister, calls.i32,
                             calls.constantI32(op->getLoc(), *which)));
      return success();
    }
    if (isa<NVVM::Barrier0Op>(op)) {
      callBarrier(op, calls.constantI32(op->getLoc(), 0),
                  calls.constantI32(op->getLoc(), -1));
      return success();
    }
    if (auto barrier = dyn_cast<NVVM::BarrierOp>(op)) {
      Value id = barrier.getBarrierId(), count = barrier.getNumberOfThreads();
      callBarrier(op, id ? id : calls.constantI32(op->getLoc(), 0),
                  count ? count : calls.constantI32(op->getLoc(), -1));
      return success();
    }
    if (auto sync = dyn_cast<NVVM::SyncWarpOp>(op)) {
      calls.call(op->getLoc(), Entry::SyncWarp, voidType(), sync.getMask());
      op->erase();
      return success();
    }
    if (auto shuffle = dyn_cast<NVVM::ShflOp>(op))
      return rewriteShuffle(shuffle);
    return op->emitOpError("is not modelled by the emulator, which knows "
                           "thread and block ids, barriers, warp syncs and "
                           "shuffles");
  }

  static std::optional<int32_t> registerOf(Operation *op) {
    return llvm::TypeSwitch<Operation *, std::optional<int32_t>>(op)
        .Case<NVVM::ThreadIdXOp>([](auto) { return TESSERA_EMU_TID_X; })
        .Case<NVVM::ThreadIdYOp>([](auto) { return TESSERA_EMU_TID_Y; })
        .Case<NVVM::ThreadIdZOp>([](auto) { return TESSERA_EMU_TID_Z; })
        .Case<NVVM::BlockDimXOp>([](auto) { return TESSERA_EMU_NTID_X; })
        .Case<NVVM::BlockDimYOp>([](auto) { return TESSERA_EMU_NTID_Y; })
        .Case<NVVM::BlockDimZOp>([](auto) { return TESSERA_EMU_NTID_Z; })
        .Case<NVVM::BlockIdXOp>([](auto) { return TESSERA_EMU_CTAID_X; })
        .Case<NVVM::BlockIdYOp>([](auto) { return TESSERA_EMU_CTAID_Y; })
        .Case<NVVM::BlockIdZOp>([](auto) { return TESSERA_EMU_CTAID_Z; })
        .Case<NVVM::GridDimXOp>([](auto) { return TESSERA_EMU_NCTAID_X; })
        .Case<NVVM::GridDimYOp>([](auto) { return TESSERA_EMU_NCTAID_Y; })
        .Case<NVVM::GridDimZOp>([](auto) { return TESSERA_EMU_NCTAID_Z; })
        .Case<NVVM::LaneIdOp>([](auto) { return TESSERA_EMU_LANEID; })
        .Default([](Operation *) { return std::nullopt; });
  }

  Type voidType() { return LLVM::LLVMVoidType::get(builder.getContext()); }

  void replace(Operation *op, Value value) {
    op->getResult(0).replaceAllUsesWith(value);
    op->erase();
  }

  void callBarrier(Operation *op, Value id, Value count) {
    calls.call(op->getLoc(), Entry::Barrier, voidType(), {id, count});
    op->erase();
  }

  void check(Location loc, Value address, Type type, int32_t flags) {
    if (isThreadLocal(address))
      return;
    auto pointer = cast<LLVM::LLVMPointerType>(address.getType());
    if (pointer.getAddressSpace() == sharedSpace)
      flags |= TESSERA_EMU_ACCESS_SHARED;
    if (pointer.getAddressSpace() != 0)
      address =
          LLVM::AddrSpaceCastOp::create(builder, loc, calls.pointer, address);
    calls.call(loc, Entry::CheckAccess, voidType(),
               {address,
                calls.constant(loc, bytesOf(type), builder.getI64Type()),
                calls.constantI32(loc, flags)});
  }

  /// Shared memory globals are offsets into the block's shared memory; other
  /// globals are constants and stay.
  LogicalResult rewriteAddress(LLVM::AddressOfOp op) {
    auto offset = sharedOffsets.find(op.getGlobalName());
    if (offset == sharedOffsets.end())
      return success();
    Location loc = op.getLoc();
    Value base = calls.call(loc, Entry::SharedMemory, calls.pointer, {});
    Value address = LLVM::GEPOp::create(
        builder, loc, calls.pointer, builder.getI8Type(), base,
        ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(offset->second)});
    replace(op,
            LLVM::AddrSpaceCastOp::create(builder, loc, op.getType(), address));
    return success();
  }

  LogicalResult rewriteShuffle(NVVM::ShflOp op) {
    Location loc = op.getLoc();
    if (isa<LLVM::LLVMStructType>(op.getType()))
      return op.emitOpError("has a predicate result, which is not modelled by "
                            "the emulator");
    Value value = op.getVal();
    bool isFloat = value.getType().isF32();
    if (isFloat)
      value = LLVM::BitcastOp::create(builder, loc, calls.i32, value);
    Value kind = calls.constantI32(loc, shuffleKind(op.getKind()));
    Value result = calls.call(loc, Entry::Shuffle, calls.i32,
                              {kind, op.getThreadMask(), value, op.getOffset(),
                               op.getMaskAndClamp()});
    if (isFloat)
      result = LLVM::BitcastOp::create(builder, loc, op.getType(), result);
    replace(op, result);
    return success();
  }

  static int32_t shuffleKind(NVVM::ShflKind kind) {
    switch (kind) {
    case NVVM::ShflKind::bfly:
      return TESSERA_EMU_SHUFFLE_BFLY;
    case NVVM::ShflKind::up:
      return TESSERA_EMU_SHUFFLE_UP;
    case NVVM::ShflKind::down:
      return TESSERA_EMU_SHUFFLE_DOWN;
    case NVVM::ShflKind::idx:
      return TESSERA_EMU_SHUFFLE_IDX;
    }
    llvm_unreachable("all shuffle kinds are handled");
  }

  CallBuilder &calls;
  OpBuilder &builder;
  const llvm::StringMap<int64_t> &sharedOffsets;
};

/// Offsets of the shared memory globals that `kernel` uses: one after another
/// in order of first use, each on its alignment.
llvm::StringMap<int64_t> layOutShared(LLVM::LLVMFuncOp kernel,
                                      SymbolTable &symbols) {
  llvm::StringMap<int64_t> offsets;
  int64_t end = 0;
  kernel.walk([&](LLVM::AddressOfOp op) {
    auto global = symbols.lookup<LLVM::GlobalOp>(op.getGlobalName());
    if (!global || global.getAddrSpace() != sharedSpace ||
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
    ModuleOp module = getOperation();
    auto gpuModules = llvm::to_vector(module.getOps<gpu::GPUModuleOp>());
    if (gpuModules.empty())
      return;
    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    CallBuilder calls(builder, createTable(builder));
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

  LogicalResult emulate(gpu::GPUModuleOp gpuModule, CallBuilder &calls) {
    SymbolTable symbols(gpuModule);
    for (Operation &op : gpuModule.getBody()->getOperations()) {
      calls.builder.setInsertionPointToEnd(getOperation().getBody());
      auto kernel = dyn_cast<LLVM::LLVMFuncOp>(op);
      auto global = dyn_cast<LLVM::GlobalOp>(op);
      if (kernel &&
          kernel->hasAttr(NVVM::NVVMDialect::getKernelFuncAttrName())) {
        llvm::StringMap<int64_t> shared = layOutShared(kernel, symbols);
        LLVM::LLVMFuncOp function = cloneAsHostFunction(calls.builder, kernel);
        if (failed(KernelEmulator(calls, shared).run(function)))
          return failure();
        bindArguments(function);
      } else if (kernel || (global && global.getAddrSpace() != sharedSpace)) {
        calls.builder.clone(op);
      }
    }
    return success();
  }
};

} // namespace
} // namespace tessera
