// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/KernelPlanner.h"

#include <algorithm>
#include <limits>
#include <map>
#include <unordered_map>

namespace tessera {

namespace {

constexpr double expensiveCost = 8;
/// How many boxes of one value a group may compute, and how many ops of a cone
/// are looked at.
constexpr size_t maxBoxes = 64, maxConeNodes = 128;
/// How many of the groups that read an operand are looked at.
constexpr size_t maxSiblings = 4;

/// A box of a value that a group computes, by number: 0 is that of the root.
struct Box {
  int id = 0;
  double evaluations = 0; ///< Elements computed, over the whole kernel.
};

/// What one group wants of one value.
struct Demand {
  int group = 0;
  std::vector<Box> boxes;
  /// Read element by element up to the root, on the root's box alone.
  bool isIdentity = true;
  bool isRepeated = false, fromMemory = false, inBlocks = false,
       isStreamed = false;

  double evaluations() const {
    double total = 0;
    for (const Box &box : boxes)
      total += box.evaluations;
    return total;
  }
  bool hasBox(int id) const {
    return std::any_of(boxes.begin(), boxes.end(),
                       [&](const Box &box) { return box.id == id; });
  }
};

struct Group {
  KernelGroupPlan plan;
  int shape = 0, rowClass = 0;
  double code = 0, repeatedCode = 0;
  int inputs = 0; ///< Values demanded that are not computed inside.
  std::map<std::pair<int, int>, int> boxes; ///< By box and transform.
};

bool isHeavy(KernelOpClass kind) {
  return kind == KernelOpClass::Rows || kind == KernelOpClass::Product ||
         kind == KernelOpClass::Attention;
}

/// Ops that can be computed again where they are used.
bool isLight(KernelOpClass kind) {
  return kind == KernelOpClass::Elementwise || kind == KernelOpClass::Moving;
}

/// Simple instructions in a program that computes `node` for one box.
double codeOf(const KernelNode &node) { return std::max(1.0, node.cost); }

class Planner {
public:
  Planner(const std::vector<KernelNode> &nodes, const KernelLimits &limits)
      : nodes(nodes), limits(limits), demands(nodes.size()),
        firstHostUse(nodes.size(), never), visitedFor(nodes.size(), 0) {
    for (size_t i = 0; i < nodes.size(); ++i)
      if (nodes[i].kind == KernelOpClass::Host)
        for (const KernelOperand &operand : nodes[i].operands)
          needInMemory(operand.node, static_cast<int>(i));
  }

  /// `node` is read by the host at `position`.
  void needInMemory(int node, int position) {
    firstHostUse[node] = std::min(firstHostUse[node], position);
  }

  std::vector<KernelGroupPlan> run() {
    for (int i = static_cast<int>(nodes.size()); i-- > 0;)
      visit(i);
    std::vector<KernelGroupPlan> plans;
    for (size_t g = groups.size(); g-- > 0;)
      plans.push_back(std::move(groups[g].plan));
    return plans;
  }

  static constexpr int never = std::numeric_limits<int>::max();

private:
  bool isOnHost(int node) const { return firstHostUse[node] != never; }

  void visit(int node) {
    KernelOpClass kind = nodes[node].kind;
    if (kind == KernelOpClass::Memory || kind == KernelOpClass::Host)
      return;
    if (kind == KernelOpClass::Free)
      return visitFree(node);
    if (demands[node].empty() && !isOnHost(node))
      return; // Dead.
    // The users that run first are the ones that can bring it to the others.
    Demand *first = nullptr;
    for (Demand &demand : demands[node])
      if (!first || positionOf(demand.group) < positionOf(first->group))
        first = &demand;
    if (first && canJoin(node, *first)) {
      bool isShared = isOnHost(node) || demands[node].size() > 1;
      if (!isShared)
        return join(node, *first);
      if (canBeRoot(node, *first))
        return joinAsRoot(node, *first);
    }
    if (int sibling = findSibling(node); sibling >= 0) {
      Demand demand = rootDemand(node, sibling);
      return joinAsRoot(node, demand);
    }
    start(node);
  }

  void visitFree(int node) {
    bool inMemory = isOnHost(node);
    for (const Demand &demand : demands[node])
      inMemory |= demand.fromMemory;
    if (inMemory && !nodes[node].isConstant)
      return start(node);
    for (const Demand &demand : demands[node]) {
      --groups[demand.group].inputs;
      pushOperands(node, demand);
    }
  }

  //===--------------------------------------------------------------------===//
  // Membership
  //===--------------------------------------------------------------------===//

  int positionOf(int group) const { return groups[group].plan.position(); }

  bool canJoin(int node, const Demand &demand) {
    const KernelNode &op = nodes[node];
    const Group &group = groups[demand.group];
    if (demand.fromMemory || demand.isStreamed || demand.boxes.empty())
      return false;
    if (isHeavy(op.kind)) {
      if (group.plan.kind != KernelOpClass::Elementwise || !demand.isIdentity)
        return false;
    } else if (demand.inBlocks) {
      if (!op.isPrologue)
        return false;
    } else if (demand.isRepeated && op.cost >= expensiveCost) {
      // The elements would be computed as often as they are repeated.
      return false;
    }
    return fits(node, demand, group) && isWorthRepeating(node, demand);
  }

  /// Whether the group's program stays within the limits.
  bool fits(int node, const Demand &demand, const Group &group) const {
    auto copies = static_cast<double>(demand.boxes.size());
    int inputs = group.inputs + static_cast<int>(nodes[node].operands.size());
    return group.code + copies * codeOf(nodes[node]) <= limits.maxCode &&
           group.repeatedCode + (copies - 1) * codeOf(nodes[node]) <=
               limits.maxRepeatedCode &&
           inputs <= limits.maxInputs;
  }

  /// Whether computing `node` wherever it is read costs less than storing it.
  bool isWorthRepeating(int node, const Demand &demand) {
    auto elements = static_cast<double>(nodes[node].elements);
    double again = demand.evaluations() - elements;
    if (again <= 0)
      return true;
    double saved = elements * limits.memoryCost + limits.launchCost;
    return again * coneCost(node, saved / again) <= saved;
  }
  /// Instructions per element of `node` and of all light ops that it is
  /// computed from, less those of loading it; no more than just above `bound`.
  double coneCost(int node, double bound) {
    double total = -1;
    std::vector<int> worklist = {node};
    size_t count = 0;
    ++stamp;
    visitedFor[node] = stamp;
    while (!worklist.empty() && total <= bound && count < maxConeNodes) {
      const KernelNode &op = nodes[worklist.back()];
      worklist.pop_back();
      ++count;
      total += op.kind == KernelOpClass::Free ? 0 : std::max(0.5, op.cost);
      for (const KernelOperand &operand : op.operands) {
        if (visitedFor[operand.node] == stamp)
          continue;
        visitedFor[operand.node] = stamp;
        KernelOpClass kind = nodes[operand.node].kind;
        bool isInside = (isLight(kind) && !isOnHost(operand.node)) ||
                        kind == KernelOpClass::Free;
        if (isInside && operand.access != KernelAccess::Memory)
          worklist.push_back(operand.node);
        else
          total += 1; // A load.
      }
    }
    return total;
  }

  /// Whether the group of `demand`, which computes `node`, can store it too.
  bool canBeRoot(int node, const Demand &demand) const {
    const Group &group = groups[demand.group];
    return demand.hasBox(0) && nodes[node].shape == group.shape &&
           group.plan.roots.size() < static_cast<size_t>(limits.maxResults) &&
           othersRunLater(node, demand.group);
  }

  /// Whether all users of `node` outside of `group` run after it.
  bool othersRunLater(int node, int group) const {
    int position = positionOf(group);
    if (firstHostUse[node] < position)
      return false;
    return std::all_of(
        demands[node].begin(), demands[node].end(), [&](const Demand &demand) {
          return demand.group == group || positionOf(demand.group) > position;
        });
  }

  /// A group that `node` could be a further root of because both read one
  /// operand of the same shape at the same place; -1 if there is none.
  int findSibling(int node) const {
    const KernelNode &op = nodes[node];
    if (op.kind != KernelOpClass::Rows && op.kind != KernelOpClass::Elementwise)
      return -1;
    for (const KernelOperand &operand : op.operands) {
      if (operand.access != KernelAccess::Element ||
          nodes[operand.node].elements < op.elements)
        continue;
      const std::vector<Demand> &readers = demands[operand.node];
      size_t last = readers.size() - std::min(readers.size(), maxSiblings);
      for (size_t i = readers.size(); i-- > last;)
        if (isSibling(node, operand, readers[i]))
          return readers[i].group;
    }
    return -1;
  }

  bool isSibling(int node, const KernelOperand &operand,
                 const Demand &reader) const {
    const KernelNode &op = nodes[node];
    const Group &group = groups[reader.group];
    bool isRowGroup = group.plan.kind == KernelOpClass::Rows;
    if (op.kind == KernelOpClass::Rows) {
      if (!isRowGroup || group.rowClass != op.rowClass)
        return false;
    } else if (!isRowGroup && group.plan.kind != KernelOpClass::Elementwise) {
      return false;
    }
    int box = 0;
    if (operand.transform != 0) {
      auto known = group.boxes.find({0, operand.transform});
      if (known == group.boxes.end())
        return false;
      box = known->second;
    }
    return reader.hasBox(box) && group.shape == op.shape &&
           !isDemandedBy(node, reader.group) &&
           group.plan.roots.size() < static_cast<size_t>(limits.maxResults) &&
           fits(node, rootDemand(node, reader.group), group) &&
           othersRunLater(node, reader.group);
  }

  /// What a group wants of its root.
  Demand rootDemand(int node, int group) const {
    Demand demand;
    demand.group = group;
    demand.boxes = {{0, static_cast<double>(nodes[node].elements)}};
    return demand;
  }

  void start(int node) {
    const KernelNode &op = nodes[node];
    int index = static_cast<int>(groups.size());
    Group &group = groups.emplace_back();
    group.plan.roots.push_back(node);
    group.shape = op.shape;
    group.inputs = 1;
    join(node, rootDemand(node, index));
  }

  void joinAsRoot(int node, const Demand &demand) {
    Group &group = groups[demand.group];
    group.plan.roots.push_back(node);
    // join() takes one off, which a demand had added.
    group.inputs += !isDemandedBy(node, demand.group);
    join(node, demand);
  }

  void join(int node, Demand demand) {
    const KernelNode &op = nodes[node];
    Group &group = groups[demand.group];
    group.plan.members.push_back(node);
    if (isHeavy(op.kind) && group.plan.heavy < 0) {
      group.plan.kind = op.kind;
      group.plan.heavy = node;
      group.rowClass = op.rowClass;
    }
    auto copies = static_cast<double>(demand.boxes.size());
    group.code += copies * codeOf(nodes[node]);
    group.repeatedCode += (copies - 1) * codeOf(nodes[node]);
    --group.inputs;
    pushOperands(node, demand);
  }

  //===--------------------------------------------------------------------===//
  // Demands
  //===--------------------------------------------------------------------===//

  /// What the group of `demand` wants of the operands of `node`, which it
  /// computes.
  void pushOperands(int node, const Demand &demand) {
    const KernelNode &op = nodes[node];
    for (const KernelOperand &operand : op.operands) {
      Demand &wanted = demandOf(operand.node, demand.group);
      wanted.isRepeated |=
          operand.access == KernelAccess::Repeated ||
          (op.kind == KernelOpClass::Free && demand.isRepeated);
      wanted.fromMemory |= operand.access == KernelAccess::Memory;
      wanted.inBlocks |= operand.access == KernelAccess::Blocks;
      wanted.isStreamed |= operand.access == KernelAccess::Streamed;
      wanted.isIdentity &= demand.isIdentity && operand.transform == 0 &&
                           op.kind == KernelOpClass::Elementwise &&
                           operand.access == KernelAccess::Element;
      for (const Box &box : demand.boxes)
        addBox(wanted, transformed(groups[demand.group], box, operand));
    }
  }

  static uint64_t keyOf(int node, int group) {
    return static_cast<uint64_t>(node) << 32 | static_cast<uint32_t>(group);
  }
  bool isDemandedBy(int node, int group) const {
    return demandIndex.count(keyOf(node, group)) != 0;
  }

  Demand &demandOf(int node, int group) {
    std::vector<Demand> &known = demands[node];
    auto [place, isNew] =
        demandIndex.try_emplace(keyOf(node, group), known.size());
    if (isNew) {
      ++groups[group].inputs;
      known.emplace_back().group = group;
    }
    return known[place->second];
  }

  static Box transformed(Group &group, Box box, const KernelOperand &operand) {
    box.evaluations *= operand.share;
    if (operand.transform == 0)
      return box;
    int next = static_cast<int>(group.boxes.size()) + 1;
    box.id = group.boxes.try_emplace({box.id, operand.transform}, next)
                 .first->second;
    return box;
  }

  /// A value of more boxes than a group may compute is wanted from memory.
  static void addBox(Demand &demand, const Box &box) {
    for (Box &known : demand.boxes)
      if (known.id == box.id) {
        known.evaluations = std::max(known.evaluations, box.evaluations);
        return;
      }
    if (demand.boxes.size() == maxBoxes)
      demand.fromMemory = true;
    else
      demand.boxes.push_back(box);
  }

  const std::vector<KernelNode> &nodes;
  const KernelLimits &limits;
  std::vector<std::vector<Demand>> demands; ///< By node.
  std::unordered_map<uint64_t, size_t> demandIndex;
  std::vector<int> firstHostUse;
  std::vector<Group> groups;
  std::vector<int> visitedFor;
  int stamp = 0;
};

} // namespace

std::vector<KernelGroupPlan>
planKernelGroups(const std::vector<KernelNode> &nodes,
                 const KernelLimits &limits) {
  return Planner(nodes, limits).run();
}

std::vector<KernelGroupPlan>
splitKernelGroup(const std::vector<KernelNode> &nodes,
                 const KernelGroupPlan &group, KernelLimits limits) {
  if (group.members.size() < 2)
    return {};
  std::vector<bool> isMember(nodes.size(), false);
  double code = 0;
  for (int member : group.members) {
    isMember[member] = true;
    code += codeOf(nodes[member]);
  }
  // To the members all else is in memory.
  std::vector<KernelNode> part = nodes;
  for (size_t i = 0; i < part.size(); ++i)
    if (!isMember[i] && part[i].kind != KernelOpClass::Free) {
      int64_t elements = part[i].elements;
      part[i] = KernelNode();
      part[i].elements = elements;
    }
  limits.maxCode = std::min(limits.maxCode, code / 2);
  limits.maxRepeatedCode = limits.maxCode / 4;
  Planner planner(part, limits);
  for (int root : group.roots)
    planner.needInMemory(root, static_cast<int>(nodes.size()));
  return planner.run();
}

} // namespace tessera
