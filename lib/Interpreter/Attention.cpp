// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// attention, and the ops of its gradients.
#include "lib/Interpreter/TensorOps.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace tessera;
using namespace tessera::interpreter;

static constexpr double infinity = std::numeric_limits<double>::infinity();

namespace {
/// The scores of one query and head after the other.
class ScoreRows {
public:
  ScoreRows(const Tensor &query, const Tensor &key, const Tensor *bias,
            double scale, bool isCausal)
      : B(query.shape[0]), S(query.shape[1]), H(query.shape[2]),
        D(query.shape[3]), T(key.shape[1]), K(key.shape[2]), scores(T),
        query(query), key(key), bias(bias), scale(scale), isCausal(isCausal) {}

  /// Calls `body(b, s, h)` with the scores of that row in `scores`.
  template <typename Fn> void forEach(Fn body) {
    for (int64_t b = 0; b < B; ++b)
      for (int64_t s = 0; s < S; ++s)
        for (int64_t h = 0; h < H; ++h) {
          compute(b, s, h);
          body(b, s, h);
        }
  }

  /// NaN where a score is.
  double largest() const {
    double most = -infinity;
    for (double score : scores)
      most = combine(ReduceKind::Max, ElementKind::F64, most, score);
    return most;
  }

  /// Places of what belongs to a query, a key or a row, of `columns` elements.
  int64_t ofQuery(int64_t b, int64_t s, int64_t h, int64_t columns) const {
    return ((b * S + s) * H + h) * columns;
  }
  int64_t ofKey(int64_t b, int64_t t, int64_t h, int64_t columns) const {
    return ((b * T + t) * K + h / (H / K)) * columns;
  }
  int64_t ofRow(int64_t b, int64_t s, int64_t h) const {
    return (b * H + h) * S + s;
  }

  int64_t B, S, H, D, T, K;
  std::vector<double> scores; ///< By key.

private:
  void compute(int64_t b, int64_t s, int64_t h) {
    const double *q = query.floats.data() + ofQuery(b, s, h, D);
    for (int64_t t = 0; t < T; ++t) {
      const double *k = key.floats.data() + ofKey(b, t, h, D);
      double product = 0;
      for (int64_t d = 0; d < D; ++d)
        product += q[d] * k[d];
      scores[t] = scale * product + (bias ? biasAt(b, h, s, t) : 0);
      if (isCausal && t > s + (T - S))
        scores[t] = -infinity;
    }
  }

  /// A bias dimension of size 1 is the same for all indices.
  double biasAt(int64_t b, int64_t h, int64_t s, int64_t t) const {
    const Shape &shape = bias->shape;
    b = shape[0] == 1 ? 0 : b;
    h = shape[1] == 1 ? 0 : h;
    s = shape[2] == 1 ? 0 : s;
    return bias->floats[((b * shape[1] + h) * shape[2] + s) * shape[3] + t];
  }

  const Tensor &query, &key;
  const Tensor *bias;
  double scale;
  bool isCausal;
};
} // namespace

static double dot(const double *x, const double *y, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i)
    sum += x[i] * y[i];
  return sum;
}

static void addMultiple(double *sums, double factor, const double *x,
                        int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    sums[i] += factor * x[i];
}

static void roundAll(Tensor &tensor) {
  for (double &value : tensor.floats)
    value = roundTo(tensor.kind, value);
}

Tensor interpreter::attention(const Tensor &query, const Tensor &key,
                              const Tensor &value, const Tensor *bias,
                              double scale, bool causal) {
  ScoreRows rows(query, key, bias, scale, causal);
  int64_t E = value.shape[3];
  Tensor result({rows.B, rows.S, rows.H, E}, query.kind);
  rows.forEach([&](int64_t b, int64_t s, int64_t h) {
    double most = rows.largest(), sum = 0;
    if (most == -infinity)
      return;
    for (double &score : rows.scores)
      sum += score = std::exp(score - most);
    double *to = result.floats.data() + rows.ofQuery(b, s, h, E);
    for (int64_t t = 0; t < rows.T; ++t)
      addMultiple(to, rows.scores[t] / sum,
                  value.floats.data() + rows.ofKey(b, t, h, E), E);
  });
  roundAll(result);
  return result;
}

Tensor interpreter::attentionLogsumexp(const Tensor &query, const Tensor &key,
                                       const Tensor *bias, double scale,
                                       bool causal, ElementKind kind) {
  ScoreRows rows(query, key, bias, scale, causal);
  Tensor result({rows.B, rows.H, rows.S}, kind);
  rows.forEach([&](int64_t b, int64_t s, int64_t h) {
    double most = rows.largest(), sum = 0;
    for (double score : rows.scores)
      sum += std::exp(score - most);
    result.floats[rows.ofRow(b, s, h)] =
        most == -infinity ? most : most + std::log(sum);
  });
  roundAll(result);
  return result;
}

Tensor interpreter::attentionGradient(AttentionPart of,
                                      const AttentionSums &given,
                                      const Tensor *bias, double scale,
                                      bool causal, ElementKind kind) {
  const Tensor &query = given.query, &key = given.key, &value = given.value;
  ScoreRows rows(query, key, bias, scale, causal);
  int64_t D = rows.D, E = value.shape[3];
  Tensor result(of == AttentionPart::Query ? query.shape
                : of == AttentionPart::Key ? key.shape
                                           : value.shape,
                kind);
  rows.forEach([&](int64_t b, int64_t s, int64_t h) {
    double total = given.logsumexp.floats[rows.ofRow(b, s, h)],
           mean = given.mean.floats[rows.ofRow(b, s, h)];
    if (total == -infinity)
      return;
    int64_t atQuery = rows.ofQuery(b, s, h, D);
    const double *cotangent =
        given.cotangent.floats.data() + rows.ofQuery(b, s, h, E);
    for (int64_t t = 0; t < rows.T; ++t) {
      double weight = std::exp(std::min(rows.scores[t] - total, 0.0));
      int64_t atKey = rows.ofKey(b, t, h, D), atValue = rows.ofKey(b, t, h, E);
      if (of == AttentionPart::Value) {
        addMultiple(result.floats.data() + atValue, weight, cotangent, E);
        continue;
      }
      double change = scale * weight *
                      (dot(cotangent, value.floats.data() + atValue, E) - mean);
      if (of == AttentionPart::Query)
        addMultiple(result.floats.data() + atQuery, change,
                    key.floats.data() + atKey, D);
      else
        addMultiple(result.floats.data() + atKey, change,
                    query.floats.data() + atQuery, D);
    }
  });
  roundAll(result);
  return result;
}
