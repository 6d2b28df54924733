// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/FactorRule.h"

#include <algorithm>
#include <numeric>

namespace tessera {

int FactorRule::addFactor(std::string name, int64_t size, FactorKind kind,
                          ReduceKind reduce) {
  factors.push_back({std::move(name), size, kind, reduce});
  return static_cast<int>(factors.size()) - 1;
}

static std::string tensorsToString(const FactorRule &rule,
                                   const std::vector<TensorFactors> &tensors) {
  std::string text = "(";
  for (size_t t = 0; t < tensors.size(); ++t) {
    text += t ? ",[" : "[";
    for (size_t d = 0; d < tensors[t].size(); ++d) {
      text += d ? "," : "";
      for (int factor : tensors[t][d])
        text += rule.factors[factor].name;
      if (tensors[t][d].empty())
        text += "*";
    }
    text += "]";
  }
  return text + ")";
}

std::string FactorRule::str() const {
  std::string text = tensorsToString(*this, operands) + "->" +
                     tensorsToString(*this, results) + " {";
  std::string reduced, replicated;
  for (size_t i = 0; i < factors.size(); ++i) {
    text += (i ? "," : "") + factors[i].name + "=" +
            std::to_string(factors[i].size);
    if (factors[i].kind == FactorKind::Reduce)
      reduced += (reduced.empty() ? "" : ",") + factors[i].name;
    if (factors[i].kind == FactorKind::Replicate)
      replicated += (replicated.empty() ? "" : ",") + factors[i].name;
  }
  text += "}";
  if (!reduced.empty())
    text += " reduce={" + reduced + "}";
  if (!replicated.empty())
    text += " replicate={" + replicated + "}";
  return text;
}

static std::string
verifyTensors(const FactorRule &rule, const std::vector<TensorFactors> &tensors,
              const std::vector<std::vector<int64_t>> &shapes,
              const char *what) {
  if (tensors.size() != shapes.size())
    return std::string("rule has ") + std::to_string(tensors.size()) + " " +
           what + "s, the op has " + std::to_string(shapes.size());
  for (size_t t = 0; t < tensors.size(); ++t) {
    std::string name = std::string(what) + " " + std::to_string(t);
    if (tensors[t].size() != shapes[t].size())
      return "rank of " + name + " is " + std::to_string(shapes[t].size()) +
             ", its rule has " + std::to_string(tensors[t].size());
    for (size_t d = 0; d < tensors[t].size(); ++d) {
      int64_t product = 1;
      for (int factor : tensors[t][d]) {
        if (factor < 0 || factor >= static_cast<int>(rule.factors.size()))
          return "factor " + std::to_string(factor) + " of " + name +
                 " does not exist";
        product *= rule.factors[factor].size;
      }
      if (!tensors[t][d].empty() && product != shapes[t][d])
        return "factors of " + name + " dimension " + std::to_string(d) +
               " multiply to " + std::to_string(product) +
               ", the dimension has " + std::to_string(shapes[t][d]);
    }
  }
  return "";
}

std::string FactorRule::verify(
    const std::vector<std::vector<int64_t>> &operandShapes,
    const std::vector<std::vector<int64_t>> &resultShapes) const {
  std::string error = verifyTensors(*this, operands, operandShapes, "operand");
  if (!error.empty())
    return error;
  return verifyTensors(*this, results, resultShapes, "result");
}

FactorRule elementwiseRule(const std::vector<int64_t> &shape,
                           size_t numOperands) {
  FactorRule rule;
  TensorFactors dims(shape.size());
  rule.factors.reserve(shape.size());
  for (size_t d = 0; d < shape.size(); ++d)
    dims[d].push_back(rule.addFactor("d" + std::to_string(d), shape[d]));
  rule.operands.assign(numOperands, dims);
  rule.results.push_back(std::move(dims));
  return rule;
}

namespace {
/// Walks one side of a reshape from its major dimension to its minor one,
/// peeling factors off the current dimension.
struct ReshapeSide {
  const std::vector<int64_t> &shape;
  TensorFactors factors;
  size_t dim = 0;
  /// What is left of dimension `dim`; 1 past the end.
  int64_t left = 1;

  explicit ReshapeSide(const std::vector<int64_t> &shape)
      : shape(shape), factors(shape.size()) {
    enter(0);
  }
  void enter(size_t next) {
    for (dim = next; dim < shape.size() && shape[dim] == 1;)
      ++dim;
    left = dim < shape.size() ? shape[dim] : 1;
  }
  void peel(int factor, int64_t size) {
    factors[dim].push_back(factor);
    left /= size;
    if (left == 1)
      enter(dim + 1);
  }
};
} // namespace

FactorRule reshapeRule(const std::vector<int64_t> &from,
                       const std::vector<int64_t> &to) {
  FactorRule rule;
  rule.linear.push_back({{0}, ReduceKind::Sum});
  ReshapeSide in(from), out(to);
  // A tensor without elements has no order of elements to keep.
  auto isEmpty = [](const std::vector<int64_t> &shape) {
    return std::find(shape.begin(), shape.end(), 0) != shape.end();
  };
  if (isEmpty(from) || isEmpty(to)) {
    rule.operands = {in.factors};
    rule.results = {out.factors};
    return rule;
  }

  // Both sides enumerate the same elements, so a factor that is major on both
  // is the same digit of the element's number: peel off common divisors.
  auto peelWhole = [&](ReshapeSide &side) {
    int64_t size = side.left;
    side.peel(rule.addFactor("r" + std::to_string(rule.factors.size()), size,
                             FactorKind::Replicate),
              size);
    return size;
  };
  while (in.left != 1 && out.left != 1) {
    int64_t common = std::gcd(in.left, out.left);
    if (common != 1) {
      int factor =
          rule.addFactor("d" + std::to_string(rule.factors.size()), common);
      in.peel(factor, common);
      out.peel(factor, common);
      continue;
    }
    // No common digit: what is left must be whole on each device, up to where
    // the products of both sides meet again.
    int64_t inProduct = peelWhole(in), outProduct = peelWhole(out);
    while (inProduct != outProduct) {
      if (inProduct < outProduct)
        inProduct *= peelWhole(in);
      else
        outProduct *= peelWhole(out);
    }
  }
  rule.operands = {in.factors};
  rule.results = {out.factors};
  return rule;
}

FactorRule contractionRule(const std::string &lhs, const std::string &rhs,
                           const std::string &out,
                           const std::vector<int64_t> &lhsShape,
                           const std::vector<int64_t> &rhsShape) {
  FactorRule rule;
  auto factorOf = [&](char letter, int64_t size) {
    for (size_t i = 0; i < rule.factors.size(); ++i)
      if (rule.factors[i].name[0] == letter)
        return static_cast<int>(i);
    bool kept = out.find(letter) != std::string::npos;
    return rule.addFactor(std::string(1, letter), size,
                          kept ? FactorKind::Pass : FactorKind::Reduce);
  };
  TensorFactors a, b, c;
  for (size_t d = 0; d < lhs.size(); ++d)
    a.push_back({factorOf(lhs[d], lhsShape[d])});
  for (size_t d = 0; d < rhs.size(); ++d)
    b.push_back({factorOf(rhs[d], rhsShape[d])});
  for (char letter : out)
    c.push_back({factorOf(letter, 1)});
  rule.operands = {a, b};
  rule.results = {c};
  rule.linear = {{{0}, ReduceKind::Sum}, {{1}, ReduceKind::Sum}};
  return rule;
}

} // namespace tessera
