// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/FactorRule.h"

#include <algorithm>

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

static std::string verifyTensors(const FactorRule &rule,
                                 const std::vector<TensorFactors> &tensors,
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
  TensorFactors dims;
  for (size_t d = 0; d < shape.size(); ++d)
    dims.push_back({rule.addFactor("d" + std::to_string(d), shape[d])});
  rule.operands.assign(numOperands, dims);
  rule.results.push_back(dims);
  return rule;
}

FactorRule reshapeRule(const std::vector<int64_t> &from,
                       const std::vector<int64_t> &to) {
  FactorRule rule;
  TensorFactors in(from.size()), out(to.size());
  size_t i = 0, o = 0;
  auto skipOnes = [](const std::vector<int64_t> &shape, size_t &pos) {
    while (pos < shape.size() && shape[pos] == 1)
      ++pos;
  };
  for (;;) {
    skipOnes(from, i);
    skipOnes(to, o);
    if (i >= from.size() || o >= to.size())
      break;
    // Peel factors off a run of dimensions whose products agree.
    int64_t inLeft = from[i], outLeft = to[o];
    while (inLeft != 1 || outLeft != 1) {
      int64_t smaller = std::min(inLeft, outLeft);
      int64_t larger = std::max(inLeft, outLeft);
      // Factors are peeled minor to major below, major to minor here: only an
      // exact major split keeps the order of elements.
      if (smaller == 0 || larger % smaller != 0) {
        // No common factor: the rest of the run must be whole on each device.
        int inFactor = rule.addFactor("r" + std::to_string(rule.factors.size()),
                                      inLeft, FactorKind::Replicate);
        in[i].push_back(inFactor);
        int outFactor = rule.addFactor(
            "r" + std::to_string(rule.factors.size()), outLeft,
            FactorKind::Replicate);
        out[o].push_back(outFactor);
        // Advance both until the running products meet.
        int64_t inProduct = inLeft, outProduct = outLeft;
        while (inProduct != outProduct) {
          if (inProduct < outProduct && i + 1 < from.size()) {
            inProduct *= from[++i];
            in[i].push_back(
                rule.addFactor("r" + std::to_string(rule.factors.size()),
                               from[i], FactorKind::Replicate));
          } else if (o + 1 < to.size()) {
            outProduct *= to[++o];
            out[o].push_back(
                rule.addFactor("r" + std::to_string(rule.factors.size()),
                               to[o], FactorKind::Replicate));
          } else {
            break;
          }
        }
        inLeft = outLeft = 1;
        break;
      }
      int factor =
          rule.addFactor("d" + std::to_string(rule.factors.size()), smaller);
      in[i].push_back(factor);
      out[o].push_back(factor);
      inLeft /= smaller;
      outLeft /= smaller;
      if (inLeft == 1 && outLeft != 1) {
        ++i;
        skipOnes(from, i);
        inLeft = from[i];
      } else if (outLeft == 1 && inLeft != 1) {
        ++o;
        skipOnes(to, o);
        outLeft = to[o];
      }
    }
    ++i;
    ++o;
  }
  rule.operands.push_back(std::move(in));
  rule.results.push_back(std::move(out));
  rule.linear.push_back({{0}, ReduceKind::Sum});
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
