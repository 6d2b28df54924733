// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/LayoutPropagation.h"

#include <algorithm>
#include <set>

namespace tessera {

using AxisList = std::vector<AxisRef>;
using FactorAxes = std::map<int, AxisList>;

static int64_t product(const AxisList &axes, const Mesh &mesh) {
  int64_t parts = 1;
  for (const AxisRef &axis : axes)
    parts *= axis.sizeOn(mesh);
  return parts;
}

namespace {

bool isPrefix(const AxisList &a, const AxisList &b) {
  return a.size() <= b.size() && std::equal(a.begin(), a.end(), b.begin());
}

class Propagator {
public:
  explicit Propagator(PropagationGraph &graph) : graph(graph) {}

  AxisGrants run() {
    std::set<int> rounds = {0};
    for (const PropagationValue &value : graph.values)
      for (const DimLayout &dim : value.layout.dims)
        if (dim.priority)
          rounds.insert(*dim.priority);
    for (int userRound : rounds)
      for (PropagationRound opRound :
           {PropagationRound::Elementwise, PropagationRound::Compute,
            PropagationRound::Broadcast})
        runToFixpoint(userRound, opRound);
    for (PropagationValue &value : graph.values)
      value.layout = value.layout.closed();
    return std::move(grants);
  }

private:
  void runToFixpoint(int userRound, PropagationRound opRound) {
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t i = 0; i < graph.ops.size(); ++i)
        if (graph.ops[i].round <= opRound)
          changed |= propagateOp(static_cast<int>(i), userRound);
      for (size_t i = graph.ops.size(); i-- > 0;)
        if (graph.ops[i].round <= opRound)
          changed |= propagateOp(static_cast<int>(i), userRound);
    }
  }

  /// Tensors of an op: operands, then results.
  template <typename Fn> void forEachTensor(const PropagationOp &op, Fn fn) {
    for (size_t i = 0; i < op.operands.size(); ++i)
      fn(op.operands[i], op.rule.operands[i]);
    for (size_t i = 0; i < op.results.size(); ++i)
      fn(op.results[i], op.rule.results[i]);
  }

  /// The axes that one dimension of a tensor has for a factor.
  struct Proposal {
    AxisList axes;
    int value = -1, dim = -1;
    int64_t elements = 0;
  };
  /// What an op's tensors say of one factor: the list of the largest tensor,
  /// and the longer lists that it is a prefix of.
  struct Vote {
    AxisList axes;
    int64_t elements = 0; ///< Of the largest tensor.
    std::vector<Proposal> proposals;

    /// Whoever has `axis` in its list.
    const Proposal &sourceOf(const AxisRef &axis) const {
      return *std::find_if(proposals.begin(), proposals.end(),
                           [&](const Proposal &p) {
                             return std::find(p.axes.begin(), p.axes.end(),
                                              axis) != p.axes.end();
                           });
    }
  };

  bool propagateOp(int index, int userRound) {
    const PropagationOp &op = graph.ops[index];
    std::map<int, Vote> votes = collectVotes(op, userRound);
    dropConflicts(votes);
    bool changed = false;
    forEachTensor(op, [&](int value, const TensorFactors &dims) {
      for (size_t d = 0; d < dims.size(); ++d)
        changed |= extend(index, value, static_cast<int>(d), dims, votes);
    });
    return changed;
  }

  std::map<int, Vote> collectVotes(const PropagationOp &op, int userRound) {
    std::map<int, Vote> votes;
    forEachTensor(op, [&](int value, const TensorFactors &dims) {
      const PropagationValue &tensor = graph.values[value];
      std::optional<FactorAxes> known =
          factorAxes(op.rule, dims, tensor.layout, graph.mesh);
      if (!known)
        return;
      int64_t elements = 1;
      for (int64_t size : tensor.shape)
        elements *= size;
      for (size_t d = 0; d < dims.size(); ++d) {
        // A lower user priority has not been heard yet.
        if (tensor.layout.dims[d].priority.value_or(0) > userRound)
          continue;
        for (int factor : dims[d]) {
          const AxisList &axes = (*known)[factor];
          if (op.rule.factors[factor].kind == FactorKind::Replicate ||
              axes.empty())
            continue;
          votes[factor].proposals.push_back(
              {axes, value, static_cast<int>(d), elements});
        }
      }
    });
    for (auto &[factor, vote] : votes)
      decide(vote);
    return votes;
  }

  static void decide(Vote &vote) {
    auto rank = [](const Proposal &p) {
      return std::make_tuple(-p.elements, p.value, p.dim);
    };
    std::sort(vote.proposals.begin(), vote.proposals.end(),
              [&](const Proposal &a, const Proposal &b) {
                return rank(a) < rank(b);
              });
    vote.elements = vote.proposals.front().elements;
    for (const Proposal &proposal : vote.proposals)
      if (isPrefix(vote.axes, proposal.axes))
        vote.axes = proposal.axes;
  }

  /// An axis splits one factor of an op at most: the one whose tensor is
  /// largest keeps it, others lose it and what is minor to it.
  void dropConflicts(std::map<int, Vote> &votes) {
    std::vector<int> order;
    for (auto &[factor, vote] : votes)
      order.push_back(factor);
    std::sort(order.begin(), order.end(), [&](int a, int b) {
      return std::make_pair(-votes[a].elements, a) <
             std::make_pair(-votes[b].elements, b);
    });
    std::vector<AxisRef> taken;
    for (int factor : order) {
      AxisList &axes = votes[factor].axes;
      size_t keep = 0;
      while (keep < axes.size() && std::none_of(
                                       taken.begin(), taken.end(),
                                       [&](const AxisRef &axis) {
                                         return axis.overlaps(axes[keep],
                                                              graph.mesh);
                                       }))
        ++keep;
      axes.resize(keep);
      taken.insert(taken.end(), axes.begin(), axes.end());
    }
  }

  /// Extends one dimension of `value` towards the votes of its factors.
  bool extend(int op, int value, int d, const TensorFactors &dims,
              const std::map<int, Vote> &votes) {
    const FactorRule &rule = graph.ops[op].rule;
    PropagationValue &tensor = graph.values[value];
    DimLayout &dim = tensor.layout.dims[d];
    if (!dim.open || dims[d].empty())
      return false;
    // What the dimension would be if every factor followed its vote.
    AxisList wanted;
    std::vector<const Proposal *> sources;
    for (int factor : dims[d]) {
      auto vote = votes.find(factor);
      AxisList axes = vote == votes.end() ? AxisList() : vote->second.axes;
      int64_t size = rule.factors[factor].size;
      bool divides = size % product(axes, graph.mesh) == 0;
      if (dims[d].size() > 1 && !divides)
        break;
      for (const AxisRef &axis : axes) {
        wanted.push_back(axis);
        sources.push_back(&vote->second.sourceOf(axis));
      }
      // A minor factor can be split only where the major ones are single.
      if (product(axes, graph.mesh) != size)
        break;
    }
    if (!isPrefix(dim.axes, wanted))
      return false;
    bool changed = false;
    for (size_t i = dim.axes.size(); i < wanted.size(); ++i) {
      if (isUsed(tensor.layout, wanted[i]))
        break;
      // A dimension of size 1 has nothing to split.
      if (tensor.shape[d] <= 1)
        break;
      dim.axes.push_back(wanted[i]);
      grants[{value, d, wanted[i]}] = {op, sources[i]->value, sources[i]->dim};
      changed = true;
    }
    return changed;
  }

  bool isUsed(const Layout &layout, const AxisRef &axis) const {
    auto overlaps = [&](const AxisRef &other) {
      return other.overlaps(axis, graph.mesh);
    };
    for (const DimLayout &dim : layout.dims)
      if (std::any_of(dim.axes.begin(), dim.axes.end(), overlaps))
        return true;
    return std::any_of(layout.partial.begin(), layout.partial.end(), overlaps);
  }

  PropagationGraph &graph;
  AxisGrants grants;
};

} // namespace

AxisGrants propagateLayouts(PropagationGraph &graph) {
  return Propagator(graph).run();
}

} // namespace tessera
