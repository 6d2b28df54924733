// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/KernelPlanner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

using namespace tessera;

namespace {

/// A program under construction; values are numbers of nodes.
class Program {
public:
  explicit Program(int64_t elements = 1 << 20) : elements(elements) {}

  int argument() { return add({}); }
  int elementwise(std::vector<int> operands, double cost = 1) {
    KernelNode node = of(KernelOpClass::Elementwise, cost);
    for (int operand : operands)
      node.operands.push_back({operand});
    return add(node);
  }
  /// The operand with its elements moved by `distance`.
  int shifted(int operand, int distance) {
    KernelNode node = of(KernelOpClass::Moving, 1);
    node.operands.push_back(
        {operand, KernelAccess::Element, distance == 0 ? 0 : distance + 1000});
    return add(node);
  }
  int roll(int operand, int distance) {
    return elementwise(
        {shifted(operand, distance), shifted(operand, distance - (1 << 12))});
  }
  /// Sums of rows of `length`; a softmax of them if it keeps the shape.
  int rows(int operand, int64_t length, bool keepsShape = false) {
    KernelNode node = of(KernelOpClass::Rows, 1);
    KernelOperand read{operand};
    if (!keepsShape) {
      node.elements /= length;
      node.shape = 1;
      read.transform = 7;
      read.share = static_cast<double>(length);
    }
    node.rowClass = keepsShape ? 1 : 2;
    node.operands = {read};
    return add(node);
  }
  int widened(int operand) {
    int node = elementwise({operand});
    nodes[node].isWidening = true;
    return node;
  }
  int product(int left, int right) {
    KernelNode node = of(KernelOpClass::Product, 1000);
    node.operands = {{left, KernelAccess::Blocks, 5},
                     {right, KernelAccess::Blocks, 6}};
    return add(node);
  }
  int broadcast(int operand) {
    KernelNode node = of(KernelOpClass::Free, 0);
    node.operands = {{operand, KernelAccess::Repeated, 9}};
    return add(node);
  }
  int renamed(int operand) {
    KernelNode node = of(KernelOpClass::Moving, 0);
    node.isRenaming = true;
    node.operands = {{operand, KernelAccess::Element, 11}};
    return add(node);
  }
  void host(std::vector<int> operands) {
    KernelNode node = of(KernelOpClass::Host, 0);
    for (int operand : operands)
      node.operands.push_back({operand, KernelAccess::Memory});
    add(node);
  }

  std::vector<KernelNode> nodes;

private:
  KernelNode of(KernelOpClass kind, double cost) const {
    KernelNode node;
    node.kind = kind;
    node.elements = elements;
    node.cost = cost;
    return node;
  }
  int add(KernelNode node) {
    if (node.kind == KernelOpClass::Memory)
      node.elements = elements;
    nodes.push_back(std::move(node));
    return static_cast<int>(nodes.size()) - 1;
  }
  int64_t elements;
};

std::vector<std::vector<int>>
rootsOf(const std::vector<KernelGroupPlan> &plan) {
  std::vector<std::vector<int>> roots;
  for (const KernelGroupPlan &group : plan)
    roots.push_back(group.roots);
  return roots;
}

using Roots = std::vector<std::vector<int>>;

TEST(KernelPlanner, WhatIsOnlyWidenedIsReadNarrowByEachKernel) {
  for (bool isWidened : {false, true}) {
    Program program;
    int x = program.argument();
    int wide = isWidened ? program.widened(x) : program.elementwise({x});
    int sums = program.rows(wide, 16);
    int softmax = program.rows(wide, 16, /*keepsShape=*/true);
    program.host({sums, softmax});
    std::vector<KernelGroupPlan> plan = planKernelGroups(program.nodes);
    Roots wanted = {{sums}, {softmax}};
    if (!isWidened)
      wanted = {{wide}, {sums}, {softmax}};
    Roots found = rootsOf(plan);
    std::sort(found.begin(), found.end());
    EXPECT_EQ(found, wanted);
  }
}

TEST(KernelPlanner, WhatIsWidenedForTheHostIsStored) {
  Program program;
  int x = program.argument();
  int wide = program.widened(x);
  int sums = program.rows(wide, 16);
  program.host({sums, wide});
  EXPECT_EQ(rootsOf(planKernelGroups(program.nodes)), (Roots{{wide}, {sums}}));
}

TEST(KernelPlanner, ElementwiseOpsShareAKernel) {
  Program program;
  int x = program.argument();
  int a = program.elementwise({x});
  int b = program.elementwise({a, x}, 25);
  program.host({b});
  std::vector<KernelGroupPlan> plan = planKernelGroups(program.nodes);
  ASSERT_EQ(rootsOf(plan), (Roots{{b}}));
  EXPECT_EQ(plan[0].members, (std::vector<int>{b, a}));
  EXPECT_EQ(plan[0].heavy, -1);
}

TEST(KernelPlanner, ProductTakesItsEpilogueAlong) {
  Program program;
  int x = program.argument(), w = program.argument();
  int p = program.product(x, w);
  int y = program.elementwise({p, program.broadcast(program.argument())});
  program.host({y});
  std::vector<KernelGroupPlan> plan = planKernelGroups(program.nodes);
  ASSERT_EQ(rootsOf(plan), (Roots{{y}}));
  EXPECT_EQ(plan[0].kind, KernelOpClass::Product);
  EXPECT_EQ(plan[0].heavy, p);
}

TEST(KernelPlanner, ExpensiveOpsAreNotRepeatedByABroadcast) {
  Program program;
  int e = program.elementwise({program.argument()}, 25);
  int y = program.elementwise({program.broadcast(e), program.argument()});
  program.host({y});
  EXPECT_EQ(rootsOf(planKernelGroups(program.nodes)), (Roots{{e}, {y}}));
}

TEST(KernelPlanner, ChainOfRollsIsCutWhereMostWouldBeRepeated) {
  Program program;
  int x = program.argument();
  std::vector<int> steps;
  for (int step = 0; step < 50; ++step) {
    int sum = program.roll(x, 1);
    for (int distance : {2, 3, 4})
      sum = program.elementwise({sum, program.roll(x, distance)});
    x = program.elementwise({x, sum});
    steps.push_back(x);
  }
  program.host({x});
  Roots expected;
  for (int step : steps)
    expected.push_back({step});
  EXPECT_EQ(rootsOf(planKernelGroups(program.nodes)), expected);
}

TEST(KernelPlanner, CheapShiftsAreComputedAgain) {
  Program program;
  int a = program.elementwise({program.argument(), program.argument()});
  int y = program.roll(a, 1);
  program.host({y});
  EXPECT_EQ(rootsOf(planKernelGroups(program.nodes)), (Roots{{y}}));
}

TEST(KernelPlanner, LongChainIsCutAtTheBoundOfCode) {
  Program program;
  int x = program.argument();
  for (int i = 0; i < 5000; ++i)
    x = program.elementwise({x, x});
  program.host({x});
  EXPECT_EQ(planKernelGroups(program.nodes).size(), 3u);
}

TEST(KernelPlanner, SumOfManyArgumentsIsCutAtTheBoundOfInputs) {
  Program program;
  int x = program.argument();
  for (int i = 0; i < 1000; ++i)
    x = program.elementwise({x, program.argument()});
  program.host({x});
  std::vector<KernelGroupPlan> plan = planKernelGroups(program.nodes);
  EXPECT_EQ(plan.size(), 4u);
}

TEST(KernelPlanner, UpdateOfThreeResultsIsOneKernel) {
  Program program;
  int p = program.argument(), m = program.argument(), v = program.argument(),
      g = program.argument();
  int newM = program.elementwise({m, g});
  int newV = program.elementwise({v, g});
  int newP = program.elementwise({p, newM, program.elementwise({newV}, 8)});
  program.host({newP, newM, newV});
  EXPECT_EQ(rootsOf(planKernelGroups(program.nodes)),
            (Roots{{newP, newV, newM}}));
}

TEST(KernelPlanner, SumAndItsNormAreOneKernel) {
  Program program;
  int r = program.elementwise({program.argument(), program.argument()});
  int n = program.rows(r, 64, /*keepsShape=*/true);
  program.host({r, n});
  std::vector<KernelGroupPlan> plan = planKernelGroups(program.nodes);
  ASSERT_EQ(rootsOf(plan), (Roots{{n, r}}));
  EXPECT_EQ(plan[0].kind, KernelOpClass::Rows);
}

TEST(KernelPlanner, ProductAndItsActivationAreOneKernel) {
  Program program;
  int h = program.product(program.argument(), program.argument());
  int y = program.elementwise({h}, 25);
  program.host({h, y});
  EXPECT_EQ(rootsOf(planKernelGroups(program.nodes)), (Roots{{y, h}}));
}

TEST(KernelPlanner, ReductionsOfOneOperandShareAKernel) {
  Program program;
  int x = program.argument();
  int mean = program.rows(x, 64);
  int squares = program.rows(program.elementwise({x, x}), 64);
  program.host({mean, squares});
  EXPECT_EQ(rootsOf(planKernelGroups(program.nodes)), (Roots{{squares, mean}}));
}

TEST(KernelPlanner, ResultNeededBeforeTheKernelRunsIsAKernelOfItsOwn) {
  Program program;
  int a = program.elementwise({program.argument()});
  program.host({a});
  int y = program.elementwise({a, program.argument()});
  program.host({y});
  EXPECT_EQ(rootsOf(planKernelGroups(program.nodes)), (Roots{{a}, {y}}));
}

TEST(KernelPlanner, ReadersOfOneOperandShareAKernel) {
  Program program;
  int x = program.argument();
  int a = program.elementwise({x}), b = program.elementwise({x}, 25);
  int c = program.rows(x, 64, /*keepsShape=*/true);
  program.host({a, b, c});
  std::vector<KernelGroupPlan> plan = planKernelGroups(program.nodes);
  ASSERT_EQ(rootsOf(plan), (Roots{{c, b, a}}));
  EXPECT_EQ(plan[0].kind, KernelOpClass::Rows);
  EXPECT_EQ(plan[0].heavy, c);
}

TEST(KernelPlanner, ReadersBetweenWhichTheHostRunsAreTwoKernels) {
  Program program;
  int x = program.argument();
  int a = program.elementwise({x});
  program.host({a});
  int b = program.elementwise({x});
  program.host({b});
  EXPECT_EQ(rootsOf(planKernelGroups(program.nodes)), (Roots{{a}, {b}}));
}

TEST(KernelPlanner, RenamingJoinsAKernelOrIsDoneByTheHost) {
  Program program;
  int a = program.elementwise({program.argument()});
  int y = program.elementwise({program.renamed(a)});
  program.host({y});
  EXPECT_EQ(rootsOf(planKernelGroups(program.nodes)), (Roots{{y}}));

  Program other;
  a = other.elementwise({other.argument()});
  other.host({other.renamed(a)});
  EXPECT_EQ(rootsOf(planKernelGroups(other.nodes)), (Roots{{a}}));
}

TEST(KernelPlanner, DeadOpsAreInNoKernel) {
  Program program;
  program.elementwise({program.argument()});
  EXPECT_TRUE(planKernelGroups(program.nodes).empty());
}

TEST(KernelPlanner, SplitHasTheSameRootsAndMembers) {
  Program program;
  int x = program.argument(), first = -1;
  for (int i = 0; i < 100; ++i) {
    x = program.elementwise({x, x});
    first = first < 0 ? x : first;
  }
  program.host({x});
  std::vector<KernelGroupPlan> plan = planKernelGroups(program.nodes);
  ASSERT_EQ(plan.size(), 1u);
  std::vector<KernelGroupPlan> parts = splitKernelGroup(program.nodes, plan[0]);
  EXPECT_GE(parts.size(), 2u);
  EXPECT_EQ(parts.back().roots, plan[0].roots);
  size_t members = 0;
  for (const KernelGroupPlan &part : parts)
    members += part.members.size();
  EXPECT_EQ(members, plan[0].members.size());
  EXPECT_TRUE(splitKernelGroup({program.nodes}, {{}, -1, {x}, {x}}).empty());
}

/// Every op runs in a kernel whose inputs are there before it.
TEST(KernelPlanner, RandomProgramsRunInOrder) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    Program program(1 << (random() % 21));
    std::vector<int> values = {program.argument(), program.argument()};
    auto any = [&] {
      size_t back = std::min<size_t>(values.size(), 6);
      return values[values.size() - 1 - random() % back];
    };
    for (int i = 0; i < 40; ++i) {
      switch (random() % 7) {
      case 4:
        values.push_back(program.renamed(any()));
        break;
      case 0:
        values.push_back(program.roll(any(), static_cast<int>(random() % 9)));
        break;
      case 1:
        values.push_back(program.product(any(), any()));
        break;
      case 2:
        values.push_back(program.rows(any(), 16, /*keepsShape=*/true));
        break;
      case 3:
        program.host({any()});
        break;
      default:
        values.push_back(program.elementwise({any(), any()}, random() % 30));
      }
    }
    program.host({values.back()});
    std::vector<KernelGroupPlan> plan = planKernelGroups(program.nodes);
    std::vector<int> readyAt(program.nodes.size(), 1 << 30);
    for (size_t i = 0; i < program.nodes.size(); ++i)
      if (program.nodes[i].kind == KernelOpClass::Memory)
        readyAt[i] = -1;
    std::vector<const KernelGroupPlan *> runsAt(program.nodes.size());
    std::vector<bool> isInKernel(program.nodes.size(), false);
    int last = -1;
    for (const KernelGroupPlan &group : plan) {
      EXPECT_GT(group.position(), last);
      last = group.position();
      runsAt[last] = &group;
      for (int member : group.members)
        isInKernel[member] = true;
    }
    auto isReady = [&](int node, int at) { return readyAt[node] < at; };
    for (int i = 0; i < static_cast<int>(program.nodes.size()); ++i) {
      const KernelNode &node = program.nodes[i];
      if (node.kind == KernelOpClass::Host)
        EXPECT_TRUE(isReady(node.operands[0].node, i));
      if (node.isRenaming && !isInKernel[i] &&
          isReady(node.operands[0].node, i))
        readyAt[i] = i;
      if (!runsAt[i])
        continue;
      const std::vector<int> &members = runsAt[i]->members;
      for (int member : members)
        for (const KernelOperand &operand : program.nodes[member].operands)
          EXPECT_TRUE(std::count(members.begin(), members.end(), operand.node) >
                          0 ||
                      isReady(operand.node, i));
      for (int root : runsAt[i]->roots)
        readyAt[root] = i;
    }
  }
}

} // namespace
