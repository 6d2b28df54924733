// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/LayoutPropagation.h"

#include "gtest/gtest.h"

#include <algorithm>
#include <numeric>
#include <random>

using namespace tessera;

namespace {

using Shape = std::vector<int64_t>;
const AxisRef dp{"dp", 1, 0}, tp{"tp", 1, 0};

/// Builds graphs in the order that models write them.
struct Graph {
  PropagationGraph graph;

  Graph() {
    graph.mesh = {"mesh",
                  {{"dp", 2, LinkClass::IB}, {"tp", 4, LinkClass::NVLink}}};
  }
  int value(const Shape &shape) {
    graph.values.push_back({shape, Layout::open("mesh", shape.size())});
    return static_cast<int>(graph.values.size()) - 1;
  }
  void annotate(int value, int dim, std::vector<AxisRef> axes) {
    graph.values[value].layout.dims[dim].axes = std::move(axes);
  }
  DimLayout &dim(int value, int d) {
    return graph.values[value].layout.dims[d];
  }
  int op(FactorRule rule, std::vector<int> operands, const Shape &result,
         PropagationRound round) {
    int id = value(result);
    graph.ops.push_back({std::move(rule), std::move(operands), {id}, round});
    return id;
  }
  int elementwise(std::vector<int> operands) {
    Shape shape = graph.values[operands[0]].shape;
    FactorRule rule = elementwiseRule(shape, operands.size());
    return op(rule, operands, shape, PropagationRound::Elementwise);
  }
  int contract(int lhs, int rhs, const std::string &l, const std::string &r,
               const std::string &o, const Shape &result) {
    FactorRule rule = contractionRule(l, r, o, graph.values[lhs].shape,
                                      graph.values[rhs].shape);
    return op(rule, {lhs, rhs}, result, PropagationRound::Compute);
  }
  int reshape(int input, const Shape &result) {
    return op(reshapeRule(graph.values[input].shape, result), {input}, result,
              PropagationRound::Elementwise);
  }
  std::string text(int value) { return graph.values[value].layout.str(); }
};

/// Two products, as in a perceptron; only the first weight is annotated.
struct Perceptron : Graph {
  int x = value({2, 8, 12}), w1 = value({12, 20}), w2 = value({20, 12});
  int h = contract(x, w1, "bsk", "kn", "bsn", {2, 8, 20});
  int a = elementwise({h});
  int y = contract(a, w2, "bsk", "kn", "bsn", {2, 8, 12});
};

} // namespace

TEST(LayoutPropagation, OneAnnotatedWeightSplitsThePerceptron) {
  Perceptron p;
  p.annotate(p.w1, 1, {tp});
  propagateLayouts(p.graph);
  EXPECT_EQ(p.text(p.h), "[{}, {}, {tp}]");
  EXPECT_EQ(p.text(p.a), "[{}, {}, {tp}]");
  EXPECT_EQ(p.text(p.w2), "[{tp}, {}]");
  EXPECT_EQ(p.text(p.x), "[{}, {}, {}]");
  EXPECT_EQ(p.text(p.y), "[{}, {}, {}]");
}

TEST(LayoutPropagation, BatchAndWeightAxesSpreadTogether) {
  Perceptron p;
  p.annotate(p.w1, 1, {tp});
  p.annotate(p.x, 0, {dp});
  propagateLayouts(p.graph);
  EXPECT_EQ(p.text(p.a), "[{dp}, {}, {tp}]");
  EXPECT_EQ(p.text(p.y), "[{dp}, {}, {}]");
}

/// A graph of a dozen ops with annotations that contradict each other.
static Graph makeRandomGraph(std::mt19937 &random) {
  auto below = [&](size_t n) { return int(random() % n); };
  const std::vector<std::vector<AxisRef>> lists = {{dp}, {tp}, {dp, tp}};
  Graph g;
  std::vector<int> values = {g.value({8, 8}), g.value({8, 8}), g.value({8, 8})};
  for (int i = 0; i < 12; ++i) {
    int a = values[below(values.size())], b = values[below(values.size())];
    switch (below(4)) {
    case 0:
      values.push_back(g.elementwise({a}));
      break;
    case 1:
      values.push_back(g.elementwise({a, b}));
      break;
    case 2:
      values.push_back(g.contract(a, b, "mk", "kn", "mn", {8, 8}));
      break;
    case 3:
      values.push_back(g.reshape(g.reshape(a, {4, 2, 8}), {8, 8}));
      break;
    }
  }
  for (PropagationValue &value : g.graph.values)
    if (below(4) == 0)
      value.layout.dims[below(value.shape.size())].axes =
          lists[below(lists.size())];
  return g;
}

TEST(LayoutPropagation, DoesNotDependOnTheOrderOfOpsOrValues) {
  std::mt19937 random(7);
  int withAxes = 0;
  for (int round = 0; round < 300; ++round) {
    Graph g = makeRandomGraph(random);
    PropagationGraph other = {g.graph.mesh, {}, g.graph.ops};
    std::vector<int> values(g.graph.values.size()), place(values.size());
    std::iota(values.begin(), values.end(), 0);
    std::shuffle(values.begin(), values.end(), random);
    for (int value : values) {
      place[value] = static_cast<int>(other.values.size());
      other.values.push_back(g.graph.values[value]);
    }
    std::shuffle(other.ops.begin(), other.ops.end(), random);
    for (PropagationOp &op : other.ops)
      for (std::vector<int> *tensors : {&op.operands, &op.results})
        for (int &value : *tensors)
          value = place[value];
    propagateLayouts(g.graph);
    propagateLayouts(other);
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ(g.text(int(i)), other.values[place[i]].layout.str())
          << "value " << i << " of graph " << round;
      withAxes += g.text(int(i)) != "[{}, {}]";
    }
  }
  EXPECT_GT(withAxes, 1000);
}

TEST(LayoutPropagation, TheNearerAnnotationIsHeard) {
  Graph g;
  int a = g.value({8, 8}), b = g.elementwise({a}), c = g.elementwise({b}),
      d = g.elementwise({c});
  g.annotate(a, 0, {dp});
  g.annotate(d, 0, {tp});
  propagateLayouts(g.graph);
  EXPECT_EQ(g.text(b), "[{dp}, {}]");
  EXPECT_EQ(g.text(c), "[{tp}, {}]");
}

TEST(LayoutPropagation, ClosedDimensionsTakeNothing) {
  Perceptron p;
  p.annotate(p.w1, 1, {tp});
  p.dim(p.w2, 0).open = false;
  propagateLayouts(p.graph);
  EXPECT_EQ(p.text(p.w2), "[{}, {}]");
  EXPECT_EQ(p.text(p.a), "[{}, {}, {tp}]");
}

TEST(LayoutPropagation, AnnotationsAreNeverChanged) {
  Perceptron p;
  p.annotate(p.w1, 1, {tp});
  p.annotate(p.w2, 0, {dp});
  p.dim(p.w2, 0).open = false;
  propagateLayouts(p.graph);
  EXPECT_EQ(p.text(p.w1), "[{}, {tp}]");
  EXPECT_EQ(p.text(p.w2), "[{dp}, {}]");
}

TEST(LayoutPropagation, ATensorTakesAnAxisOnce) {
  Graph g;
  int x = g.value({8, 8}), y = g.value({8, 8});
  g.annotate(x, 0, {tp});
  g.annotate(y, 1, {tp});
  int z = g.elementwise({x, y});
  propagateLayouts(g.graph);
  EXPECT_FALSE(findLayoutError(g.graph.values[z].layout, g.graph.mesh, 2))
      << g.text(z);
}

TEST(LayoutPropagation, ReplicateFactorsTakeNoAxes) {
  Graph g;
  int x = g.value({6, 8});
  g.annotate(x, 1, {tp});
  FactorRule rule;
  int rows = rule.addFactor("r", 6);
  int columns = rule.addFactor("c", 8, FactorKind::Replicate);
  rule.operands = {{{rows}, {columns}}};
  rule.results = {{{rows}, {columns}}};
  int y = g.op(rule, {x}, {6, 8}, PropagationRound::Compute);
  propagateLayouts(g.graph);
  EXPECT_EQ(g.text(y), "[{}, {}]");
}

TEST(LayoutPropagation, HeadsAreTheMajorPartOfTheHiddenDimension) {
  Graph g;
  int x = g.value({2, 8, 12});
  g.annotate(x, 2, {tp});
  int heads = g.reshape(x, {2, 8, 4, 3});
  int joined = g.reshape(heads, {2, 8, 12});
  propagateLayouts(g.graph);
  EXPECT_EQ(g.text(heads), "[{}, {}, {tp}, {}]");
  EXPECT_EQ(g.text(joined), "[{}, {}, {tp}]");
}

TEST(LayoutPropagation, AMinorPartIsNotSplitUnderAWholeMajorOne) {
  Graph g;
  int x = g.value({3, 8});
  g.annotate(x, 1, {tp});
  int joined = g.reshape(x, {24});
  propagateLayouts(g.graph);
  EXPECT_EQ(g.text(joined), "[{}]");
}

TEST(LayoutPropagation, AnAxisThatDoesNotDivideTheMajorPartStays) {
  Graph g;
  int x = g.value({12});
  g.annotate(x, 0, {tp});
  int parts = g.reshape(x, {6, 2});
  propagateLayouts(g.graph);
  EXPECT_EQ(g.text(parts), "[{}, {}]");
}

TEST(LayoutPropagation, UserPriorityDecidesBeforeSize) {
  Graph g;
  int x = g.value({8, 8}), w = g.value({8, 4});
  g.annotate(x, 0, {tp});
  g.dim(x, 0).priority = 1;
  g.annotate(w, 1, {tp});
  int y = g.contract(x, w, "mk", "kn", "mn", {8, 4});
  propagateLayouts(g.graph);
  EXPECT_EQ(g.text(y), "[{}, {tp}]");
}

TEST(LayoutPropagation, WithoutPriorityTheLargerTensorDecides) {
  Graph g;
  int x = g.value({8, 8}), w = g.value({8, 4});
  g.annotate(x, 0, {tp});
  g.annotate(w, 1, {tp});
  int y = g.contract(x, w, "mk", "kn", "mn", {8, 4});
  propagateLayouts(g.graph);
  EXPECT_EQ(g.text(y), "[{tp}, {}]");
}

/// An op on tensors of dimensions k, kn, k and so on: a factor k of size 8 that
/// all have, and n of size `columns[i]` that tensor i has beside it, if any.
struct SharedFactor : Graph {
  std::vector<int> tensors;

  explicit SharedFactor(const std::vector<int64_t> &columns) {
    FactorRule rule;
    int k = rule.addFactor("k", 8);
    for (int64_t size : columns) {
      Shape shape = {8};
      TensorFactors dims = {{k}};
      if (size > 1) {
        shape.push_back(size);
        dims.push_back({rule.addFactor("n", size)});
      }
      tensors.push_back(value(shape));
      rule.operands.push_back(dims);
    }
    rule.results = {{{k}}};
    op(rule, tensors, {8}, PropagationRound::Compute);
  }
  std::string textOfResult() {
    return text(static_cast<int>(graph.values.size()) - 1);
  }
};

TEST(LayoutPropagation, TheLargestTensorDecidesWhereverItStands) {
  for (int largest : {0, 1, 2}) {
    std::vector<int64_t> columns = {2, 2, 2};
    columns[largest] = 3;
    SharedFactor g(columns);
    for (int i : {0, 1, 2})
      g.annotate(g.tensors[i], 0, {i == largest ? tp : dp});
    propagateLayouts(g.graph);
    EXPECT_EQ(g.textOfResult(), "[{tp}]") << largest;
  }
}

TEST(LayoutPropagation, ASmallerTensorExtendsTheListOfALargerOne) {
  SharedFactor g({3, 1});
  g.annotate(g.tensors[0], 0, {dp});
  g.annotate(g.tensors[1], 0, {dp, tp});
  propagateLayouts(g.graph);
  EXPECT_EQ(g.textOfResult(), "[{dp, tp}]");
}

TEST(LayoutPropagation, ATensorThatExtendsSpeaksForTheLargest) {
  std::vector<std::vector<AxisRef>> lists = {{dp}, {dp, tp}, {tp}};
  std::vector<int64_t> columns = {5, 1, 3};
  std::vector<int> order = {0, 1, 2};
  do {
    SharedFactor g({columns[order[0]], columns[order[1]], columns[order[2]]});
    for (int i : {0, 1, 2})
      g.annotate(g.tensors[i], 0, lists[order[i]]);
    propagateLayouts(g.graph);
    EXPECT_EQ(g.textOfResult(), "[{dp, tp}]");
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(LayoutPropagation, ADimensionOfOneElementTakesNoAxis) {
  Graph g;
  int x = g.value({1, 8});
  g.annotate(x, 0, {tp});
  int y = g.elementwise({x});
  propagateLayouts(g.graph);
  EXPECT_EQ(g.text(y), "[{}, {}]");
}

TEST(LayoutPropagation, NoAxisSplitsAndIsPartialAlong) {
  Graph g;
  int x = g.value({8, 8}), y = g.value({8, 8});
  g.annotate(x, 0, {tp});
  g.graph.values[y].layout.partial = {tp};
  g.elementwise({x, y});
  propagateLayouts(g.graph);
  EXPECT_EQ(g.text(y), "[{}, {}], partial = sum{tp}");
}

TEST(LayoutPropagation, AnAxisOfAStateDoesNotSplit) {
  Graph g;
  int x = g.value({8, 8}), y = g.value({8, 8}), z = g.value({8, 8});
  g.annotate(x, 0, {tp});
  g.graph.values[y].layout.reduced = {tp};
  g.graph.values[z].layout.varying = {tp};
  g.elementwise({x, y, z});
  propagateLayouts(g.graph);
  EXPECT_EQ(g.text(y), "[{}, {}], reduced = {tp}");
  EXPECT_EQ(g.text(z), "[{}, {}], varying = {tp}");
}

TEST(LayoutPropagation, StatesDoNotSpread) {
  Graph g;
  int x = g.value({8, 8}), y = g.value({8, 8});
  g.graph.values[x].layout.varying = {tp};
  g.elementwise({x, y});
  propagateLayouts(g.graph);
  EXPECT_EQ(g.text(y), "[{}, {}]");
}

TEST(LayoutPropagation, ElementwiseOpsDecideBeforeProducts) {
  Graph g;
  int v = g.value({6, 8}), w = g.value({8, 4}), e = g.value({6, 8});
  g.annotate(e, 1, {tp});
  g.annotate(w, 0, {dp});
  int u = g.elementwise({v});
  g.elementwise({u, e});
  g.contract(v, w, "mk", "kn", "mn", {6, 4});
  propagateLayouts(g.graph);
  EXPECT_EQ(g.text(v), "[{}, {tp}]");
}

TEST(LayoutPropagation, EachAxisOfAJoinedDimensionNamesWhereItComesFrom) {
  Graph g;
  int x = g.value({2, 12});
  g.annotate(x, 0, {dp});
  g.annotate(x, 1, {tp});
  int joined = g.reshape(x, {24});
  AxisGrants grants = propagateLayouts(g.graph);
  EXPECT_EQ(g.text(joined), "[{dp, tp}]");
  EXPECT_EQ((grants.at({joined, 0, dp}).fromDim), 0);
  EXPECT_EQ((grants.at({joined, 0, tp}).fromDim), 1);
}

TEST(LayoutPropagation, EveryGrantLeadsBackToAnAnnotation) {
  Perceptron p;
  p.annotate(p.w1, 1, {tp});
  AxisGrants grants = propagateLayouts(p.graph);
  for (size_t v = 0; v < p.graph.values.size(); ++v)
    for (size_t d = 0; d < p.graph.values[v].layout.dims.size(); ++d)
      for (const AxisRef &axis : p.graph.values[v].layout.dims[d].axes) {
        int value = static_cast<int>(v), dim = static_cast<int>(d), steps = 0;
        while (value != p.w1) {
          auto grant = grants.find({value, dim, axis});
          ASSERT_NE(grant, grants.end()) << "value " << value;
          value = grant->second.fromValue;
          dim = grant->second.fromDim;
          ASSERT_LT(++steps, 10);
        }
        EXPECT_EQ(dim, 1);
      }
}
