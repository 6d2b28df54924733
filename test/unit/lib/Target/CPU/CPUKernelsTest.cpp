// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Tile kernels, compiled for the host, compute what plain loops compute.
#include "CPUKernelTesting.h"

#include <gtest/gtest.h>

using namespace tessera::testing;

namespace {

/// c = a b (or a b^T), in one block, summed in one step.
std::string productSource(int64_t m, int64_t n, int64_t k, bool transposed) {
  std::string b =
      transposed ? text(n) + "x" + text(k) : text(k) + "x" + text(n);
  std::string A = text(m) + "x" + text(k) + "xf32",
              C = text(m) + "x" + text(n) + "xf32",
              B = text(k) + "x" + text(n) + "xf32";
  std::string source =
      "tile.kernel @product grid [1] inputs 2 {\n^bb0(%a: memref<" + A +
      ">, %b: memref<" + b + "xf32>, %c: memref<" + C +
      ">):\n"
      "%c0 = arith.constant 0 : index\n"
      "%x = tile.load %a[%c0, %c0] : memref<" +
      A + "> -> tensor<" + A +
      ">\n"
      "%y0 = tile.load %b[%c0, %c0] : memref<" +
      b + "xf32> -> tensor<" + b + "xf32>\n";
  source += transposed ? "%y = tile.trans %y0 [1, 0] : tensor<" + b +
                             "xf32> -> tensor<" + B + ">\n"
                       : "%y = tile.reshape %y0 : tensor<" + B +
                             "> -> tensor<" + B + ">\n";
  source += "%z = arith.constant dense<0.0> : tensor<" + C +
            ">\n"
            "%r = tile.dot %x, %y, %z : tensor<" +
            A + ">, tensor<" + B + "> -> tensor<" + C +
            ">\n"
            "tile.store %r, %c[%c0, %c0] : tensor<" +
            C + ">, memref<" + C + ">\n}\n";
  return source;
}

void checkProduct(int64_t m, int64_t n, int64_t k, bool transposed,
                  const std::string &cpu) {
  SCOPED_TRACE(text(m) + "x" + text(n) + "x" + text(k) + " for " + cpu +
               (transposed ? " transposed" : ""));
  Floats a = random(m * k, 1), b = random(k * n, 2), c(m * n, NAN);
  runKernel(productSource(m, n, k, transposed), "product", 1, {&a, &b, &c},
            cpu);
  double worst = 0;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (int64_t l = 0; l < k; ++l)
        sum += double(a[i * k + l]) * b[transposed ? j * k + l : l * n + j];
      double error = std::fabs(sum - c[i * n + j]);
      worst = std::max(worst, std::isnan(error) ? 1e9 : error);
    }
  EXPECT_LT(worst, 1e-6 * k);
}

} // namespace

TEST(CPUKernels, ProductsOfAllShapesOfTails) {
  for (bool transposed : {false, true})
    for (auto [m, n, k] : std::vector<std::array<int64_t, 3>>{{1, 1, 1},
                                                              {2, 3, 5},
                                                              {12, 32, 16},
                                                              {13, 33, 17},
                                                              {25, 64, 48},
                                                              {7, 40, 3},
                                                              {24, 16, 32},
                                                              {64, 96, 64},
                                                              {5, 100, 20}})
      for (const std::string &cpu : targets())
        checkProduct(m, n, k, transposed, cpu);
}

/// c = a b in one block, where b is in panels of `width` columns, summed in two
/// turns of k; a is [k, m] where it is transposed, and c has the first `stored`
/// columns.
std::string panelsSource(int64_t m, int64_t panels, int64_t k, int64_t width,
                         int64_t stored, bool transposed) {
  std::string K = text(k), W = text(width), P = text(panels), M = text(m);
  std::string N = text(panels * width), K2 = text(2 * k);
  std::string a = transposed ? K2 + "x" + M : M + "x" + K2;
  std::string part = transposed ? K + "x" + M : M + "x" + K;
  std::string b = "2x" + P + "x" + K + "x" + W + "xf32";
  std::string C = M + "x" + N + "xf32", X = M + "x" + K + "xf32";
  std::string memory = M + "x" + text(stored) + "xf32";
  std::string source =
      "tile.kernel @product grid [1] inputs 2 {\n^bb0(%a: memref<" + a +
      "xf32>, %b: memref<" + b + ">, %c: memref<" + memory +
      ">):\n"
      "%c0 = arith.constant 0 : index\n%c1 = arith.constant 1 : index\n"
      "%c2 = arith.constant 2 : index\n%k = arith.constant " +
      K + " : index\n%z = arith.constant dense<0.0> : tensor<" + C +
      ">\n"
      "%r = scf.for %i = %c0 to %c2 step %c1 iter_args(%acc = %z) -> (tensor<" +
      C +
      ">) {\n"
      "%at = arith.muli %i, %k : index\n"
      "%x0 = tile.load %a[" +
      (transposed ? "%at, %c0" : "%c0, %at") + "] : memref<" + a +
      "xf32> -> tensor<" + part + "xf32>\n";
  source += transposed ? "%x = tile.trans %x0 [1, 0] : tensor<" + part +
                             "xf32> -> tensor<" + X + ">\n"
                       : "%x = tile.reshape %x0 : tensor<" + X +
                             "> -> tensor<" + X + ">\n";
  std::string box = P + "x" + K + "x" + W + "xf32";
  std::string turned = K + "x" + P + "x" + W + "xf32";
  source += "%y0 = tile.load %b[%i, %c0, %c0, %c0] : memref<" + b +
            "> -> tensor<1x" + box +
            ">\n"
            "%y1 = tile.reshape %y0 : tensor<1x" +
            box + "> -> tensor<" + box +
            ">\n"
            "%y2 = tile.trans %y1 [1, 0, 2] : tensor<" +
            box + "> -> tensor<" + turned +
            ">\n"
            "%y = tile.reshape %y2 : tensor<" +
            turned + "> -> tensor<" + K + "x" + N +
            "xf32>\n"
            "%d = tile.dot %x, %y, %acc : tensor<" +
            X + ">, tensor<" + K + "x" + N + "xf32> -> tensor<" + C +
            ">\nscf.yield %d : tensor<" + C +
            ">\n}\n"
            "tile.store %r, %c[%c0, %c0] : tensor<" +
            C + ">, memref<" + memory + ">\n}\n";
  return source;
}

/// The largest error of the product, with random factors.
double errorOfPanels(int64_t m, int64_t panels, int64_t k, int64_t bits,
                     int64_t stored, bool transposed) {
  int64_t width = bits / 16, n = panels * width;
  Floats a = random(m * 2 * k, 1), b = random(2 * k * n, 2);
  Floats c(m * stored, NAN);
  runKernel(panelsSource(m, panels, k, width, stored, transposed), "product", 1,
            {&a, &b, &c}, "native", bits);
  double worst = 0;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < stored; ++j) {
      double sum = 0;
      for (int64_t l = 0; l < 2 * k; ++l) {
        int64_t row = (l / k * panels + j / width) * k + l % k;
        sum += double(a[transposed ? l * m + i : i * 2 * k + l]) *
               b[row * width + j % width];
      }
      double error = std::fabs(sum - c[i * stored + j]);
      worst = std::max(worst, std::isnan(error) ? 1e9 : error);
    }
  return worst;
}

TEST(CPUKernels, ProductsWithPackedRightFactors) {
  for (int64_t bits : {128, 256, 512})
    for (bool transposed : {false, true})
      // Fewer rows than a register block, a few more than some, than a group.
      for (auto [m, panels, k] : std::vector<std::array<int64_t, 3>>{
               {1, 1, 1}, {5, 3, 7}, {26, 2, 9}, {44, 3, 12}, {263, 3, 20}}) {
        SCOPED_TRACE(text(m) + "x" + text(panels) + "x" + text(k) + ", " +
                     text(bits) + (transposed ? " transposed" : ""));
        // All columns, those of one vector of the last panel, and one of it.
        int64_t width = bits / 16, n = panels * width;
        for (int64_t stored : {n, n - width / 2, n - width + 1})
          EXPECT_LT(errorOfPanels(m, panels, k, bits, stored, transposed),
                    2e-6 * k)
              << stored << " columns stored";
      }
}

TEST(CPUKernels, ABlockThatReachesPastTheEndReadsPadsAndWritesNothing) {
  constexpr const char *source = R"(
tile.kernel @ragged grid [3] inputs 1 {
^bb0(%x: memref<7x5xf32>, %y: memref<7x5xf32>):
  %c0 = arith.constant 0 : index
  %c3 = arith.constant 3 : index
  %i = tile.program_id 0
  %m = arith.muli %i, %c3 : index
  %t = tile.load %x[%m, %c0] pad 2.0 : f32 : memref<7x5xf32> -> tensor<3x8xf32>
  %s = tile.reduce sum %t dim 1 : tensor<3x8xf32> -> tensor<3x1xf32>
  %b = tile.broadcast %s : tensor<3x1xf32> -> tensor<3x8xf32>
  tile.store %b, %y[%m, %c0] : tensor<3x8xf32>, memref<7x5xf32>
})";
  for (const std::string &cpu : targets()) {
    Floats x = random(35, 3), y(36, -7);
    runKernel(source, "ragged", 3, {&x, &y}, cpu);
    for (int i = 0; i < 7; ++i) {
      double sum = 6; // Three pads of 2.
      for (int j = 0; j < 5; ++j)
        sum += x[i * 5 + j];
      for (int j = 0; j < 5; ++j)
        EXPECT_NEAR(y[i * 5 + j], sum, 1e-5) << cpu;
    }
    EXPECT_EQ(y[35], -7) << cpu;
  }
}

TEST(CPUKernels, FunctionsAreAccurate) {
  constexpr const char *source = R"(
tile.kernel @functions grid [1] inputs 1 {
^bb0(%x: memref<37xf32>, %e: memref<37xf32>, %r: memref<37xf32>, %t: memref<37xf32>, %p: memref<37xf32>):
  %c0 = arith.constant 0 : index
  %v = tile.load %x[%c0] : memref<37xf32> -> tensor<37xf32>
  %0 = math.exp %v : tensor<37xf32>
  tile.store %0, %e[%c0] : tensor<37xf32>, memref<37xf32>
  %1 = math.erf %v : tensor<37xf32>
  tile.store %1, %r[%c0] : tensor<37xf32>, memref<37xf32>
  %2 = math.tanh %v : tensor<37xf32>
  tile.store %2, %t[%c0] : tensor<37xf32>, memref<37xf32>
  %3 = math.powf %0, %v : tensor<37xf32>
  tile.store %3, %p[%c0] : tensor<37xf32>, memref<37xf32>
})";
  Floats x = random(37, 4), e(37), r(37), t(37), p(37);
  for (float &value : x)
    value *= 4;
  for (const std::string &cpu : targets()) {
    runKernel(source, "functions", 1, {&x, &e, &r, &t, &p}, cpu);
    for (int i = 0; i < 37; ++i) {
      EXPECT_NEAR(e[i] / std::exp(double(x[i])), 1, 3e-7) << cpu;
      EXPECT_NEAR(r[i], std::erf(double(x[i])), 1e-6) << cpu;
      EXPECT_NEAR(t[i], std::tanh(double(x[i])), 1e-6) << cpu;
      EXPECT_NEAR(p[i] / std::pow(double(e[i]), double(x[i])), 1, 1e-5) << cpu;
    }
  }
}
