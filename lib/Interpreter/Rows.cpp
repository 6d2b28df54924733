// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What losses and the derivatives of norms compute of whole rows.
#include "lib/Interpreter/TensorOps.h"

#include <cmath>
#include <limits>

using namespace tessera;
using namespace tessera::interpreter;

namespace {

/// log(sum(exp(x))) is `shift + log`: the largest element, where it is finite,
/// is subtracted before exponentials are taken.
struct LogSum {
  double shift, log;
};

LogSum logSumOf(const Tensor &tensor, int64_t begin, int64_t n,
                int64_t stride) {
  auto x = [&](int64_t i) { return tensor.floats[begin + i * stride]; };
  double most = -std::numeric_limits<double>::infinity(), sum = 0;
  for (int64_t i = 0; i < n; ++i)
    most = combine(ReduceKind::Max, ElementKind::F64, most, x(i));
  double shift = std::isfinite(most) ? most : 0;
  for (int64_t i = 0; i < n; ++i)
    sum += std::exp(x(i) - shift);
  return {shift, std::log(sum)};
}

double meanOf(const std::vector<double> &x) {
  double sum = 0;
  for (double value : x)
    sum += value;
  return sum / static_cast<double>(x.size());
}

double meanOfProducts(const std::vector<double> &x,
                      const std::vector<double> &y) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i)
    sum += x[i] * y[i];
  return sum / static_cast<double>(x.size());
}

} // namespace

Tensor interpreter::logSumExp(const Tensor &x, int64_t dim, ElementKind kind) {
  Shape shape = x.shape;
  int64_t length = shape[dim], stride = rowMajorStrides(x.shape)[dim];
  shape.erase(shape.begin() + dim);
  Tensor result(shape, kind);
  for (int64_t i = 0, n = result.size(); i < n; ++i) {
    int64_t begin = i / stride * stride * length + i % stride;
    LogSum sum = logSumOf(x, begin, length, stride);
    result.floats[i] = roundTo(kind, sum.shift + sum.log);
  }
  return result;
}

Tensor interpreter::crossEntropy(const Tensor &logits, const Tensor &labels,
                                 const CrossEntropyOptions &options,
                                 ElementKind kind) {
  Tensor result(labels.shape, kind);
  int64_t classes = logits.shape.back();
  for (int64_t i = 0, n = result.size(); i < n; ++i) {
    const double *row = &logits.floats[i * classes];
    int64_t label = labels.ints[i];
    if (options.ignore == label)
      continue;
    if (label < 0 || label >= classes) {
      result.floats[i] = std::numeric_limits<double>::quiet_NaN();
      continue;
    }
    double wanted = row[label];
    if (options.smoothing != 0) {
      double all = 0;
      for (int64_t j = 0; j < classes; ++j)
        all += row[j];
      wanted = (1 - options.smoothing) * wanted +
               options.smoothing / static_cast<double>(classes) * all;
    }
    LogSum sum = logSumOf(logits, i * classes, classes, 1);
    double loss = sum.log + (sum.shift - wanted), total = sum.log + sum.shift;
    if (options.zLoss != 0)
      loss += options.zLoss * total * total;
    result.floats[i] = roundTo(kind, loss);
  }
  return result;
}

Tensor interpreter::normTangent(const Tensor &d, const Tensor &x,
                                double epsilon, bool isCentred) {
  Tensor result(d.shape, d.kind);
  int64_t length = d.shape.back();
  for (int64_t begin = 0, n = d.size(); begin < n; begin += length) {
    auto rowOf = [&](const Tensor &tensor) {
      auto first = tensor.floats.begin() + begin;
      return std::vector<double>(first, first + length);
    };
    std::vector<double> change = rowOf(d), normal = rowOf(x);
    if (isCentred) {
      double mean = meanOf(normal);
      for (double &value : normal)
        value -= mean;
    }
    double rate = 1 / std::sqrt(meanOfProducts(normal, normal) + epsilon);
    for (double &value : normal)
      value *= rate;
    double along = meanOfProducts(normal, change);
    double mean = isCentred ? meanOf(change) : 0;
    for (int64_t i = 0; i < length; ++i)
      result.floats[begin + i] =
          roundTo(d.kind, rate * (change[i] - mean - normal[i] * along));
  }
  return result;
}
