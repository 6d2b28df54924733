// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// attention and the ops of its gradients, which are defined in NNOps.td.
#include "RowFactors.h"
#include "Verification.h"
#include "dialects/Tessera/IR/FormulaBuilder.h"

#include <algorithm>

using namespace mlir;
using namespace tessera;

//===----------------------------------------------------------------------===//
// What they have in common
//===----------------------------------------------------------------------===//

/// query [B,S,H,D], key [B,T,K,D] and `value` [B,T,K,E], which may be null.
static LogicalResult verifyHeads(Operation *op, Value query, Value key,
                                 Value value) {
  if (failed(verifyOneMesh(op)))
    return failure();
  ArrayRef<int64_t> q = shapeOf(query), k = shapeOf(key);
  if (q.size() != 4 || k.size() != 4 || (value && shapeOf(value).size() != 4)) {
    InFlightDiagnostic error = op->emitOpError()
                               << "expects query [B,S,H,D]"
                               << (value ? ", " : " and ") << "key [B,T,K,D]"
                               << (value ? " and value [B,T,K,E]" : "")
                               << " of rank 4, got " << shapeToString(q)
                               << (value ? ", " : " and ") << shapeToString(k);
    SmallVector<NamedValue> causes = {{query, "the query"}, {key, "the key"}};
    if (value) {
      error << " and " << shapeToString(shapeOf(value));
      causes.push_back({value, "the value"});
    }
    return explain(
        std::move(error), op, causes,
        "tessera.reshape takes the heads out of the hidden dimension");
  }
  if (failed(verifyShape(op, key, "a key", {q[0], k[1], k[2], q[3]},
                         "batch and head size are those of the query")))
    return failure();
  if (value && failed(verifyShape(op, value, "a value",
                                  {q[0], k[1], k[2], shapeOf(value)[3]},
                                  "batch, length and heads are those of the "
                                  "key")))
    return failure();
  if (k[2] == 0 || q[2] % k[2] != 0)
    return explain(op->emitOpError()
                       << "has " << q[2] << " query heads for " << k[2]
                       << " key heads; the first must be a multiple of the "
                          "second",
                   op, {{query, "the query"}, {key, "the key"}});
  Type type = getElementTypeOrSelf(query);
  return failure(
      failed(verifyElementType(op, key, "a key", type)) ||
      (value && failed(verifyElementType(op, value, "a value", type))));
}

/// `bias` may be null.
static LogicalResult verifyBias(Operation *op, Value query, Value key,
                                Value bias) {
  if (!bias)
    return success();
  ArrayRef<int64_t> q = shapeOf(query), shape = shapeOf(bias);
  int64_t full[] = {q[0], q[2], q[1], shapeOf(key)[1]};
  bool fits = shape.size() == 4 && shape[3] == full[3];
  for (int i = 0; fits && i < 3; ++i)
    fits = shape[i] == 1 || shape[i] == full[i];
  if (!fits)
    return explain(op->emitOpError()
                       << "expects a bias of shape " << shapeToString(full)
                       << ", where all but the last may be 1, got "
                       << shapeToString(shape),
                   op, NamedValue{bias, "the bias"},
                   "its dimensions are batch, heads, queries and keys");
  return verifyElementType(op, bias, "a bias", getElementTypeOrSelf(query));
}

namespace {
/// The factors of scores, which all of these ops compute.
struct ScoreFactors {
  /// `queries` says what becomes of the queries, and of the heads that share a
  /// key head; `columns` of the columns of the values, the third operand if
  /// given.
  ScoreFactors(FactorRule &rule, const OpShapes &shapes, bool isCausal,
               FactorKind queries, std::optional<FactorKind> columns = {});

  TensorFactors query() const { return {{b}, {s}, heads, {d}}; }
  TensorFactors key() const { return {{b}, {t}, {h}, {d}}; }
  TensorFactors value() const { return {{b}, {t}, {h}, {e}}; }
  TensorFactors output() const { return {{b}, {s}, heads, {e}}; }
  /// Of one number a query and head.
  TensorFactors rows() const { return {{b}, heads, {s}}; }
  TensorFactors bias(const OpShapes &shapes, size_t operand) const;

  int b, s, h, t, d, e = -1;
  DimFactors heads;
};
} // namespace

ScoreFactors::ScoreFactors(FactorRule &rule, const OpShapes &shapes,
                           bool isCausal, FactorKind queries,
                           std::optional<FactorKind> columns) {
  const std::vector<int64_t> &q = shapes.operands[0], &k = shapes.operands[1];
  b = rule.addFactor("b", q[0]);
  // The causal mask depends on logical positions, which a part of the queries
  // does not know.
  s = rule.addFactor("s", q[1], isCausal ? FactorKind::Replicate : queries);
  h = rule.addFactor("h", k[2]);
  t = rule.addFactor("t", k[1], FactorKind::Replicate);
  d = rule.addFactor("d", q[3], FactorKind::Replicate);
  if (columns)
    e = rule.addFactor("e", shapes.operands[2][3], *columns);
  heads = {h};
  // Query heads that share a key head form a minor factor of their own.
  if (q[2] != k[2])
    heads.push_back(rule.addFactor("g", q[2] / k[2], queries));
}

TensorFactors ScoreFactors::bias(const OpShapes &shapes, size_t operand) const {
  const std::vector<int64_t> &shape = shapes.operands[operand],
                             &q = shapes.operands[0];
  TensorFactors dims = {{b}, heads, {s}, {t}};
  int64_t full[] = {q[0], q[2], q[1]};
  for (int i = 0; i < 3; ++i)
    if (shape[i] != full[i])
      dims[i].clear();
  return dims;
}

/// How many scores there are that a causal mask, if there is one, leaves.
static double countScores(Value query, Value key, bool isCausal) {
  ArrayRef<int64_t> q = shapeOf(query);
  auto queries = static_cast<double>(q[1]),
       keys = static_cast<double>(shapeOf(key)[1]);
  double scores = queries * keys;
  // The last query sees all keys, each one before it a key less.
  if (isCausal)
    scores = keys >= queries ? scores - queries * (queries - 1) / 2
                             : keys * (keys + 1) / 2;
  return static_cast<double>(q[0]) * static_cast<double>(q[2]) * scores;
}

/// Columns of the widest head.
static int64_t widestHead(Value query, Value value) {
  return std::max(shapeOf(query)[3], shapeOf(value)[3]);
}

//===----------------------------------------------------------------------===//
// attention
//===----------------------------------------------------------------------===//

LogicalResult AttentionOp::verify() {
  if (failed(verifyHeads(*this, getQuery(), getKey(), getValue())) ||
      failed(verifyInferredResult(*this, "", /*checksElements=*/false)) ||
      failed(verifyElementType(*this, getResult(), "a result",
                               getElementTypeOrSelf(getQuery()))))
    return failure();
  return verifyBias(*this, getQuery(), getKey(), getBias());
}

InferredType AttentionOp::inferResultType() {
  InferredType type = likeOperand(*this);
  type.shape->back() = shapeOf(getValue()).back();
  return type;
}

FactorRule AttentionOp::getFactorRuleFor(const OpShapes &shapes) {
  FactorRule rule;
  ScoreFactors scores(rule, shapes, getCausal(), FactorKind::Pass,
                      FactorKind::Pass);
  rule.operands = {scores.query(), scores.key(), scores.value()};
  if (getBias())
    rule.operands.push_back(scores.bias(shapes, 3));
  rule.results = {scores.output()};
  rule.linear = {{{2}}};
  return rule;
}

PropagationRound AttentionOp::getPropagationRound() {
  return PropagationRound::Compute;
}

KernelRole AttentionOp::getKernelRole() { return KernelRole::Attention; }

/// Of one head.
int64_t AttentionOp::getWholeElements() {
  return widestHead(getQuery(), getValue());
}

/// The expansion holds all scores: of few queries, as in a decode step, they
/// are fewer than the elements of the keys and values.
bool AttentionOp::isExpandable() {
  return countScores(getQuery(), getKey(), /*isCausal=*/false) <=
         numElements(getKey()) + numElements(getValue());
}

double AttentionOp::getFlops() {
  return countScores(getQuery(), getKey(), getCausal()) *
         (2 * shapeOf(getQuery())[3] + 2 * shapeOf(getValue())[3] + 5);
}

//===----------------------------------------------------------------------===//
// attention_logsumexp
//===----------------------------------------------------------------------===//

LogicalResult AttentionLogsumexpOp::verify() {
  if (failed(verifyHeads(*this, getQuery(), getKey(), Value())) ||
      failed(verifyInferredResult(*this, "it has one number a query and head")))
    return failure();
  return verifyBias(*this, getQuery(), getKey(), getBias());
}

InferredType AttentionLogsumexpOp::inferResultType() {
  ArrayRef<int64_t> q = shapeOf(getQuery());
  return {SmallVector<int64_t>{q[0], q[2], q[1]}, wideTypeOf(getQuery())};
}

FactorRule AttentionLogsumexpOp::getFactorRuleFor(const OpShapes &shapes) {
  FactorRule rule;
  ScoreFactors scores(rule, shapes, getCausal(), FactorKind::Pass);
  rule.operands = {scores.query(), scores.key()};
  if (getBias())
    rule.operands.push_back(scores.bias(shapes, 2));
  rule.results = {scores.rows()};
  return rule;
}

PropagationRound AttentionLogsumexpOp::getPropagationRound() {
  return PropagationRound::Compute;
}

KernelRole AttentionLogsumexpOp::getKernelRole() { return KernelRole::Alone; }

int64_t AttentionLogsumexpOp::getWholeElements() {
  return shapeOf(getQuery())[3];
}

/// The attention, whose kernel computes it, counts the scores.
double AttentionLogsumexpOp::getFlops() { return 2 * numElements(getResult()); }

//===----------------------------------------------------------------------===//
// attention_tangent
//===----------------------------------------------------------------------===//

LogicalResult AttentionTangentOp::verify() {
  if (failed(verifyHeads(*this, getQuery(), getKey(), getValue())))
    return failure();
  Type type = getElementTypeOrSelf(getQuery());
  ArrayRef<int64_t> q = shapeOf(getQuery());
  struct Like {
    Value value;
    StringRef name;
    SmallVector<int64_t> shape;
    Type type;
    StringRef hint;
  };
  SmallVector<int64_t> output = {q[0], q[1], q[2], shapeOf(getValue())[3]};
  StringRef ofResult = "it is that of the result",
            ofOperand = "it is that of the operand";
  Like likes[] = {{getOutput(), "an output", output, type, ofResult},
                  {getLogsumexp(),
                   "a logsumexp",
                   {q[0], q[2], q[1]},
                   wideTypeOf(getQuery()),
                   "it has one number a query and head"},
                  {getQueryTangent(), "a tangent of the query",
                   SmallVector<int64_t>(q), type, ofOperand},
                  {getKeyTangent(), "a tangent of the key",
                   SmallVector<int64_t>(shapeOf(getKey())), type, ofOperand},
                  {getValueTangent(), "a tangent of the value",
                   SmallVector<int64_t>(shapeOf(getValue())), type, ofOperand},
                  {getResult(), "a result", output, type, ""}};
  for (const Like &like : likes)
    if (like.value &&
        (failed(verifyShape(*this, like.value, like.name, like.shape,
                            like.hint)) ||
         failed(verifyElementType(*this, like.value, like.name, like.type))))
      return failure();
  return verifyBias(*this, getQuery(), getKey(), getBias());
}

//===----------------------------------------------------------------------===//
// attention_gradient
//===----------------------------------------------------------------------===//

LogicalResult AttentionGradientOp::verify() {
  if (failed(verifyHeads(*this, getQuery(), getKey(), getValue())))
    return failure();
  ArrayRef<int64_t> q = shapeOf(getQuery());
  Type wide = wideTypeOf(getQuery());
  for (auto [value, name] : {std::pair(getLogsumexp(), "a logsumexp"),
                             std::pair(getMean(), "a mean")})
    if (failed(verifyShape(*this, value, name, {q[0], q[2], q[1]},
                           "it has one number a query and head")) ||
        failed(verifyElementType(*this, value, name, wide)))
      return failure();
  if (failed(verifyShape(*this, getCotangent(), "a cotangent",
                         {q[0], q[1], q[2], shapeOf(getValue())[3]},
                         "it is that of the attention's result")) ||
      failed(verifyElementType(*this, getCotangent(), "a cotangent",
                               getElementTypeOrSelf(getQuery()))) ||
      failed(verifyInferredResult(*this)))
    return failure();
  return verifyBias(*this, getQuery(), getKey(), getBias());
}

/// Like the operand, in the type that it is summed in.
InferredType AttentionGradientOp::inferResultType() {
  InferredType type = likeOperand(*this, static_cast<unsigned>(getOf()));
  type.elementType = wideTypeOf(getQuery());
  return type;
}

FactorRule AttentionGradientOp::getFactorRuleFor(const OpShapes &shapes) {
  FactorRule rule;
  // Gradients of keys and values are sums over the queries that see them.
  bool isOfQuery = getOf() == AttentionOperand::query;
  ScoreFactors scores(rule, shapes, getCausal(),
                      isOfQuery ? FactorKind::Pass : FactorKind::Reduce,
                      FactorKind::Replicate);
  rule.operands = {scores.query(), scores.key(),  scores.value(),
                   scores.rows(),  scores.rows(), scores.output()};
  if (getBias())
    rule.operands.push_back(scores.bias(shapes, 6));
  rule.results = {rule.operands[static_cast<size_t>(getOf())]};
  rule.linear = {{{4, 5}}};
  return rule;
}

PropagationRound AttentionGradientOp::getPropagationRound() {
  return PropagationRound::Compute;
}

void AttentionGradientOp::localiseOperands(const FactorRule &rule,
                                           LocalValues &parts) {
  parts.maskReducedPadding(*this, rule);
  if (getOf() == AttentionOperand::query || getCausal())
    return;
  // The weights of a query that is padding are e^-inf, whatever its bias is.
  MeshTensorType type = parts.logicalType(getLogsumexp());
  if (!type)
    return;
  const std::vector<AxisRef> &axes = type.getLayout().dims[2].axes;
  if (!parts.isUneven(type.getDimSize(2), axes))
    return;
  Value masked = parts.maskPadding(getLogsumexp(), 2, type.getDimSize(2), axes,
                                   ReduceKind::Min);
  getLogsumexpMutable().assign(masked);
  parts.setLogicalType(masked, type);
}

KernelRole AttentionGradientOp::getKernelRole() { return KernelRole::Alone; }

int64_t AttentionGradientOp::getWholeElements() {
  return widestHead(getQuery(), getValue());
}

/// One kernel computes all three gradients: the weights count as those of the
/// values, their changes as those of the keys.
double AttentionGradientOp::getFlops() {
  auto d = static_cast<double>(shapeOf(getQuery())[3]),
       e = static_cast<double>(shapeOf(getValue())[3]);
  double each = 2 * d;
  if (getOf() == AttentionOperand::key)
    each = 2 * e + 2 * d + 3;
  else if (getOf() == AttentionOperand::value)
    each = 2 * d + 2 * e + 3;
  return countScores(getQuery(), getKey(), getCausal()) * each;
}
