// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelEmulator.h"
#include "LoopTurns.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tessera;

/// Bytes that a load or store of `type` touches.
static int64_t bytesOf(Type type) {
  if (auto vector = dyn_cast<VectorType>(type))
    return vector.getNumElements() * bytesOf(vector.getElementType());
  if (isa<LLVM::LLVMPointerType>(type))
    return 8;
  return (type.getIntOrFloatBitWidth() + 7) / 8;
}

/// Whether the address is in the thread's own memory, which nobody shares.
static bool isThreadLocal(Value address) {
  while (Operation *op = address.getDefiningOp()) {
    if (isa<LLVM::AllocaOp>(op))
      return true;
    if (!isa<LLVM::GEPOp, LLVM::BitcastOp, LLVM::AddrSpaceCastOp>(op))
      return false;
    address = op->getOperand(0);
  }
  return false;
}

namespace {

/// Replaces the GPU ops of one kernel, now a host function, by calls.
class KernelEmulator {
public:
  KernelEmulator(EmulatorCalls &calls,
                 const llvm::StringMap<int64_t> &sharedOffsets)
      : calls(calls), builder(calls.builder), sharedOffsets(sharedOffsets) {}

  LogicalResult run(LLVM::LLVMFuncOp kernel) {
    SmallVector<SmallVector<Operation *>> blocks;
    for (Block &block : kernel.getBody())
      llvm::append_range(blocks.emplace_back(),
                         llvm::make_pointer_range(block));
    LoopTurns loopTurns(kernel, builder);
    turns = &loopTurns;
    for (ArrayRef<Operation *> ops : blocks) {
      for (Operation *op : ops)
        if (failed(rewrite(op)))
          return failure();
      ++nextSite; // Left out between blocks.
    }
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
      replace(op,
              calls.call(op->getLoc(), EmulatorEntry::ReadRegister, calls.i32,
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
      calls.call(op->getLoc(), EmulatorEntry::SyncWarp, voidType(),
                 sync.getMask());
      op->erase();
      return success();
    }
    if (auto shuffle = dyn_cast<NVVM::ShflOp>(op))
      return rewriteShuffle(shuffle);
    if (auto product = dyn_cast<NVVM::MmaOp>(op))
      return rewriteProduct(product);
    return op->emitOpError("is not modelled by the emulator, which knows "
                           "thread and block ids, barriers, warp syncs, "
                           "shuffles and products of warps");
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
    calls.call(op->getLoc(), EmulatorEntry::Barrier, voidType(), {id, count});
    op->erase();
  }

  void check(Location loc, Value address, Type type, int32_t flags) {
    if (isThreadLocal(address))
      return;
    auto pointer = cast<LLVM::LLVMPointerType>(address.getType());
    bool isShared = pointer.getAddressSpace() == sharedMemorySpace;
    if (isShared)
      flags |= TESSERA_EMU_ACCESS_SHARED;
    if (pointer.getAddressSpace() != 0)
      address =
          LLVM::AddrSpaceCastOp::create(builder, loc, calls.pointer, address);
    SmallVector<Value> args{
        address, calls.constant(loc, bytesOf(type), builder.getI64Type()),
        calls.constantI32(loc, flags)};
    if (isShared) {
      calls.call(loc, EmulatorEntry::CheckAccess, voidType(), args);
      return;
    }
    args.push_back(calls.constantI32(loc, nextSite++));
    args.push_back(turns->at(builder, loc));
    calls.call(loc, EmulatorEntry::CheckGlobalAccess, voidType(), args);
  }

  /// Shared memory globals are offsets into the block's shared memory; other
  /// globals are constants and stay.
  LogicalResult rewriteAddress(LLVM::AddressOfOp op) {
    auto offset = sharedOffsets.find(op.getGlobalName());
    if (offset == sharedOffsets.end())
      return success();
    Location loc = op.getLoc();
    Value base =
        calls.call(loc, EmulatorEntry::SharedMemory, calls.pointer, {});
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
    Value result = calls.call(loc, EmulatorEntry::Shuffle, calls.i32,
                              {kind, op.getThreadMask(), value, op.getOffset(),
                               op.getMaskAndClamp()});
    if (isFloat)
      result = LLVM::BitcastOp::create(builder, loc, op.getType(), result);
    replace(op, result);
    return success();
  }

  /// The fragments go through memory of the thread, one place for all products:
  /// each takes its result out at once.
  LogicalResult rewriteProduct(NVVM::MmaOp op) {
    Location loc = op.getLoc();
    auto shape = op.getShape();
    std::optional<NVVM::MMATypes> type = op.getMultiplicandAPtxType();
    bool isBF16 = type == NVVM::MMATypes::bf16;
    if (shape.getM() != 16 || shape.getN() != 8 || shape.getK() != 16 ||
        (!isBF16 && type != NVVM::MMATypes::f16) ||
        type != op.getMultiplicandBPtxType() ||
        op.accumPtxType() != NVVM::MMATypes::f32)
      return op.emitOpError("is not modelled by the emulator, whose products "
                            "are m16n8k16 of bf16 or f16 into f32");
    if (!fragments) {
      OpBuilder::InsertionGuard guard(builder);
      Block &entry = op->getParentOfType<LLVM::LLVMFuncOp>().getBody().front();
      builder.setInsertionPointToStart(&entry);
      Value words = calls.constantI32(loc, sizeof(TesseraEmuFragments) /
                                               sizeof(uint32_t));
      fragments =
          LLVM::AllocaOp::create(builder, loc, calls.pointer, calls.i32, words);
    }
    auto slot = [&](size_t word) -> Value {
      return LLVM::GEPOp::create(
          builder, loc, calls.pointer, calls.i32, fragments,
          ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(word)});
    };
    size_t word = 0;
    for (Value operand : op.getOperands())
      LLVM::StoreOp::create(builder, loc, operand, slot(word++));
    calls.call(
        loc, EmulatorEntry::Multiply, voidType(),
        {calls.constantI32(loc, isBF16 ? TESSERA_EMU_BF16 : TESSERA_EMU_F16),
         fragments});
    Value result = LLVM::UndefOp::create(builder, loc, op.getType());
    size_t firstSum = offsetof(TesseraEmuFragments, sums) / sizeof(uint32_t);
    for (int64_t i = 0; i < 4; ++i) {
      Value sum = LLVM::LoadOp::create(builder, loc, builder.getF32Type(),
                                       slot(firstSum + i));
      result = LLVM::InsertValueOp::create(builder, loc, result, sum, i);
    }
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

  EmulatorCalls &calls;
  OpBuilder &builder;
  const llvm::StringMap<int64_t> &sharedOffsets;
  Value fragments; ///< A TesseraEmuFragments of the thread.
  LoopTurns *turns = nullptr;
  int32_t nextSite = 0; ///< See TesseraEmuTable::checkGlobalAccess.
};

} // namespace

LogicalResult
tessera::emulateKernel(LLVM::LLVMFuncOp kernel, EmulatorCalls &calls,
                       const llvm::StringMap<int64_t> &sharedOffsets) {
  return KernelEmulator(calls, sharedOffsets).run(kernel);
}
