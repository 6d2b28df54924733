// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The meaning of the tessera ops on plain tensors. Arguments are well formed:
// the ops' verifiers have checked shapes and element types. Sums are formed in
// double and rounded once to the result's element type.
#ifndef TESSERA_LIB_INTERPRETER_TENSOROPS_H
#define TESSERA_LIB_INTERPRETER_TENSOROPS_H

#include "tessera/Analysis/IndexedDims.h"
#include "tessera/Analysis/Layout.h"
#include "tessera/Interpreter/Tensor.h"

#include <optional>

namespace tessera::interpreter {

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

/// The ops of the table, and the two formulas of gelu.
enum class Unary {
#define TESSERA_UNARY(NAME, ...) NAME,
#include "dialects/Tessera/IR/ElementwiseTable.inc"
  GeluErf,
  GeluTanh
};
enum class Binary {
#define TESSERA_BINARY(NAME, ...) NAME,
#include "dialects/Tessera/IR/ElementwiseTable.inc"
};
enum class Comparison { Eq, Ne, Lt, Le, Gt, Ge };

Tensor unary(Unary op, const Tensor &x);
Tensor binary(Binary op, const Tensor &x, const Tensor &y);
Tensor compare(Comparison op, const Tensor &x, const Tensor &y);
Tensor select(const Tensor &predicate, const Tensor &onTrue,
              const Tensor &onFalse);
Tensor convert(const Tensor &x, ElementKind kind);

/// One step of a reduction: `x kind y`, rounded to `element`.
double combine(ReduceKind kind, ElementKind element, double x, double y);
int64_t combine(ReduceKind kind, ElementKind element, int64_t x, int64_t y);

//===----------------------------------------------------------------------===//
// Sums over indices
//===----------------------------------------------------------------------===//

/// `lhs,rhs->out` in index letters.
Tensor contract(const Tensor &lhs, const Tensor &rhs,
                const std::string &lhsIndices, const std::string &rhsIndices,
                const std::string &outIndices, ElementKind kind);
Tensor reduce(ReduceKind kind, const Tensor &x,
              const std::vector<int64_t> &dims);
/// Combines the elements up to each one along `dim`.
Tensor cumulative(ReduceKind kind, const Tensor &x, int64_t dim,
                  bool isExclusive, bool isReverse);
Tensor softmax(const Tensor &x, int64_t dim);
/// The result has elements of `kind`.
Tensor logSumExp(const Tensor &x, int64_t dim, ElementKind kind);
struct CrossEntropyOptions {
  double smoothing = 0, zLoss = 0;
  std::optional<int64_t> ignore;
};
Tensor crossEntropy(const Tensor &logits, const Tensor &labels,
                    const CrossEntropyOptions &options, ElementKind kind);
/// The derivative along `d` of the normalised rows of `x`.
Tensor normTangent(const Tensor &d, const Tensor &x, double epsilon,
                   bool isCentred);
Tensor layerNorm(const Tensor &x, const Tensor &scale, const Tensor &bias,
                 double epsilon);
Tensor rmsNorm(const Tensor &x, const Tensor &scale, double epsilon);
/// `bias` may be null.
Tensor attention(const Tensor &query, const Tensor &key, const Tensor &value,
                 const Tensor *bias, double scale, bool causal);
/// In elements of `kind`.
Tensor attentionLogsumexp(const Tensor &query, const Tensor &key,
                          const Tensor *bias, double scale, bool causal,
                          ElementKind kind);
enum class AttentionPart { Query, Key, Value };
/// What the gradients of an attention are computed from.
struct AttentionSums {
  const Tensor &query, &key, &value, &logsumexp, &mean, &cotangent;
};
/// The gradient by `of`, in elements of `kind`.
Tensor attentionGradient(AttentionPart of, const AttentionSums &given,
                         const Tensor *bias, double scale, bool causal,
                         ElementKind kind);

//===----------------------------------------------------------------------===//
// Shapes, indices and creation
//===----------------------------------------------------------------------===//

Tensor reshape(const Tensor &x, Shape shape);
Tensor transpose(const Tensor &x, const std::vector<int64_t> &permutation);
Tensor broadcast(const Tensor &x, const std::vector<int64_t> &dims,
                 Shape shape);
Tensor slice(const Tensor &x, const std::vector<int64_t> &starts,
             const std::vector<int64_t> &limits,
             const std::vector<int64_t> &strides);
/// The box of `shape` at `starts`, which are clamped so that it fits.
Tensor dynamicSlice(const Tensor &x, const std::vector<int64_t> &starts,
                    Shape shape);
/// `x` with `update` in the box at `starts`, clamped in the same way.
Tensor dynamicUpdateSlice(const Tensor &x, const std::vector<int64_t> &starts,
                          const Tensor &update);
Tensor concatenate(const std::vector<const Tensor *> &inputs, int64_t dim);
/// `value` holds the one element that surrounds `x`.
Tensor pad(const Tensor &x, const std::vector<int64_t> &low,
           const std::vector<int64_t> &high, const Tensor &value);
/// Entry `i` of the leading dimension, without that dimension.
Tensor leadingSlice(const Tensor &x, int64_t i);
/// Makes `slice` entry `i` of the leading dimension of `target`.
void setLeadingSlice(Tensor &target, int64_t i, const Tensor &slice);
/// One tensor of indices per indexed dimension.
Tensor gather(const Tensor &source, const std::vector<const Tensor *> &indices,
              const IndexedDims &dims, Shape shape);
enum class Update { Set, Add, Max, Min };
Tensor scatter(Update kind, const Tensor &input,
               const std::vector<const Tensor *> &indices,
               const Tensor &updates, const IndexedDims &dims);
/// The stable permutation that sorts along `dim`, i32.
Tensor argsort(const Tensor &x, int64_t dim, bool descending);
Tensor iota(Shape shape, ElementKind kind, int64_t dim, int64_t offset);

enum class Distribution { Uniform, Normal, Bits };
/// `offsets` is the logical index of the first element.
Tensor random(Distribution distribution, const Tensor &key,
              const Shape &globalShape, const std::vector<int64_t> &offsets,
              Shape shape, ElementKind kind);

/// Steps `index` to the next one of `shape` in row-major order.
void advance(Shape &index, const Shape &shape);

/// Copies the box of `size` elements at `from` in `source` to the box at `to`
/// in `target`.
void copyBox(const Tensor &source, const Shape &from, Tensor &target,
             const Shape &to, const Shape &size);

} // namespace tessera::interpreter

#endif // TESSERA_LIB_INTERPRETER_TENSOROPS_H
