// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "NVVMKernelEmitter.h"
#include "dialects/Tessera/IR/Tessera.h"
#include "dialects/Tile/IR/KernelAnalysis.h"
#include "lib/Conversion/TileKernels/BF16Patterns.h"
#include "lib/Conversion/TileKernels/ExpandFunctions.h"
#include "lib/Conversion/TileKernels/ExpandTrigonometry.h"
#include "tessera/Conversion/Passes.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace tessera {
#define GEN_PASS_DEF_CONVERTTILETONVVM
#include "lib/Conversion/Passes.h.inc"

namespace {

constexpr unsigned sharedSpace = 3;
LLVM::LLVMFuncOp createFunction(OpBuilder &builder, tile::KernelOp kernel,
                                int threads) {
  MLIRContext *context = builder.getContext();
  SmallVector<Type> arguments(kernel.getBlock().getNumArguments(),
                              LLVM::LLVMPointerType::get(context));
  auto type =
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context), arguments);
  auto function = LLVM::LLVMFuncOp::create(builder, kernel.getLoc(),
                                           kernel.getSymName(), type);
  function->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(),
                    builder.getUnitAttr());
  function->setAttr(NVVM::NVVMDialect::getReqntidAttrName(),
                    builder.getDenseI32ArrayAttr({threads}));
  // A product's sums and factors are worth more registers than ptxas grants
  // when it guesses how many blocks should share a processor: it spills rather.
  bool hasProduct =
      kernel.walk([](tile::DotOp) { return WalkResult::interrupt(); })
          .wasInterrupted();
  if (hasProduct)
    function->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                      builder.getI32IntegerAttr(1));
  llvm::DenseSet<int64_t> mayShare;
  for (tile::AliasablePair pair : tile::getAliasablePairs(kernel)) {
    mayShare.insert(pair.input);
    mayShare.insert(pair.output);
  }
  for (auto [i, argument] : llvm::enumerate(kernel.getBlock().getArguments())) {
    function.setArgAttr(i, LLVM::LLVMDialect::getAlignAttrName(),
                        builder.getI64IntegerAttr(16));
    // A result shares memory with what is read only where it is updated in
    // place.
    if (mayShare.contains(static_cast<int64_t>(i)))
      continue;
    function.setArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName(),
                        builder.getUnitAttr());
    if (i < kernel.getNumInputs())
      function.setArgAttr(i, LLVM::LLVMDialect::getReadonlyAttrName(),
                          builder.getUnitAttr());
  }
  return function;
}

/// The block's shared memory. Declared, not defined: its size is an argument of
/// the launch, as more than 48 KiB cannot be had otherwise.
LLVM::GlobalOp createShared(OpBuilder &builder, tile::KernelOp kernel) {
  auto type = LLVM::LLVMArrayType::get(builder.getI8Type(), 0);
  return LLVM::GlobalOp::create(builder, kernel.getLoc(), type,
                                /*isConstant=*/false, LLVM::Linkage::External,
                                (kernel.getSymName() + "_shared").str(),
                                Attribute(), /*alignment=*/16, sharedSpace);
}

/// Blocks that a launch may have along each dimension of the grid.
constexpr int64_t maxGrid[] = {2147483647, 65535, 65535};

LogicalResult verifyGrid(tile::KernelOp kernel) {
  for (auto [dim, size, most] :
       llvm::zip(llvm::seq(0, 3), kernel.getGrid(), maxGrid))
    if (size > most)
      return kernel.emitOpError()
             << "has " << size << " blocks along grid dimension " << dim
             << ", a GPU takes at most " << most
             << "; put the largest dimension first, or choose larger tiles";
  return success();
}

LogicalResult emitKernel(OpBuilder &builder, tile::KernelOp kernel) {
  if (failed(verifyGrid(kernel)))
    return failure();
  int threads = NVVMKernelEmitter::chooseThreads(kernel);
  LLVM::GlobalOp global = createShared(builder, kernel);
  LLVM::LLVMFuncOp function = createFunction(builder, kernel, threads);
  OpBuilder::InsertionGuard guard(builder);
  Block *entry = function.addEntryBlock(builder);
  builder.setInsertionPointToStart(entry);
  Value shared = LLVM::AddressOfOp::create(builder, kernel.getLoc(), global);
  NVVMKernelEmitter emitter(kernel, function, builder, shared, threads);
  if (failed(emitter.run()))
    return failure();
  LLVM::ReturnOp::create(builder, kernel.getLoc(), ValueRange());

  int64_t bytes = emitter.placeShared();
  tile::TargetAttr target = tile::TargetAttr::of(kernel);
  if (!target)
    target = tile::TargetAttr::get(kernel.getContext(), tile::TargetKind::cuda,
                                   "", 0);
  if (int64_t most = target.getSharedBytes(); bytes > most)
    return kernel.emitOpError()
           << "needs " << bytes << " bytes of shared memory, a block has "
           << most << "; choose smaller tiles";
  function->setAttr("tessera.shared_bytes", builder.getI64IntegerAttr(bytes));
  if (bytes == 0) {
    shared.getDefiningOp()->erase();
    global.erase();
  }
  return success();
}

/// Functions without an instruction of their own become polynomials.
LogicalResult expandMath(gpu::GPUModuleOp module) {
  RewritePatternSet patterns(module.getContext());
  populateExpandFunctionsPatterns(patterns);
  populateExpandTrigonometryPatterns(patterns);
  populateMathPolynomialApproximationPatterns(patterns);
  populateBF16Patterns(patterns);
  return applyPatternsGreedily(module, std::move(patterns));
}

/// 1 / sqrt(x) in two roundings; rsqrt.approx would be off by more.
struct ExpandRsqrt : OpRewritePattern<math::RsqrtOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(math::RsqrtOp op,
                                PatternRewriter &rewriter) const override {
    Value root = math::SqrtOp::create(rewriter, op.getLoc(), op.getOperand());
    Value one = arith::ConstantOp::create(
        rewriter, op.getLoc(), rewriter.getFloatAttr(op.getType(), 1.0));
    rewriter.replaceOpWithNewOp<arith::DivFOp>(op, one, root);
    return success();
  }
};

/// x^y = 2^(y log2 x) for f32, off by up to |y log2 x| units in the last place.
struct ExpandPow : OpRewritePattern<math::PowFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(math::PowFOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value base = op.getLhs(), exponent = op.getRhs();
    auto number = [&](double value) -> Value {
      return arith::ConstantOp::create(
          rewriter, loc, rewriter.getFloatAttr(op.getType(), value));
    };
    Value magnitude = math::AbsFOp::create(rewriter, loc, base);
    Value log = math::Log2Op::create(rewriter, loc, magnitude);
    Value power = math::Exp2Op::create(
        rewriter, loc, arith::MulFOp::create(rewriter, loc, exponent, log));
    // Infinity times log 1 is NaN.
    auto isEqual = [&](Value value, double to) -> Value {
      return arith::CmpFOp::create(rewriter, loc, arith::CmpFPredicate::OEQ,
                                   value, number(to));
    };
    power = arith::SelectOp::create(rewriter, loc, isEqual(magnitude, 1),
                                    number(1), power);
    // A finite negative base has a power for whole exponents alone: of its sign
    // where the exponent is odd.
    Value whole = math::FloorOp::create(rewriter, loc, exponent);
    Value isWhole = arith::CmpFOp::create(
        rewriter, loc, arith::CmpFPredicate::OEQ, whole, exponent);
    Value half = arith::MulFOp::create(rewriter, loc, exponent, number(0.5));
    Value halfWhole = math::FloorOp::create(rewriter, loc, half);
    Value isEven = arith::CmpFOp::create(
        rewriter, loc, arith::CmpFPredicate::OEQ, halfWhole, half);
    Value negated = arith::NegFOp::create(rewriter, loc, power);
    Value ofWhole =
        arith::SelectOp::create(rewriter, loc, isEven, power, negated);
    Value nan = number(std::numeric_limits<double>::quiet_NaN());
    Value isInfinite =
        isEqual(magnitude, std::numeric_limits<double>::infinity());
    Value hasPower =
        arith::OrIOp::create(rewriter, loc, isInfinite, isEqual(magnitude, 0));
    Value ofBroken =
        arith::SelectOp::create(rewriter, loc, hasPower, power, nan);
    Value ofNegative =
        arith::SelectOp::create(rewriter, loc, isWhole, ofWhole, ofBroken);
    // By the sign, which a zero has, too.
    Value sign = math::CopySignOp::create(rewriter, loc, number(1), base);
    Value isNegative = arith::CmpFOp::create(
        rewriter, loc, arith::CmpFPredicate::OLT, sign, number(0));
    Value result =
        arith::SelectOp::create(rewriter, loc, isNegative, ofNegative, power);
    Value isZeroExponent = arith::CmpFOp::create(
        rewriter, loc, arith::CmpFPredicate::OEQ, exponent, number(0));
    rewriter.replaceOpWithNewOp<arith::SelectOp>(op, isZeroExponent, number(1),
                                                 result);
    return success();
  }
};

LogicalResult lowerToLLVM(gpu::GPUModuleOp module) {
  MLIRContext *context = module.getContext();
  {
    RewritePatternSet patterns(context);
    patterns.add<ExpandRsqrt, ExpandPow>(context);
    if (failed(applyPatternsGreedily(module, std::move(patterns))) ||
        failed(expandMath(module)))
      return failure();
  }
  LogicalResult status = success();
  module.walk([&](Operation *op) {
    if (isLibraryFunction(op)) {
      status = op->emitError("no GPU implementation for element type ")
               << op->getResult(0).getType()
               << "; compute it in f32 (tessera.convert)";
    }
  });
  if (failed(status))
    return failure();

  LowerToLLVMOptions options(context);
  options.overrideIndexBitwidth(64);
  LLVMTypeConverter converter(context, options);
  RewritePatternSet patterns(context);
  populateSCFToControlFlowConversionPatterns(patterns);
  arith::populateArithToLLVMConversionPatterns(converter, patterns);
  populateMathToLLVMConversionPatterns(converter, patterns);
  cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
  LLVMConversionTarget target(*context);
  target.addLegalDialect<NVVM::NVVMDialect>();
  target.addLegalOp<gpu::GPUModuleOp>();
  return applyPartialConversion(module, target, std::move(patterns));
}

struct ConvertTileToNVVMPass
    : impl::ConvertTileToNVVMBase<ConvertTileToNVVMPass> {
  void runOnOperation() override {
    auto isLoop = [](Operation *op) { return isa<scf::ForOp>(op); };
    if (failed(verifyRegionsAreKnown(getOperation(), getArgument(), isLoop)))
      return signalPassFailure();
    for (auto kernel : getOperation().getOps<tile::KernelOp>())
      if (failed(verifyRegionsAreKnown(kernel, getArgument(), isLoop)))
        return signalPassFailure();
    ModuleOp module = getOperation();
    module->removeAttr(TesseraDialect::stageAttrName);
    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    auto gpuModule =
        gpu::GPUModuleOp::create(builder, module.getLoc(), "kernels");
    builder.setInsertionPointToStart(gpuModule.getBody());
    SmallVector<Operation *> others;
    for (Operation &op : module.getBody()->getOperations()) {
      if (&op == gpuModule)
        continue;
      others.push_back(&op);
      auto kernel = dyn_cast<tile::KernelOp>(op);
      if (kernel && failed(emitKernel(builder, kernel)))
        return signalPassFailure();
    }
    eraseOps(others);
    if (failed(lowerToLLVM(gpuModule)))
      signalPassFailure();
  }
};

} // namespace
} // namespace tessera
