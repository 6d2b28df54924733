// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RecomputationCost.h"

#include <algorithm>
#include <limits>
#include <map>
#include <unordered_map>

namespace tessera {

namespace {

constexpr double expensiveCost = 8;
/// How many boxes of one value a group may compute.
constexpr size_t maxBoxes = 64;
/// How many of the groups that read an operand are looked at.
constexpr int maxSiblings = 4;

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
  int mergedInto = -1;
};

bool isHeavy(KernelOpClass kind) {
  return kind == KernelOpClass::Rows || kind == KernelOpClass::Product ||
         kind == KernelOpClass::Attention;
}

/// Simple instructions in a program that computes `node` for one box.
double codeOf(const KernelNode &node) { return std::max(1.0, node.cost); }

class Planner {
public:
  Planner(const std::vector<KernelNode> &nodes, const KernelLimits &limits)
      : nodes(nodes), limits(limits), demands(nodes.size()),
        firstHostUse(nodes.size(), never), isInSeveral(nodes.size(), false),
        recomputation(nodes, limits) {
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
    mergeSiblings();
    std::vector<KernelGroupPlan> plans;
    for (size_t g = groups.size(); g-- > 0;) {
      KernelGroupPlan &plan = groups[g].plan;
      if (groups[g].mergedInto >= 0)
        continue;
      std::sort(plan.roots.rbegin(), plan.roots.rend());
      std::sort(plan.members.rbegin(), plan.members.rend());
      plans.push_back(std::move(plan));
    }
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
    if (kind == KernelOpClass::Update)
      return start(node);
    if (nodes[node].isWidening && joinAll(node))
      return;
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
    if (nodes[node].isRenaming)
      return needInMemory(nodes[node].operands.front().node, node);
    start(node);
  }

  /// Makes `node` a member of each of the groups that need it, if it can be.
  bool joinAll(int node) {
    const std::vector<Demand> &users = demands[node];
    if (isOnHost(node) || users.size() < 2 ||
        !std::all_of(users.begin(), users.end(), [&](const Demand &demand) {
          return canJoin(node, demand);
        }))
      return false;
    for (const Demand &demand : users)
      join(node, demand);
    isInSeveral[node] = true;
    return true;
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
    return fits(node, demand, group) &&
           recomputation.isWorthRepeating(node, demand.evaluations());
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

  /// Whether the group of `demand`, which computes `node`, can store it too.
  bool canBeRoot(int node, const Demand &demand) const {
    const Group &group = groups[demand.group];
    return demand.hasBox(0) && nodes[node].shape == group.shape &&
           group.plan.kind != KernelOpClass::Update &&
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
    if (op.kind == KernelOpClass::Update)
      group.plan.kind = op.kind;
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

  //===--------------------------------------------------------------------===//
  // Siblings
  //===--------------------------------------------------------------------===//

  /// A group that reads a value, and which box of it as seen from its root: the
  /// transform, 0 for the same box.
  struct Reader {
    int group, transform;
  };

  int finalGroup(int group) const {
    while (groups[group].mergedInto >= 0)
      group = groups[group].mergedInto;
    return group;
  }

  /// Groups of one shape that read one operand of at least that size at the
  /// same place become one, at the place of the later one.
  void mergeSiblings() {
    std::vector<int> groupOf(nodes.size(), -1);
    for (size_t g = 0; g < groups.size(); ++g)
      for (int member : groups[g].plan.members)
        groupOf[member] = static_cast<int>(g);
    std::vector<std::vector<Reader>> readers(nodes.size());
    std::vector<std::vector<std::pair<int, int>>> reads(groups.size());
    for (size_t i = 0; i < nodes.size(); ++i)
      for (const Demand &demand : demands[i]) {
        if (groupOf[i] == demand.group || isInSeveral[i] ||
            nodes[i].kind == KernelOpClass::Free)
          continue;
        int transform = transformOf(demand);
        if (transform < 0)
          continue;
        // Demands are in the order of their groups, the last of the program
        // first.
        readers[i].push_back({demand.group, transform});
        reads[demand.group].emplace_back(static_cast<int>(i),
                                         static_cast<int>(readers[i].size()));
      }
    for (size_t g = 0; g < groups.size(); ++g)
      for (auto [node, next] : reads[g])
        if (groups[g].mergedInto < 0 &&
            nodes[node].elements >= nodes[groups[g].plan.roots[0]].elements)
          tryToMerge(static_cast<int>(g), readers[node], next - 1);
  }

  /// The transform by which the group's root reads the value; -1 if by several.
  int transformOf(const Demand &demand) const {
    if (demand.boxes.size() != 1)
      return -1;
    int id = demand.boxes.front().id;
    if (id == 0)
      return 0;
    for (const auto &[key, box] : groups[demand.group].boxes)
      if (box == id)
        return key.first == 0 ? key.second : -1;
    return -1;
  }

  /// Merges `group`, the reader at `place`, into one that reads the same.
  void tryToMerge(int group, const std::vector<Reader> &readers, int place) {
    int first = std::max(0, place - maxSiblings);
    for (int i = place; i-- > first;) {
      int other = finalGroup(readers[i].group);
      if (readers[i].transform == readers[place].transform && other != group &&
          canMerge(group, other))
        return merge(group, other);
    }
  }

  bool canMerge(int earlier, int later) const {
    const Group &a = groups[earlier], &b = groups[later];
    auto isSimple = [](const Group &group) {
      return group.plan.kind == KernelOpClass::Elementwise ||
             group.plan.kind == KernelOpClass::Rows;
    };
    bool haveRows = a.plan.kind == KernelOpClass::Rows &&
                    b.plan.kind == KernelOpClass::Rows;
    size_t results = a.plan.roots.size() + b.plan.roots.size();
    return a.shape == b.shape && isSimple(a) && isSimple(b) &&
           (!haveRows || a.rowClass == b.rowClass) &&
           results <= static_cast<size_t>(limits.maxResults) &&
           a.code + b.code <= limits.maxCode &&
           a.inputs + b.inputs <= limits.maxInputs &&
           positionOf(later) > positionOf(earlier) &&
           std::all_of(a.plan.roots.begin(), a.plan.roots.end(),
                       [&](int root) { return isUsedAfter(root, later); });
  }

  /// Whether all users of a root outside of its group run after `group`.
  bool isUsedAfter(int root, int group) const {
    int position = positionOf(group);
    return firstHostUse[root] > position &&
           std::all_of(demands[root].begin(), demands[root].end(),
                       [&](const Demand &demand) {
                         // The root's own group is not merged yet.
                         const auto &roots = groups[demand.group].plan.roots;
                         bool isOwn = std::find(roots.begin(), roots.end(),
                                                root) != roots.end();
                         return isOwn ||
                                positionOf(finalGroup(demand.group)) > position;
                       });
  }

  void merge(int earlier, int later) {
    Group &a = groups[earlier], &b = groups[later];
    a.mergedInto = later;
    b.plan.roots.insert(b.plan.roots.end(), a.plan.roots.begin(),
                        a.plan.roots.end());
    b.plan.members.insert(b.plan.members.end(), a.plan.members.begin(),
                          a.plan.members.end());
    b.code += a.code;
    b.inputs += a.inputs;
    if (a.plan.kind == KernelOpClass::Rows &&
        b.plan.kind != KernelOpClass::Rows) {
      b.plan.kind = a.plan.kind;
      b.plan.heavy = a.plan.heavy;
      b.rowClass = a.rowClass;
    }
  }

  const std::vector<KernelNode> &nodes;
  const KernelLimits &limits;
  std::vector<std::vector<Demand>> demands; ///< By node.
  std::unordered_map<uint64_t, size_t> demandIndex;
  std::vector<int> firstHostUse;
  std::vector<bool> isInSeveral; ///< Members of more than one group.
  std::vector<Group> groups;
  RecomputationCost recomputation;
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
