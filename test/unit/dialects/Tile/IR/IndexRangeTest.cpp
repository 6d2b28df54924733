// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tile/IR/IndexRange.h"
#include "dialects/Tile/IR/Tile.h"

#include "mlir/Parser/Parser.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace tessera::tile;

namespace {

class IndexRangeTest : public testing::Test {
protected:
  IndexRangeTest() { context.loadDialect<TileDialect>(); }

  /// Builds a kernel of `grid` around `body`, which stores at [%at].
  Value offsetIn(StringRef grid, StringRef body) {
    std::string text = ("tile.kernel @k grid [" + grid +
                        "] inputs 1 {\n^bb0(%n: memref<9xi64>, %y: "
                        "memref<9xi64>):\n"
                        "%zero = arith.constant 0 : index\n"
                        "%one = arith.constant dense<1> : tensor<1xi64>\n" +
                        body + "\n}\n")
                           .str();
    module = parseSourceString<ModuleOp>(text, &context);
    EXPECT_TRUE(module) << text;
    Value offset;
    module->walk([&](StoreOp store) { offset = store.getOffsets()[0]; });
    return offset;
  }

  static std::string storeAt(StringRef at) {
    return ("\ntile.store %one, %y[" + at + "] : tensor<1xi64>, memref<9xi64>")
        .str();
  }

  static std::string text(std::optional<IndexRange> range) {
    if (!range)
      return "unknown";
    return std::to_string(range->min) + " to " + std::to_string(range->max);
  }

  /// The range of `%at`, defined by `body`.
  std::string rangeOf(StringRef body, StringRef grid = "3, 2") {
    return text(getIndexRange(offsetIn(grid, body.str() + storeAt("%at"))));
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
};

TEST_F(IndexRangeTest, AConstantIsItself) {
  EXPECT_EQ(rangeOf("%at = arith.constant -3 : index"), "-3 to -3");
}

TEST_F(IndexRangeTest, AProgramIdEndsBeforeItsGridDimension) {
  EXPECT_EQ(rangeOf("%at = tile.program_id 0"), "0 to 2");
  EXPECT_EQ(rangeOf("%at = tile.program_id 1"), "0 to 1");
}

TEST_F(IndexRangeTest, ArithmeticOfRangesIsTheRangeOfArithmetic) {
  std::string ids = "%i = tile.program_id 0\n%j = tile.program_id 1\n"
                    "%c5 = arith.constant 5 : index\n"
                    "%m4 = arith.constant -4 : index\n"
                    "%c2 = arith.constant 2 : index\n";
  EXPECT_EQ(rangeOf(ids + "%at = arith.addi %i, %j : index"), "0 to 3");
  EXPECT_EQ(rangeOf(ids + "%at = arith.subi %i, %c5 : index"), "-5 to -3");
  EXPECT_EQ(rangeOf(ids + "%at = arith.muli %i, %m4 : index"), "-8 to 0");
  EXPECT_EQ(rangeOf(ids + "%at = arith.minsi %i, %j : index"), "0 to 1");
  EXPECT_EQ(rangeOf(ids + "%at = arith.maxsi %i, %c2 : index"), "2 to 2");
  EXPECT_EQ(rangeOf(ids + "%at = arith.divui %i, %c2 : index"), "0 to 1");
  EXPECT_EQ(rangeOf(ids + "%at = arith.remui %i, %c2 : index"), "0 to 1");
  EXPECT_EQ(rangeOf(ids + "%at = arith.remui %i, %c5 : index"), "0 to 2");
}

TEST_F(IndexRangeTest, QuotientsOfNegativeNumbersAreUnknown) {
  EXPECT_EQ(rangeOf("%i = tile.program_id 0\n"
                    "%m4 = arith.constant -4 : index\n"
                    "%at = arith.divsi %m4, %i : index"),
            "unknown");
}

TEST_F(IndexRangeTest, ALoopVariableStopsAtItsLastStep) {
  std::string loop = "%end = arith.constant 10 : index\n"
                     "%step = arith.constant 4 : index\n"
                     "scf.for %at = %zero to %end step %step {" +
                     storeAt("%at") + "\n}";
  EXPECT_EQ(text(getIndexRange(offsetIn("1", loop))), "0 to 8");
}

TEST_F(IndexRangeTest, ALoopMayBeginAndEndAtWhatIsComputed) {
  std::string loop = "%i = tile.program_id 0\n"
                     "%step = arith.constant 4 : index\n"
                     "%c3 = arith.constant 3 : index\n"
                     "%end = arith.muli %i, %c3 : index\n"
                     "scf.for %at = %zero to %end step %step {" +
                     storeAt("%at") + "\n}";
  EXPECT_EQ(text(getIndexRange(offsetIn("5", loop))), "0 to 8");
  loop = "%i = tile.program_id 0\n"
         "%step = arith.constant 4 : index\n"
         "%begin = arith.muli %i, %step : index\n"
         "%end = arith.constant 15 : index\n"
         "scf.for %at = %begin to %end step %step {" +
         storeAt("%at") + "\n}";
  EXPECT_EQ(text(getIndexRange(offsetIn("5", loop))), "0 to 12");
}

TEST_F(IndexRangeTest, ALoopThatDoesNotRunTellsNothing) {
  std::string loop = "%step = arith.constant 4 : index\n"
                     "scf.for %at = %zero to %zero step %step {" +
                     storeAt("%at") + "\n}";
  EXPECT_EQ(text(getIndexRange(offsetIn("1", loop))), "unknown");
}

TEST_F(IndexRangeTest, ValuesOfMemoryAreUnknown) {
  EXPECT_EQ(rangeOf("%v = memref.load %n[%zero] : memref<9xi64>\n"
                    "%at = arith.index_cast %v : i64 to index"),
            "unknown");
}

TEST_F(IndexRangeTest, WhatWrapsIsUnknown) {
  std::string most = "%i = tile.program_id 0\n"
                     "%most = arith.constant 9223372036854775807 : index\n"
                     "%least = arith.constant -9223372036854775808 : index\n";
  EXPECT_EQ(rangeOf(most + "%at = arith.addi %most, %i : index"), "unknown");
  EXPECT_EQ(rangeOf(most + "%at = arith.subi %least, %i : index"), "unknown");
  EXPECT_EQ(rangeOf(most + "%at = arith.muli %most, %i : index"), "unknown");
}

TEST_F(IndexRangeTest, ABoxAtTheLargestNumberIsNotInside) {
  Value offset = offsetIn(
      "1", "%at = arith.constant 9223372036854775806 : index" + storeAt("%at"));
  EXPECT_FALSE(isProvenInBounds(offset, 4, 9));
}

TEST_F(IndexRangeTest, ABoxIsInsideWhereItsLastElementIs) {
  // Blocks of 3 from 0, 3 and 6.
  Value offset = offsetIn("3", "%i = tile.program_id 0\n"
                               "%c3 = arith.constant 3 : index\n"
                               "%at = arith.muli %i, %c3 : index" +
                                   storeAt("%at"));
  EXPECT_TRUE(isProvenInBounds(offset, 3, 9));
  EXPECT_FALSE(isProvenInBounds(offset, 3, 8));
  EXPECT_FALSE(isProvenInBounds(offset, 4, 9));
}

TEST_F(IndexRangeTest, ABoxThatBeginsBeforeZeroIsNotInside) {
  Value offset = offsetIn("3", "%i = tile.program_id 0\n"
                               "%c1 = arith.constant 1 : index\n"
                               "%at = arith.subi %i, %c1 : index" +
                                   storeAt("%at"));
  EXPECT_FALSE(isProvenInBounds(offset, 1, 9));
}

} // namespace
