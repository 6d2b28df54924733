// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Calls of the emulator from the kernels it runs (EmulatorABI.h).
#ifndef TESSERA_LIB_TARGET_EMULATOR_EMULATORCALLS_H
#define TESSERA_LIB_TARGET_EMULATOR_EMULATORCALLS_H

#include "tessera/ABI/EmulatorABI.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"

#include <cstddef>

namespace tessera {

/// Index of an entry in TesseraEmuTable, counted in pointers.
enum class EmulatorEntry : int64_t {
  ReadRegister = offsetof(TesseraEmuTable, readRegister) / sizeof(void *),
  Barrier = offsetof(TesseraEmuTable, barrier) / sizeof(void *),
  SyncWarp = offsetof(TesseraEmuTable, syncWarp) / sizeof(void *),
  Shuffle = offsetof(TesseraEmuTable, shuffle) / sizeof(void *),
  SharedMemory = offsetof(TesseraEmuTable, sharedMemory) / sizeof(void *),
  CheckAccess = offsetof(TesseraEmuTable, checkAccess) / sizeof(void *),
  Multiply = offsetof(TesseraEmuTable, multiply) / sizeof(void *),
  CheckGlobalAccess =
      offsetof(TesseraEmuTable, checkGlobalAccess) / sizeof(void *),
};

/// Writes calls through the table in front of ops.
class EmulatorCalls {
public:
  EmulatorCalls(mlir::OpBuilder &builder, mlir::LLVM::GlobalOp table)
      : builder(builder), table(table),
        pointer(mlir::LLVM::LLVMPointerType::get(builder.getContext())),
        i32(builder.getI32Type()) {}

  mlir::Value constant(mlir::Location loc, int64_t value, mlir::Type type) {
    return mlir::LLVM::ConstantOp::create(builder, loc, type,
                                          builder.getIntegerAttr(type, value));
  }
  mlir::Value constantI32(mlir::Location loc, int64_t value) {
    return constant(loc, value, i32);
  }

  /// The result of entry(args), or null when `result` is void.
  mlir::Value call(mlir::Location loc, EmulatorEntry entry, mlir::Type result,
                   mlir::ValueRange args) {
    mlir::Value slot = mlir::LLVM::AddressOfOp::create(builder, loc, table);
    mlir::Value entries =
        mlir::LLVM::LoadOp::create(builder, loc, pointer, slot);
    mlir::Value address = mlir::LLVM::GEPOp::create(
        builder, loc, pointer, pointer, entries,
        llvm::ArrayRef<mlir::LLVM::GEPArg>{static_cast<int32_t>(entry)});
    mlir::Value function =
        mlir::LLVM::LoadOp::create(builder, loc, pointer, address);
    auto type = mlir::LLVM::LLVMFunctionType::get(
        result, llvm::to_vector(args.getTypes()));
    llvm::SmallVector<mlir::Value> operands{function};
    operands.append(args.begin(), args.end());
    auto op = mlir::LLVM::CallOp::create(builder, loc, type, operands);
    return op.getNumResults() ? op.getResult() : mlir::Value();
  }

  mlir::OpBuilder &builder;
  mlir::LLVM::GlobalOp table;
  mlir::LLVM::LLVMPointerType pointer;
  mlir::Type i32;
};

} // namespace tessera

#endif // TESSERA_LIB_TARGET_EMULATOR_EMULATORCALLS_H
