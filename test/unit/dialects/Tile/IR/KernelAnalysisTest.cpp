// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tile/IR/KernelAnalysis.h"

#include "mlir/Parser/Parser.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace tessera::tile;

namespace {

class KernelAnalysisTest : public testing::Test {
protected:
  KernelAnalysisTest() { context.loadDialect<TileDialect>(); }

  /// The product in a loop that carries %acc and yields what `body` calls
  /// %next; %a and %b are its factors, %f a tile of the accumulator's shape.
  DotOp productIn(StringRef body) {
    std::string text =
        ("tile.kernel @k grid [1] inputs 2 {\n"
         "^bb0(%x: memref<2x3xf32>, %w: memref<3x5xf32>, %y: "
         "memref<2x5xf32>):\n"
         "%c0 = arith.constant 0 : index\n%c1 = arith.constant 1 : index\n"
         "%c4 = arith.constant 4 : index\n"
         "%zero = arith.constant dense<0.0> : tensor<2x5xf32>\n"
         "%half = arith.constant dense<0.5> : tensor<2x5xf32>\n"
         "%a = tile.load %x[%c0, %c0] : memref<2x3xf32> -> tensor<2x3xf32>\n"
         "%b = tile.load %w[%c0, %c0] : memref<3x5xf32> -> tensor<3x5xf32>\n"
         "%r = scf.for %i = %c0 to %c4 step %c1 iter_args(%acc = %zero) -> "
         "(tensor<2x5xf32>) {\n" +
         body +
         "\nscf.yield %next : tensor<2x5xf32>\n}\n"
         "tile.store %r, %y[%c0, %c0] : tensor<2x5xf32>, memref<2x5xf32>\n}\n")
            .str();
    module = parseSourceString<ModuleOp>(text, &context);
    EXPECT_TRUE(module) << text;
    DotOp product;
    module->walk([&](DotOp op) { product = op; });
    return product;
  }

  /// ` : types` of a product.
  static constexpr const char *types =
      " : tensor<2x3xf32>, tensor<3x5xf32> -> tensor<2x5xf32>\n";

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
};

TEST_F(KernelAnalysisTest, ASumOfProductsIsFormedInPlace) {
  DotOp op = productIn(std::string("%next = tile.dot %a, %b, %acc") + types);
  EXPECT_TRUE(getAccumulatorSource(op));
  EXPECT_TRUE(accumulatesInPlace(op));
}

TEST_F(KernelAnalysisTest, AScaledAccumulatorComesFromTheCarriedTile) {
  DotOp op =
      productIn(std::string("%s = arith.mulf %acc, %half : tensor<2x5xf32>\n"
                            "%next = tile.dot %a, %b, %s") +
                types);
  EXPECT_TRUE(getAccumulatorSource(op));
  EXPECT_TRUE(accumulatesInPlace(op));
}

TEST_F(KernelAnalysisTest, ATileThatIsReadAgainIsNotOverwritten) {
  DotOp op = productIn(std::string("%p = tile.dot %a, %b, %acc") + types +
                       "%next = arith.addf %p, %acc : tensor<2x5xf32>\n");
  EXPECT_FALSE(getAccumulatorSource(op));
  EXPECT_FALSE(accumulatesInPlace(op));
}

TEST_F(KernelAnalysisTest, AProductThatIsNotCarriedOnIsNotInPlace) {
  DotOp op = productIn(std::string("%p = tile.dot %a, %b, %acc") + types +
                       "%next = arith.mulf %p, %half : tensor<2x5xf32>\n");
  EXPECT_TRUE(getAccumulatorSource(op));
  EXPECT_FALSE(accumulatesInPlace(op));
}

TEST_F(KernelAnalysisTest, ALoopInsideFormsItsSumInTheTileAround) {
  auto inside = [&](StringRef next) {
    DotOp op = productIn(
        ("%in = scf.for %j = %c0 to %c4 step %c1 iter_args(%sum = %acc) -> "
         "(tensor<2x5xf32>) {\n%p = tile.dot %a, %b, %sum" +
         StringRef(types) + "scf.yield %p : tensor<2x5xf32>\n}\n%next = " +
         next + " : tensor<2x5xf32>\n")
            .str());
    return getAccumulatorSource(op);
  };
  BlockArgument sum = inside("arith.mulf %in, %half");
  auto around = [&] {
    auto inner = cast<scf::ForOp>(sum.getOwner()->getParentOp());
    return cast<scf::ForOp>(inner->getParentOp()).getRegionIterArg(0);
  };
  EXPECT_TRUE(isAccumulator(sum));
  EXPECT_FALSE(getCarriedInside(around()));
  EXPECT_FALSE(isAccumulator(around()));
  sum = inside("arith.addf %in, %acc");
  EXPECT_FALSE(getCarriedInside(around()));
}

TEST_F(KernelAnalysisTest, AConstantAccumulatorHasNoSource) {
  DotOp op = productIn(std::string("%p = tile.dot %a, %b, %zero") + types +
                       "%next = arith.addf %p, %acc : tensor<2x5xf32>\n");
  EXPECT_FALSE(getAccumulatorSource(op));
}

TEST_F(KernelAnalysisTest, WhatElementsNeedAloneIsVirtual) {
  DotOp op =
      productIn(std::string("%s = arith.mulf %acc, %half : tensor<2x5xf32>\n"
                            "%next = tile.dot %a, %b, %s") +
                types);
  EXPECT_TRUE(isVirtualTileOp(op.getLhs().getDefiningOp()));
  EXPECT_TRUE(isVirtualTileOp(op.getAcc().getDefiningOp()));
  EXPECT_FALSE(isVirtualTileOp(op));
  module->walk([](ProgramIdOp id) { EXPECT_FALSE(isVirtualTileOp(id)); });
  module->walk([](arith::ConstantOp constant) {
    EXPECT_EQ(isVirtualTileOp(constant), isTile(constant.getResult()));
  });
}

//===----------------------------------------------------------------------===//
// Stores and aliasing
//===----------------------------------------------------------------------===//

class AliasingTest : public testing::Test {
protected:
  AliasingTest() { context.loadDialect<TileDialect>(); }

  /// A kernel of inputs %a and %b and outputs %y and %z, whose tiles %s and %t
  /// are loaded from %a and %b at the block's box.
  KernelOp kernelOf(StringRef body) {
    std::string text =
        ("tile.kernel @k grid [2] inputs 2 {\n"
         "^bb0(%a: memref<4x5xf32>, %b: memref<4x5xf32>, %y: memref<4x5xf32>, "
         "%z: memref<4x5xf32>):\n"
         "%c0 = arith.constant 0 : index\n%c2 = arith.constant 2 : index\n"
         "%p = tile.program_id 0\n%i = arith.muli %p, %c2 : index\n"
         "%s = tile.load %a[%i, %c0] : memref<4x5xf32> -> tensor<2x5xf32>\n"
         "%t = tile.load %b[%i, %c0] : memref<4x5xf32> -> tensor<2x5xf32>\n" +
         body + "\n}\n")
            .str();
    module = parseSourceString<ModuleOp>(text, &context);
    EXPECT_TRUE(module) << text;
    return *module->getOps<KernelOp>().begin();
  }

  std::string pairsOf(StringRef body) {
    std::string text;
    for (AliasablePair pair : getAliasablePairs(kernelOf(body)))
      text +=
          std::to_string(pair.input) + ">" + std::to_string(pair.output) + " ";
    return text;
  }

  static constexpr const char *storeY =
      "\ntile.store %u, %y[%i, %c0] : tensor<2x5xf32>, memref<4x5xf32>";
  static constexpr const char *storeZ =
      "\ntile.store %v, %z[%i, %c0] : tensor<2x5xf32>, memref<4x5xf32>";

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
};

TEST_F(AliasingTest, ElementwiseResultsMayOverwriteOperands) {
  EXPECT_EQ(pairsOf(std::string("%u = arith.addf %s, %t : tensor<2x5xf32>\n"
                                "%v = arith.mulf %u, %t : tensor<2x5xf32>") +
                    storeY + storeZ),
            "0>2 1>2 0>3 1>3 ");
}

TEST_F(AliasingTest, ReductionsReadBeforeAnythingIsStored) {
  EXPECT_EQ(
      pairsOf(std::string("%r = tile.reduce sum %s dim 1 : tensor<2x5xf32> -> "
                          "tensor<2x1xf32>\n"
                          "%q = tile.broadcast %r : tensor<2x1xf32> -> "
                          "tensor<2x5xf32>\n"
                          "%u = arith.subf %s, %q : tensor<2x5xf32>") +
              storeY),
      "0>2 1>2 ");
}

TEST_F(AliasingTest, ElementsReadElsewhereMayNotBeOverwritten) {
  EXPECT_EQ(
      pairsOf(std::string("%w = tile.load %a[%c0, %c0] : memref<4x5xf32> -> "
                          "tensor<2x5xf32>\n"
                          "%u = arith.addf %w, %t : tensor<2x5xf32>") +
              storeY),
      "1>2 ");
  EXPECT_EQ(
      pairsOf(std::string("%w = tile.load %a[%i, %c0] : memref<4x5xf32> -> "
                          "tensor<2x1xf32>\n"
                          "%q = tile.broadcast %w : tensor<2x1xf32> -> "
                          "tensor<2x5xf32>\n"
                          "%u = arith.addf %q, %t : tensor<2x5xf32>") +
              storeY),
      "1>2 ");
}

TEST_F(AliasingTest, WhatIsReadAfterAStoreMayNotBeOverwritten) {
  EXPECT_EQ(pairsOf(std::string("%u = arith.negf %s : tensor<2x5xf32>") +
                    storeY + "\n%v = arith.negf %t : tensor<2x5xf32>" + storeZ),
            "");
}

TEST_F(AliasingTest, StoresOfOneBoxAreTogether) {
  KernelOp kernel =
      kernelOf(std::string("%u = arith.negf %s : tensor<2x5xf32>\n"
                           "%v = arith.negf %u : tensor<2x5xf32>") +
               storeY + storeZ);
  auto stores = llvm::to_vector(kernel.getBlock().getOps<StoreOp>());
  EXPECT_EQ(storesTogether(stores[0]).size(), 2u);
  EXPECT_EQ(storesTogether(stores[1]).size(), 1u);
  // %t is dead; %s, %u and %v are only stored.
  EXPECT_EQ(getOnlyStoredTiles(kernel).size(), 4u);
}

} // namespace
