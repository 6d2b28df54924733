// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Tile kernels go through PTX and, where ptxas is installed, to cubins for
// every chip without spills.
#include "tessera/Target/PTX.h"

#include "dialects/Tile/IR/Tile.h"
#include "tessera/Conversion/Passes.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include <gtest/gtest.h>

#include <cstdlib>

using namespace mlir;
using namespace tessera;

namespace {

constexpr const char *gemm = R"(
tile.kernel @gemm grid [2, 2] inputs 2 {
^bb0(%a: memref<70x50xf32>, %b: memref<50x90xf32>, %c: memref<70x90xf32>):
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %c50 = arith.constant 50 : index
  %c64 = arith.constant 64 : index
  %i = tile.program_id 1
  %j = tile.program_id 0
  %m = arith.muli %i, %c64 : index
  %n = arith.muli %j, %c64 : index
  %zero = arith.constant dense<0.0> : tensor<64x64xf32>
  %sum = scf.for %k = %c0 to %c50 step %c32 iter_args(%acc = %zero) -> tensor<64x64xf32> {
    %x = tile.load %a[%m, %k] : memref<70x50xf32> -> tensor<64x32xf32>
    %y = tile.load %b[%k, %n] : memref<50x90xf32> -> tensor<32x64xf32>
    %r = tile.dot %x, %y, %acc : tensor<64x32xf32>, tensor<32x64xf32> -> tensor<64x64xf32>
    scf.yield %r : tensor<64x64xf32>
  }
  %e = math.erf %sum : tensor<64x64xf32>
  tile.store %e, %c[%m, %n] : tensor<64x64xf32>, memref<70x90xf32>
}
)";

struct PTX : testing::Test {
  MLIRContext context;
  OwningOpRef<ModuleOp> module;

  void SetUp() override {
    context.loadDialect<tile::TileDialect>();
    module = parseSourceString<ModuleOp>(gemm, &context);
    ASSERT_TRUE(module);
    PassManager pipeline(&context);
    pipeline.addPass(createConvertTileToNVVM());
    ASSERT_TRUE(succeeded(pipeline.run(*module)));
  }
  gpu::GPUModuleOp kernels() {
    return *module->getOps<gpu::GPUModuleOp>().begin();
  }
};

} // namespace

TEST_F(PTX, AKernelBecomesAnEntryOfItsBlockSize) {
  FailureOr<std::string> ptx = translateToPTX(kernels(), "sm_80");
  ASSERT_TRUE(succeeded(ptx));
  EXPECT_NE(ptx->find(".visible .entry gemm("), std::string::npos);
  auto threads = SymbolTable::lookupSymbolIn(kernels(), "gemm")
                     ->getAttrOfType<DenseI32ArrayAttr>("nvvm.reqntid");
  EXPECT_NE(ptx->find(".reqntid " + std::to_string(threads[0])),
            std::string::npos);
  EXPECT_NE(ptx->find("bar.sync"), std::string::npos);
  EXPECT_NE(ptx->find("fma.rn.f32"), std::string::npos);
}

TEST_F(PTX, EveryChipAssemblesWithoutSpills) {
  if (findPtxas().empty()) {
    const char *requireAll = std::getenv("TESSERA_REQUIRE_ALL");
    ASSERT_FALSE(requireAll && StringRef(requireAll) == "1")
        << "ptxas is not found";
    GTEST_SKIP() << "ptxas is not installed";
  }
  for (StringRef chip : getCudaChips()) {
    FailureOr<std::string> ptx = translateToPTX(kernels(), chip);
    ASSERT_TRUE(succeeded(ptx)) << chip.str();
    FailureOr<Cubin> cubin = assembleCubin(*ptx, chip, module->getLoc());
    ASSERT_TRUE(succeeded(cubin)) << chip.str();
    ASSERT_EQ(cubin->kernels.size(), 1u);
    EXPECT_EQ(cubin->kernels[0].name, "gemm");
    EXPECT_GT(cubin->kernels[0].registers, 16);
    EXPECT_EQ(cubin->kernels[0].spillStoreBytes, 0);
    EXPECT_EQ(cubin->kernels[0].spillLoadBytes, 0);
    // The launch gives what tessera.shared_bytes says.
    EXPECT_EQ(cubin->kernels[0].sharedBytes, 0);
    EXPECT_GT(cubin->bytes.size(), 1000u);
  }
}

TEST_F(PTX, AnAbsentPtxasSaysHowToGetIt) {
  std::string message;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    message += diagnostic.str();
    for (Diagnostic &note : diagnostic.getNotes())
      message += "\n" + note.str();
    return success();
  });
  EXPECT_TRUE(
      failed(assembleCubin("", "sm_90a", module->getLoc(), "/nowhere/ptxas")));
  EXPECT_NE(message.find("ptxas not found at '/nowhere/ptxas'"),
            std::string::npos);
  EXPECT_NE(message.find("nvidia-cuda-nvcc"), std::string::npos);
}

TEST(PtxasReport, ResourcesAndNotesAreRead) {
  Cubin cubin;
  parsePtxasReport(
      "ptxas info    : 0 bytes gmem\n"
      "ptxas info    : Compiling entry function 'k' for 'sm_80'\n"
      "ptxas info    : Function properties for k\n"
      "    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads\n"
      "ptxas info    : Used 255 registers, used 1 barriers, 33024 bytes smem\n"
      "ptxas warning : something is slow\n",
      cubin);
  ASSERT_EQ(cubin.kernels.size(), 1u);
  EXPECT_EQ(cubin.kernels[0].registers, 255);
  EXPECT_EQ(cubin.kernels[0].stackBytes, 8);
  EXPECT_EQ(cubin.kernels[0].spillStoreBytes, 4);
  EXPECT_EQ(cubin.kernels[0].spillLoadBytes, 12);
  EXPECT_EQ(cubin.kernels[0].sharedBytes, 33024);
  ASSERT_EQ(cubin.notes.size(), 1u);
}
