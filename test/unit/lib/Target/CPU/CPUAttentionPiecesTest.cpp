// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What kernels of attention are made of, compiled for the host: products of
// which a triangle counts, products that are added to rows of memory, and
// functions that need not care for all numbers.
#include "CPUKernelTesting.h"

#include <gtest/gtest.h>

using namespace tessera::testing;

namespace {

/// c = a b, of which `triangle` counts, in one block; a is [k, m] where it is
/// transposed.
std::string triangleSource(int64_t m, int64_t n, int64_t k, bool isTransposed,
                           const std::string &triangle, int64_t diagonal) {
  std::string A = text(m) + "x" + text(k) + "xf32",
              B = text(k) + "x" + text(n) + "xf32",
              C = text(m) + "x" + text(n) + "xf32",
              stored = isTransposed ? text(k) + "x" + text(m) + "xf32" : A;
  return "tile.kernel @product grid [1] inputs 2 {\n^bb0(%a: memref<" + stored +
         ">, %b: memref<" + B + ">, %c: memref<" + C +
         ">):\n"
         "%c0 = arith.constant 0 : index\n%d = arith.constant " +
         text(diagonal) + " : index\n%x0 = tile.load %a[%c0, %c0] : memref<" +
         stored + "> -> tensor<" + stored + ">\n%x = " +
         (isTransposed ? "tile.trans %x0 [1, 0]" : "tile.reshape %x0") +
         " : tensor<" + stored + "> -> tensor<" + A +
         ">\n%y = tile.load %b[%c0, %c0] : memref<" + B + "> -> tensor<" + B +
         ">\n%z = arith.constant dense<0.0> : tensor<" + C +
         ">\n%r = tile.dot %x, %y, %z " + triangle + " at %d : tensor<" + A +
         ">, tensor<" + B + "> -> tensor<" + C +
         ">\ntile.store %r, %c[%c0, %c0] : tensor<" + C + ">, memref<" + C +
         ">\n}\n";
}

bool isInside(bool isLower, int64_t i, int64_t j, int64_t diagonal) {
  return isLower ? j <= i + diagonal : i <= j + diagonal;
}

void checkTriangle(int64_t m, int64_t n, int64_t k, bool isTransposed,
                   bool isOfResult, bool isLower, int64_t diagonal,
                   int64_t bits) {
  std::string triangle = std::string(isOfResult ? "result " : "lhs ") +
                         (isLower ? "lower" : "upper");
  SCOPED_TRACE(text(m) + "x" + text(n) + "x" + text(k) + " " + triangle +
               " at " + text(diagonal) + ", " + text(bits) +
               (isTransposed ? " transposed" : ""));
  auto at = [&](int64_t i, int64_t l) {
    return isTransposed ? l * m + i : i * k + l;
  };
  Floats a = random(m * k, 1), b = random(k * n, 2), c(m * n, NAN);
  for (int64_t i = 0; i < m && !isOfResult; ++i)
    for (int64_t l = 0; l < k; ++l)
      if (!isInside(isLower, i, l, diagonal))
        a[at(i, l)] = 0;
  runKernel(triangleSource(m, n, k, isTransposed, triangle, diagonal),
            "product", 1, {&a, &b, &c}, "native", bits);
  double worst = 0;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      if (isOfResult && !isInside(isLower, i, j, diagonal))
        continue;
      double sum = 0;
      for (int64_t l = 0; l < k; ++l)
        sum += double(a[at(i, l)]) * b[l * n + j];
      double error = std::fabs(sum - c[i * n + j]);
      worst = std::max(worst, std::isnan(error) ? 1e9 : error);
    }
  EXPECT_LT(worst, 1e-6 * k);
}

} // namespace

TEST(CPUAttentionPieces, TrianglesOfProducts) {
  for (int64_t bits : {256, 512})
    for (bool isOfResult : {false, true})
      for (bool isLower : {false, true})
        for (int64_t diagonal : {-100, -17, 0, 5, 100})
          for (auto [m, n, k, isTransposed] :
               std::vector<std::tuple<int64_t, int64_t, int64_t, bool>>{
                   {26, 70, 35, false},
                   {40, 13, 64, false},
                   {67, 35, 70, true}})
            checkTriangle(m, n, k, isTransposed, isOfResult, isLower, diagonal,
                          bits);
}

// Of 40 rows, 13 a turn, which are several register blocks; the rows of the
// fourth turn are partly outside, where the scatter leaves them out.
TEST(CPUAttentionPieces, ProductsAddedToRowsOfMemory) {
  for (int64_t turns : {3, 4})
    for (int64_t bits : {128, 256, 512}) {
      SCOPED_TRACE(text(turns) + " turns, " + text(bits));
      std::string source = R"(
tile.kernel @sums grid [1] inputs 3 initial [0] {
^bb0(%old: memref<40x2x64xf32>, %a: memref<52x5xf32>, %b: memref<5x64xf32>, %c: memref<40x2x64xf32>):
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c13 = arith.constant 13 : index
  %end = arith.constant )" +
                           text(13 * turns) + R"( : index
  scf.for %i = %c0 to %end step %c13 {
    %x = tile.load %a[%i, %c0] : memref<52x5xf32> -> tensor<13x5xf32>
    %y = tile.load %b[%c0, %c0] : memref<5x64xf32> -> tensor<5x64xf32>
    %z = arith.constant dense<0.0> : tensor<13x64xf32>
    %r = tile.dot %x, %y, %z : tensor<13x5xf32>, tensor<5x64xf32> -> tensor<13x64xf32>
    %rows = tile.reshape %r : tensor<13x64xf32> -> tensor<13x1x64xf32>
    %iota = tile.iota dim 0 : tensor<13xi32>
    %first = arith.index_cast %i : index to i32
    %splat = tile.splat %first : i32 -> tensor<13xi32>
    %at = arith.addi %iota, %splat : tensor<13xi32>
    tile.scatter add %rows, %c[%at] [%c1, %c0] : tensor<13x1x64xf32>, memref<40x2x64xf32>, tensor<13xi32>
  }
})";
      Floats old = random(5120, 1), a = random(260, 2), b = random(320, 3);
      Floats c = old;
      c.push_back(-7);
      runKernel(source, "sums", 1, {&old, &a, &b, &c}, "native", bits);
      for (int64_t i = 0; i < 5120; ++i) {
        int64_t row = i / 128, column = i % 64;
        double sum = old[i];
        for (int64_t l = 0; l < 5 && i / 64 % 2 == 1 && row < 13 * turns; ++l)
          sum += double(a[row * 5 + l]) * b[l * 64 + column];
        EXPECT_NEAR(c[i], sum, 2e-6) << i;
      }
      EXPECT_EQ(c[5120], -7);
    }
}

TEST(CPUAttentionPieces, ExponentialsOfWhatIsNotAboveZero) {
  constexpr const char *source = R"(
tile.kernel @exponentials grid [1] inputs 1 {
^bb0(%x: memref<64xf32>, %e: memref<64xf32>):
  %c0 = arith.constant 0 : index
  %v = tile.load %x[%c0] : memref<64xf32> -> tensor<64xf32>
  %0 = math.exp %v {tile.non_positive} : tensor<64xf32>
  tile.store %0, %e[%c0] : tensor<64xf32>, memref<64xf32>
})";
  Floats x = random(64, 4), e(64);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = (x[i] - 1) * (i < 40 ? 5 : 40);
  x[0] = -INFINITY;
  x[1] = NAN;
  x[2] = 0;
  x[3] = -1000;
  // Rounding may leave scores above their sum: they count as equal to it.
  x[4] = 0.001f;
  x[5] = 100;
  x[6] = INFINITY;
  for (const std::string &cpu : targets()) {
    runKernel(source, "exponentials", 1, {&x, &e}, cpu);
    EXPECT_EQ(e[0], 0) << cpu;
    EXPECT_TRUE(std::isnan(e[1])) << cpu;
    EXPECT_EQ(e[2], 1) << cpu;
    EXPECT_EQ(e[3], 0) << cpu;
    for (int i = 4; i < 7; ++i)
      EXPECT_EQ(e[i], 1) << cpu;
    for (int i = 7; i < 64; ++i)
      EXPECT_NEAR(e[i] / std::exp(double(x[i])), 1, i < 40 ? 2.5e-7 : 5e-7)
          << cpu << " " << x[i];
  }
}

// A NaN is lost or not; what is beside it in the row is.
TEST(CPUAttentionPieces, TheLargestWhereNoNaNNeedBeFound) {
  for (int64_t dim : {0, 1}) {
    std::string result = dim == 0 ? "1x40" : "40x1";
    std::string source = R"(
tile.kernel @most grid [1] inputs 1 {
^bb0(%x: memref<40x40xf32>, %y: memref<)" +
                         result + R"(xf32>):
  %c0 = arith.constant 0 : index
  %0 = tile.load %x[%c0, %c0] : memref<40x40xf32> -> tensor<40x40xf32>
  %1 = tile.reduce max %0 dim )" +
                         text(dim) + " numbers : tensor<40x40xf32> -> tensor<" +
                         result +
                         "xf32>\n  tile.store %1, %y[%c0, %c0] : tensor<" +
                         result + "xf32>, memref<" + result + "xf32>\n}";
    for (const std::string &cpu : targets()) {
      Floats x = random(1600, 5), y(40);
      x[41] = NAN;
      x[7] = -INFINITY;
      runKernel(source, "most", 1, {&x, &y}, cpu);
      for (int64_t i = 0; i < 40; ++i) {
        float most = -INFINITY;
        for (int64_t j = 0; j < 40; ++j)
          most = std::max(most, dim == 0 ? x[j * 40 + i] : x[i * 40 + j]);
        if (i != 1)
          EXPECT_EQ(y[i], most) << cpu;
      }
    }
  }
}
