// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Verification.h"

using namespace mlir;
using namespace tessera;

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/NNOps.cpp.inc"

static double numElements(Value value) {
  double count = 1;
  for (int64_t size : shapeOf(value))
    count *= size;
  return count;
}

/// The result is like the input.
static LogicalResult verifyLike(Operation *op) {
  return failure(failed(verifyOneMesh(op)) || failed(verifyInferredResult(op)));
}

/// Rule of an op that works on whole rows along `dim` of its first operand; the
/// further operands have one element per column.
static FactorRule rowRule(const OpShapes &shapes, int64_t dim) {
  FactorRule rule;
  TensorFactors rows;
  for (auto [d, size] : llvm::enumerate(shapes.operands[0]))
    rows.push_back(
        {rule.addFactor("d" + std::to_string(d), size,
                        static_cast<int64_t>(d) == dim ? FactorKind::Replicate
                                                       : FactorKind::Pass)});
  rule.operands.push_back(rows);
  for (size_t i = 1; i < shapes.operands.size(); ++i)
    rule.operands.push_back({rows[dim]});
  rule.results = {rows};
  return rule;
}

//===----------------------------------------------------------------------===//
// gelu, softmax
//===----------------------------------------------------------------------===//

LogicalResult GeluOp::verify() { return verifyLike(*this); }

InferredType GeluOp::inferResultType() { return likeOperand(*this); }

FactorRule GeluOp::getFactorRuleFor(const OpShapes &shapes) {
  return elementwiseRule(shapes.results[0], 1);
}

KernelRole GeluOp::getKernelRole() { return KernelRole::Elementwise; }

int64_t GeluOp::getElementCost() { return 25; }

LogicalResult SoftmaxOp::verify() {
  if (failed(verifyLike(*this)))
    return failure();
  return verifyDim(*this, getDim(), {getInput(), "the input"});
}

InferredType SoftmaxOp::inferResultType() { return likeOperand(*this); }

FactorRule SoftmaxOp::getFactorRuleFor(const OpShapes &shapes) {
  return rowRule(shapes, getDim());
}

KernelRole SoftmaxOp::getKernelRole() { return KernelRole::Rows; }

int64_t SoftmaxOp::getWholeElements() { return shapeOf(getInput())[getDim()]; }

double SoftmaxOp::getFlops() { return 5 * numElements(getInput()); }

//===----------------------------------------------------------------------===//
// layer_norm, rms_norm
//===----------------------------------------------------------------------===//

/// Input of rank >= 1; `value`, called `name`, holds one element per column.
static LogicalResult verifyColumns(Operation *op, Value input, Value value,
                                   StringRef name) {
  ArrayRef<int64_t> shape = shapeOf(input);
  if (shape.empty())
    return explain(op->emitOpError() << "expects an input of rank 1 or more",
                   op, NamedValue{input, "the input"},
                   "its last dimension is normalised; tessera.reshape gives a "
                   "scalar one");
  if (failed(verifyShape(op, value, name, shape.take_back(1),
                         "it has one element per column of the input")))
    return failure();
  return verifyElementType(op, value, name, getElementTypeOrSelf(input));
}

LogicalResult LayerNormOp::verify() {
  if (failed(verifyLike(*this)) ||
      failed(verifyColumns(*this, getInput(), getScale(), "scale")))
    return failure();
  return verifyColumns(*this, getInput(), getBias(), "bias");
}

InferredType LayerNormOp::inferResultType() { return likeOperand(*this); }

FactorRule LayerNormOp::getFactorRuleFor(const OpShapes &shapes) {
  return rowRule(shapes, shapes.operands[0].size() - 1);
}

KernelRole LayerNormOp::getKernelRole() { return KernelRole::Rows; }

int64_t LayerNormOp::getWholeElements() { return shapeOf(getInput()).back(); }

double LayerNormOp::getFlops() { return 8 * numElements(getInput()); }

LogicalResult RmsNormOp::verify() {
  if (failed(verifyLike(*this)))
    return failure();
  return verifyColumns(*this, getInput(), getScale(), "scale");
}

InferredType RmsNormOp::inferResultType() { return likeOperand(*this); }

FactorRule RmsNormOp::getFactorRuleFor(const OpShapes &shapes) {
  return rowRule(shapes, shapes.operands[0].size() - 1);
}

KernelRole RmsNormOp::getKernelRole() { return KernelRole::Rows; }

int64_t RmsNormOp::getWholeElements() { return shapeOf(getInput()).back(); }

double RmsNormOp::getFlops() { return 4 * numElements(getInput()); }

//===----------------------------------------------------------------------===//
// attention
//===----------------------------------------------------------------------===//

LogicalResult AttentionOp::verify() {
  if (failed(verifyOneMesh(*this)))
    return failure();
  ArrayRef<int64_t> q = shapeOf(getQuery()), k = shapeOf(getKey()),
                    v = shapeOf(getValue());
  if (q.size() != 4 || k.size() != 4 || v.size() != 4)
    return explain(
        emitOpError() << "expects query [B,S,H,D], key [B,T,K,D] and value "
                         "[B,T,K,E] of rank 4, got "
                      << shapeToString(q) << ", " << shapeToString(k) << " and "
                      << shapeToString(v),
        *this,
        {{getQuery(), "the query"},
         {getKey(), "the key"},
         {getValue(), "the value"}},
        "tessera.reshape takes the heads out of the hidden dimension");
  if (failed(verifyShape(*this, getKey(), "a key", {q[0], k[1], k[2], q[3]},
                         "batch and head size are those of the query")) ||
      failed(verifyShape(*this, getValue(), "a value", {q[0], k[1], k[2], v[3]},
                         "batch, length and heads are those of the key")))
    return failure();
  if (k[2] == 0 || q[2] % k[2] != 0)
    return explain(emitOpError()
                       << "has " << q[2] << " query heads for " << k[2]
                       << " key heads; the first must be a multiple of the "
                          "second",
                   *this, {{getQuery(), "the query"}, {getKey(), "the key"}});
  if (failed(verifyInferredResult(*this, "", /*checksElements=*/false)))
    return failure();
  Type type = getElementTypeOrSelf(getQuery());
  if (failed(verifyElementType(*this, getKey(), "a key", type)) ||
      failed(verifyElementType(*this, getValue(), "a value", type)) ||
      failed(verifyElementType(*this, getResult(), "a result", type)))
    return failure();
  if (!getBias())
    return success();
  ArrayRef<int64_t> bias = shapeOf(getBias());
  int64_t full[] = {q[0], q[2], q[1], k[1]};
  bool fits = bias.size() == 4 && bias[3] == full[3];
  for (int i = 0; fits && i < 3; ++i)
    fits = bias[i] == 1 || bias[i] == full[i];
  if (!fits)
    return explain(emitOpError()
                       << "expects a bias of shape " << shapeToString(full)
                       << ", where all but the last may be 1, got "
                       << shapeToString(bias),
                   *this, NamedValue{getBias(), "the bias"},
                   "its dimensions are batch, heads, queries and keys");
  return verifyElementType(*this, getBias(), "a bias", type);
}

InferredType AttentionOp::inferResultType() {
  InferredType type = likeOperand(*this);
  type.shape->back() = shapeOf(getValue()).back();
  return type;
}

FactorRule AttentionOp::getFactorRuleFor(const OpShapes &shapes) {
  FactorRule rule;
  ArrayRef<int64_t> q = shapes.operands[0], k = shapes.operands[1];
  int b = rule.addFactor("b", q[0]);
  // The causal mask depends on logical positions, which a part of the queries
  // does not know.
  int s = rule.addFactor(
      "s", q[1], getCausal() ? FactorKind::Replicate : FactorKind::Pass);
  int h = rule.addFactor("h", k[2]);
  int t = rule.addFactor("t", k[1], FactorKind::Replicate);
  int d = rule.addFactor("d", q[3], FactorKind::Replicate);
  int e = rule.addFactor("e", shapes.operands[2][3]);
  DimFactors heads = {h};
  // Query heads that share a key head form a minor factor of their own.
  if (q[2] != k[2])
    heads.push_back(rule.addFactor("g", q[2] / k[2]));
  rule.operands = {
      {{b}, {s}, heads, {d}}, {{b}, {t}, {h}, {d}}, {{b}, {t}, {h}, {e}}};
  if (getBias()) {
    ArrayRef<int64_t> bias = shapes.operands[3];
    TensorFactors dims = {{b}, heads, {s}, {t}};
    int64_t full[] = {q[0], q[2], q[1]};
    for (int i = 0; i < 3; ++i)
      if (bias[i] != full[i])
        dims[i].clear();
    rule.operands.push_back(dims);
  }
  rule.results = {{{b}, {s}, heads, {e}}};
  rule.linear = {{{2}}};
  return rule;
}

PropagationRound AttentionOp::getPropagationRound() {
  return PropagationRound::Compute;
}

KernelRole AttentionOp::getKernelRole() { return KernelRole::Attention; }

/// Of one head.
int64_t AttentionOp::getWholeElements() {
  return std::max(shapeOf(getQuery())[3], shapeOf(getValue())[3]);
}

/// The expansion holds all scores: of few queries, as in a decode step, they
/// are fewer than the elements of the keys and values.
bool AttentionOp::isExpandable() {
  ArrayRef<int64_t> q = shapeOf(getQuery());
  double scores = double(q[0]) * q[1] * q[2] * shapeOf(getKey())[1];
  return scores <= numElements(getKey()) + numElements(getValue());
}

double AttentionOp::getFlops() {
  ArrayRef<int64_t> q = shapeOf(getQuery());
  double scores = double(q[0]) * q[1] * q[2] * shapeOf(getKey())[1];
  return scores * (2 * q[3] + 2 * shapeOf(getValue())[3] + 5);
}
