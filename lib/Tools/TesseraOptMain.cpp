// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Tools/TesseraOptMain.h"

#include "dialects/Dist/IR/Dist.h"
#include "dialects/Tessera/IR/Tessera.h"
#include "dialects/Tessera/Transforms/Passes.h"
#include "dialects/Tile/IR/Tile.h"
#include "tessera/Conversion/Passes.h"
#include "tessera/Target/Passes.h"
#include "test/lib/TestPasses.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int tessera::tesseraOptMain(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<mlir::arith::ArithDialect, mlir::func::FuncDialect,
                  tessera::TesseraDialect, tessera::dist::DistDialect,
                  tessera::tile::TileDialect, mlir::gpu::GPUDialect,
                  mlir::LLVM::LLVMDialect, mlir::NVVM::NVVMDialect>();
  mlir::registerTransformsPasses();
  tessera::registerConversionPasses();
  tessera::registerTargetPasses();
  tessera::registerTesseraTransformsPasses();
  tessera::test::registerTestPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(
      argc, argv, "Tessera: runs any pass or named pipeline\n", registry));
}
