// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/LayoutPropagation.h"

#include <algorithm>
#include <set>

namespace tessera {

using AxisList = std::vector<AxisRef>;

namespace {

bool isPrefix(const AxisList &a, const AxisList &b) {
  return a.size() <= b.size() && std::equal(a.begin(), a.end(), b.begin());
}

class Propagator {
public:
  explicit Propagator(PropagationGraph &graph) : graph(graph) {}

  AxisGrants run() {
    opsOf.resize(graph.values.size());
    for (size_t i = 0; i < graph.ops.size(); ++i)
      forEachTensor(graph.ops[i], [&](int value, const TensorFactors &) {
        // Ops come in order, so a tensor that one has twice is its last.
        ShortList<int, 2> &ops = opsOf[value];
        if (ops.empty() || ops.back() != static_cast<int>(i))
          ops.push_back(static_cast<int>(i));
      });
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
      for (DimLayout &dim : value.layout.dims) {
        dim.open = false;
        dim.priority.reset();
      }
    return std::move(grants);
  }

private:
  /// Axes spread in steps. In each, all ops see the layouts as they were before
  /// it, and what they want of one tensor is granted in an order that their
  /// own order has no part in: so the nearest annotation is heard first, and
  /// the result is the same however the program is written down.
  void runToFixpoint(int userRound, PropagationRound opRound) {
    // Ops of an earlier round have said all that they have to.
    std::vector<int> active;
    for (size_t i = 0; i < graph.ops.size(); ++i)
      if (graph.ops[i].round == opRound)
        active.push_back(static_cast<int>(i));
    while (!active.empty()) {
      std::vector<Extension> wishes;
      for (int op : active)
        if (graph.ops[op].round <= opRound)
          collectWishes(op, userRound, wishes);
      std::sort(wishes.begin(), wishes.end());
      active.clear();
      // What an op wants changes with the layouts of its tensors only.
      for (const Extension &wish : wishes)
        if (grant(wish))
          active.insert(active.end(), opsOf[wish.value].begin(),
                        opsOf[wish.value].end());
      std::sort(active.begin(), active.end());
      active.erase(std::unique(active.begin(), active.end()), active.end());
    }
  }

  /// Tensors of an op: operands, then results.
  template <typename Fn> void forEachTensor(const PropagationOp &op, Fn fn) {
    for (size_t i = 0; i < op.operands.size(); ++i)
      fn(op.operands[i], op.rule.operands[i]);
    for (size_t i = 0; i < op.results.size(); ++i)
      fn(op.results[i], op.rule.results[i]);
  }

  /// A dimension that has an axis.
  struct Source {
    int value = -1, dim = -1;
  };
  /// The axes that one dimension of a tensor has for a factor.
  struct Proposal {
    const AxisList *axes = nullptr;
    Source source;
    int position = -1; ///< Of the tensor among those of the op.
    int64_t elements = 0;
  };
  /// What an op's tensors say of one factor: the list of the largest tensor,
  /// and the longer lists that it is a prefix of.
  struct Vote {
    const AxisList *axes = nullptr;
    size_t kept = 0;                 ///< How many of them, from the first.
    int64_t elements = 0;            ///< Of the largest tensor.
    std::vector<Proposal> proposals; ///< None where no tensor says anything.

    int64_t parts(const Mesh &mesh) const {
      int64_t product = 1;
      for (size_t i = 0; i < kept; ++i)
        product *= (*axes)[i].sizeOn(mesh);
      return product;
    }
    /// Whoever has `axis` in its list.
    Source sourceOf(const AxisRef &axis) const {
      auto has = [&](const Proposal &p) {
        return std::find(p.axes->begin(), p.axes->end(), axis) != p.axes->end();
      };
      return std::find_if(proposals.begin(), proposals.end(), has)->source;
    }
  };

  /// What an op wants a dimension of one of its tensors to be.
  struct Extension {
    int value = -1, dim = -1, op = -1;
    int64_t elements = 0; ///< Of the largest tensor that the new axes have.
    AxisList axes;        ///< All of the dimension's, the present ones first.
    std::vector<Source> sources; ///< Of each axis.

    /// Of what several ops want, the largest tensor's is granted first. Up to
    /// the op, which stands last, wishes are equal only where they want the
    /// same: the first op's reason is told.
    bool operator<(const Extension &o) const {
      return std::tie(value, o.elements, dim, axes, op) <
             std::tie(o.value, elements, o.dim, o.axes, o.op);
    }
  };

  void collectWishes(int index, int userRound, std::vector<Extension> &wishes) {
    const PropagationOp &op = graph.ops[index];
    if (!collectVotes(op, userRound))
      return;
    dropConflicts();
    forEachTensor(op, [&](int value, const TensorFactors &dims) {
      for (size_t d = 0; d < dims.size(); ++d)
        addWish(index, value, static_cast<int>(d), dims[d], wishes);
    });
  }

  /// Fills `votes`; returns whether there is one.
  bool collectVotes(const PropagationOp &op, int userRound) {
    if (votes.size() < op.rule.factors.size())
      votes.resize(op.rule.factors.size());
    for (Vote &vote : votes)
      vote.proposals.clear();
    views.resize(
        std::max(views.size(), op.operands.size() + op.results.size()));
    bool isAny = false;
    int position = -1;
    forEachTensor(op, [&](int value, const TensorFactors &dims) {
      ++position;
      const PropagationValue &tensor = graph.values[value];
      FactorAxesView &known = views[position];
      if (!known.see(op.rule, dims, tensor.layout, graph.mesh))
        return;
      int64_t elements = 1;
      for (int64_t size : tensor.shape)
        elements *= size;
      for (size_t d = 0; d < dims.size(); ++d) {
        // A lower user priority has not been heard yet.
        if (tensor.layout.dims[d].priority.value_or(0) > userRound)
          continue;
        for (int factor : dims[d]) {
          const AxisList &axes = known.axesOf(factor);
          if (op.rule.factors[factor].kind == FactorKind::Replicate ||
              axes.empty())
            continue;
          votes[factor].proposals.push_back(
              {&axes, {value, static_cast<int>(d)}, position, elements});
          isAny = true;
        }
      }
    });
    for (Vote &vote : votes)
      if (!vote.proposals.empty())
        decide(vote);
    return isAny;
  }

  static void decide(Vote &vote) {
    auto rank = [](const Proposal &p) {
      return std::make_tuple(-p.elements, p.position, p.source.dim);
    };
    std::sort(vote.proposals.begin(), vote.proposals.end(),
              [&](const Proposal &a, const Proposal &b) {
                return rank(a) < rank(b);
              });
    vote.elements = vote.proposals.front().elements;
    vote.axes = vote.proposals.front().axes;
    for (const Proposal &proposal : vote.proposals)
      if (isPrefix(*vote.axes, *proposal.axes))
        vote.axes = proposal.axes;
    vote.kept = vote.axes->size();
  }

  /// An axis splits one factor of an op at most: the one whose tensor is
  /// largest keeps it, others lose it and what is minor to it.
  void dropConflicts() {
    order.clear();
    for (size_t factor = 0; factor < votes.size(); ++factor)
      if (!votes[factor].proposals.empty())
        order.push_back(static_cast<int>(factor));
    if (order.size() > 1)
      std::sort(order.begin(), order.end(), [&](int a, int b) {
        return std::make_pair(-votes[a].elements, a) <
               std::make_pair(-votes[b].elements, b);
      });
    taken.clear();
    for (int factor : order) {
      Vote &vote = votes[factor];
      size_t keep = 0;
      while (keep < vote.kept && !isTaken((*vote.axes)[keep]))
        ++keep;
      vote.kept = keep;
      for (size_t i = 0; i < keep; ++i)
        taken.push_back(&(*vote.axes)[i]);
    }
  }

  bool isTaken(const AxisRef &axis) const {
    return std::any_of(taken.begin(), taken.end(), [&](const AxisRef *other) {
      return other->overlaps(axis, graph.mesh);
    });
  }

  /// Adds what one dimension of `value` would be if every factor of it followed
  /// its vote, where that extends what it is.
  void addWish(int op, int value, int d, const DimFactors &factors,
               std::vector<Extension> &wishes) {
    const FactorRule &rule = graph.ops[op].rule;
    const PropagationValue &tensor = graph.values[value];
    const DimLayout &dim = tensor.layout.dims[d];
    // A dimension of size 1 has nothing to split.
    if (!dim.open || factors.empty() || tensor.shape[d] <= 1)
      return;
    int64_t elements = 0;
    wanted.clear();
    for (int factor : factors) {
      const Vote &vote = votes[factor];
      int64_t parts = 1, size = rule.factors[factor].size;
      if (!vote.proposals.empty()) {
        parts = vote.parts(graph.mesh);
        if (factors.size() > 1 && size % parts != 0)
          break;
        for (size_t i = 0; i < vote.kept; ++i) {
          if (wanted.size() == dim.axes.size())
            elements = vote.elements;
          wanted.push_back({&(*vote.axes)[i], &vote});
        }
      }
      // A minor factor can be split only where the major ones are single.
      if (parts != size)
        break;
    }
    if (wanted.size() <= dim.axes.size())
      return;
    for (size_t i = 0; i < dim.axes.size(); ++i)
      if (dim.axes[i] != *wanted[i].first)
        return;
    Extension wish{value, d, op, elements, {}, {}};
    for (auto [axis, vote] : wanted) {
      wish.axes.push_back(*axis);
      wish.sources.push_back(vote->sourceOf(*axis));
    }
    wishes.push_back(std::move(wish));
  }

  /// Extends the dimension as far as the tensor's other axes allow.
  bool grant(const Extension &wish) {
    Layout &layout = graph.values[wish.value].layout;
    AxisList &axes = layout.dims[wish.dim].axes;
    if (!isPrefix(axes, wish.axes))
      return false;
    bool changed = false;
    for (size_t i = axes.size(); i < wish.axes.size(); ++i) {
      const AxisRef &axis = wish.axes[i];
      if (isUsed(layout, axis))
        break;
      axes.push_back(axis);
      grants[{wish.value, wish.dim, axis}] = {wish.op, wish.sources[i].value,
                                              wish.sources[i].dim};
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
    for (const AxisList *state :
         {&layout.partial, &layout.reduced, &layout.varying})
      if (std::any_of(state->begin(), state->end(), overlaps))
        return true;
    return false;
  }

  PropagationGraph &graph;
  std::vector<ShortList<int, 2>> opsOf; ///< That each value is a tensor of.
  AxisGrants grants;

  // Of the op whose wishes are collected. They keep their memory from op to op.
  std::vector<FactorAxesView> views; ///< Of each tensor.
  std::vector<Vote> votes;           ///< By factor.
  std::vector<int> order;
  std::vector<const AxisRef *> taken;
  std::vector<std::pair<const AxisRef *, const Vote *>> wanted;
};

} // namespace

AxisGrants propagateLayouts(PropagationGraph &graph) {
  return Propagator(graph).run();
}

} // namespace tessera
