// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "CPUKernelEmitter.h"
#include "MathLibraryCalls.h"
#include "dialects/Tessera/IR/Tessera.h"
#include "lib/Conversion/TileKernels/BF16Patterns.h"
#include "lib/Conversion/TileKernels/ExpandFunctions.h"
#include "lib/Conversion/TileKernels/ExpandTrigonometry.h"
#include "tessera/ABI/KernelABI.h"
#include "tessera/Conversion/Passes.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace tessera {
#define GEN_PASS_DEF_CONVERTTILETOCPU
#include "lib/Conversion/Passes.h.inc"

namespace {

/// void kernel(void *const *args, int64_t begin, int64_t end)
LogicalResult emitKernel(OpBuilder &builder, tile::KernelOp kernel,
                         int64_t lanes) {
  MLIRContext *context = builder.getContext();
  Location loc = kernel.getLoc();
  auto pointer = LLVM::LLVMPointerType::get(context);
  Type i64 = builder.getI64Type();
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context),
                                          {pointer, i64, i64});
  auto function =
      LLVM::LLVMFuncOp::create(builder, loc, kernel.getSymName(), type);
  OpBuilder::InsertionGuard guard(builder);
  Block *entry = function.addEntryBlock(builder);
  builder.setInsertionPointToStart(entry);
  SmallVector<Value> pointers;
  for (unsigned i = 0; i < kernel.getBlock().getNumArguments(); ++i) {
    Value slot = LLVM::GEPOp::create(
        builder, loc, pointer, pointer, entry->getArgument(0),
        ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(i)});
    pointers.push_back(LLVM::LoadOp::create(builder, loc, pointer, slot));
  }
  auto asIndex = [&](Value value) -> Value {
    return arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                      value);
  };
  Value one = arith::ConstantIndexOp::create(builder, loc, 1);
  auto loop = scf::ForOp::create(builder, loc, asIndex(entry->getArgument(1)),
                                 asIndex(entry->getArgument(2)), one);
  LLVM::ReturnOp::create(builder, loc, ValueRange());
  builder.setInsertionPoint(loop.getBody()->getTerminator());
  CPUKernelEmitter emitter(kernel, builder, pointers, loop.getInductionVar(),
                           entry, lanes);
  if (failed(emitter.run()))
    return failure();
  if (emitter.stackBytes() > abi::maxKernelScratch)
    return kernel.emitOpError()
           << "needs " << emitter.stackBytes()
           << " bytes of stack, a thread has " << abi::maxKernelScratch
           << "; choose smaller tiles";
  function->setAttr("tessera.stack_bytes",
                    builder.getI64IntegerAttr(emitter.stackBytes()));
  return success();
}

/// f32 functions become polynomials on vectors; rarely used ones and f64 stay
/// calls of the C library.
LogicalResult expandMath(ModuleOp module) {
  RewritePatternSet patterns(module.getContext());
  populateExpandFunctionsPatterns(patterns);
  populateExpandTrigonometryPatterns(patterns);
  populateMathPolynomialApproximationPatterns(patterns);
  populateBF16Patterns(patterns);
  return applyPatternsGreedily(module, std::move(patterns));
}

LogicalResult lowerToLLVM(ModuleOp module) {
  MLIRContext *context = module.getContext();
  if (failed(expandMath(module)))
    return failure();
  callMathLibrary(module);
  LLVMTypeConverter converter(context);
  RewritePatternSet patterns(context);
  populateSCFToControlFlowConversionPatterns(patterns);
  arith::populateArithToLLVMConversionPatterns(converter, patterns);
  populateMathToLLVMConversionPatterns(converter, patterns);
  cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
  ub::populateUBToLLVMConversionPatterns(converter, patterns);
  populateVectorToLLVMConversionPatterns(converter, patterns);
  LLVMConversionTarget target(*context);
  target.addLegalOp<ModuleOp>();
  return applyPartialConversion(module, target, std::move(patterns));
}

struct ConvertTileToCPUPass : impl::ConvertTileToCPUBase<ConvertTileToCPUPass> {
  using ConvertTileToCPUBase::ConvertTileToCPUBase;

  void runOnOperation() override {
    auto isLoop = [](Operation *op) { return isa<scf::ForOp>(op); };
    if (failed(verifyRegionsAreKnown(getOperation(), getArgument(), isLoop)))
      return signalPassFailure();
    for (auto kernel : getOperation().getOps<tile::KernelOp>())
      if (failed(verifyRegionsAreKnown(kernel, getArgument(), isLoop)))
        return signalPassFailure();
    ModuleOp module = getOperation();
    module->removeAttr(TesseraDialect::stageAttrName);
    tile::TargetAttr target = tile::TargetAttr::of(module);
    if (vectorBits == 0)
      vectorBits = target ? 32 * target.getLanes() : 512;
    if (vectorBits != 128 && vectorBits != 256 && vectorBits != 512) {
      module.emitError("vector-bits is ")
          << vectorBits << "; expected 128, 256 or 512";
      return signalPassFailure();
    }
    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    auto others = llvm::to_vector_of<Operation *>(
        llvm::make_pointer_range(module.getBody()->getOperations()));
    SmallVector<tile::KernelOp> kernels(module.getOps<tile::KernelOp>());
    for (tile::KernelOp kernel : kernels)
      if (failed(emitKernel(builder, kernel, vectorBits / 32)))
        return signalPassFailure();
    eraseOps(others);
    if (failed(lowerToLLVM(module)))
      signalPassFailure();
  }
};

} // namespace
} // namespace tessera
