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

/// c = a b or tanh(a b) in one block, where b is in panels of `width` columns.
struct PanelsProduct {
  int64_t m, panels, k, width;
  int64_t stored;    ///< Columns of c, the first ones of the product's.
  int64_t turns;     ///< That the sums are formed in, each of k products.
  bool isTransposed; ///< The left factor, [k, m] in memory.
  bool hasTanh;

  std::string source() const;
  double error() const;
};

std::string PanelsProduct::source() const {
  std::string K = text(k), W = text(width), P = text(panels), M = text(m);
  std::string N = text(panels * width), T = text(turns), TK = text(turns * k);
  std::string a = isTransposed ? TK + "x" + M : M + "x" + TK;
  std::string part = isTransposed ? K + "x" + M : M + "x" + K;
  std::string b = T + "x" + P + "x" + K + "x" + W + "xf32";
  std::string C = M + "x" + N + "xf32", X = M + "x" + K + "xf32";
  std::string memory = M + "x" + text(stored) + "xf32";
  std::string source =
      "tile.kernel @product grid [1] inputs 2 {\n^bb0(%a: memref<" + a +
      "xf32>, %b: memref<" + b + ">, %c: memref<" + memory +
      ">):\n"
      "%c0 = arith.constant 0 : index\n%c1 = arith.constant 1 : index\n"
      "%turns = arith.constant " +
      T + " : index\n%k = arith.constant " + K +
      " : index\n%z = arith.constant dense<0.0> : tensor<" + C + ">\n";
  if (turns > 1)
    source += "%r = scf.for %i = %c0 to %turns step %c1 iter_args(%acc = %z) "
              "-> (tensor<" +
              C +
              ">) {\n"
              "%at = arith.muli %i, %k : index\n";
  std::string at = turns > 1 ? "%at" : "%c0", i = turns > 1 ? "%i" : "%c0";
  source += "%x0 = tile.load %a[" +
            (isTransposed ? at + ", %c0" : "%c0, " + at) + "] : memref<" + a +
            "xf32> -> tensor<" + part + "xf32>\n";
  source += isTransposed ? "%x = tile.trans %x0 [1, 0] : tensor<" + part +
                               "xf32> -> tensor<" + X + ">\n"
                         : "%x = tile.reshape %x0 : tensor<" + X +
                               "> -> tensor<" + X + ">\n";
  std::string box = P + "x" + K + "x" + W + "xf32";
  std::string turned = K + "x" + P + "x" + W + "xf32";
  source +=
      "%y0 = tile.load %b[" + i + ", %c0, %c0, %c0] : memref<" + b +
      "> -> tensor<1x" + box +
      ">\n"
      "%y1 = tile.reshape %y0 : tensor<1x" +
      box + "> -> tensor<" + box +
      ">\n"
      "%y2 = tile.trans %y1 [1, 0, 2] : tensor<" +
      box + "> -> tensor<" + turned +
      ">\n"
      "%y = tile.reshape %y2 : tensor<" +
      turned + "> -> tensor<" + K + "x" + N + "xf32>\n" +
      (turns > 1 ? "%d = tile.dot %x, %y, %acc" : "%r = tile.dot %x, %y, %z") +
      " : tensor<" + X + ">, tensor<" + K + "x" + N + "xf32> -> tensor<" + C +
      ">\n";
  if (turns > 1)
    source += "scf.yield %d : tensor<" + C + ">\n}\n";
  if (hasTanh)
    source += "%t = math.tanh %r : tensor<" + C + ">\n";
  return source + "tile.store " + (hasTanh ? "%t" : "%r") +
         ", %c[%c0, %c0] : tensor<" + C + ">, memref<" + memory + ">\n}\n";
}

/// The largest difference to plain loops, with random factors.
double PanelsProduct::error() const {
  int64_t depth = turns * k;
  Floats a = random(m * depth, 1), b = random(depth * panels * width, 2);
  Floats c(m * stored, NAN);
  runKernel(source(), "product", 1, {&a, &b, &c}, "native", width * 16);
  double worst = 0;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < stored; ++j) {
      double sum = 0;
      for (int64_t l = 0; l < depth; ++l) {
        int64_t row = (l / k * panels + j / width) * k + l % k;
        sum += double(a[isTransposed ? l * m + i : i * depth + l]) *
               b[row * width + j % width];
      }
      double error =
          std::fabs((hasTanh ? std::tanh(sum) : sum) - c[i * stored + j]);
      worst = std::max(worst, std::isnan(error) ? 1e9 : error);
    }
  return worst;
}

TEST(CPUKernels, ProductsWithPackedRightFactors) {
  for (int64_t bits : {128, 256, 512})
    for (bool isTransposed : {false, true})
      // Fewer rows than a register block, a few more than some, than a group.
      for (auto [m, panels, k] : std::vector<std::array<int64_t, 3>>{
               {1, 1, 1}, {5, 3, 7}, {26, 2, 9}, {44, 3, 12}, {263, 3, 20}}) {
        int64_t width = bits / 16;
        PanelsProduct product{m, panels,       k,    width, panels * width,
                              2, isTransposed, false};
        EXPECT_LT(product.error(), 2e-6 * k)
            << m << "x" << panels << "x" << k << ", " << bits
            << (isTransposed ? " transposed" : "");
      }
}

TEST(CPUKernels, OfPackedRightFactorsTheLastPanelIsStoredInPart) {
  // Sums are stored by a loop's last turn, from registers, and by what computes
  // more of whole rows.
  std::vector<std::pair<int64_t, bool>> turnsAndTanh = {
      {2, false}, {1, false}, {1, true}};
  for (int64_t bits : {128, 256, 512})
    for (bool isTransposed : {false, true})
      for (auto [turns, hasTanh] : turnsAndTanh) {
        int64_t width = bits / 16, n = 2 * width;
        // Of the last panel one more column than a vector has, as many as it
        // has, and one.
        for (int64_t stored : {n - width / 2 + 1, n - width / 2, n - width + 1})
          EXPECT_LT((PanelsProduct{26, 2, 9, width, stored, turns, isTransposed,
                                   hasTanh}
                         .error()),
                    2e-5)
              << stored << " columns stored, " << turns << " turns, " << bits
              << (isTransposed ? " transposed" : "")
              << (hasTanh ? ", tanh" : "");
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
