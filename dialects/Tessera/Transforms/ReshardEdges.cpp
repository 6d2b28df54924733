// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Ops with data-flow edges: one layout for all ends of an edge.
#include "Provenance.h"
#include "Resharder.h"
#include "tessera/Analysis/ReshardPlanner.h"
#include "tessera/Analysis/ValueStates.h"

#include "llvm/Support/SaveAndRestore.h"

#include <limits>
#include <utility>

using namespace mlir;
using namespace tessera;

/// How often a loop is taken to run of which that depends on values.
static constexpr int64_t unknownTrips = 16;

/// In how many loops around each other it is tried whether carried values may
/// be terms instead of parts.
static constexpr size_t maxLevelsOfTerms = 2;

static constexpr ReduceKind allReduceKinds[] = {
    ReduceKind::Sum, ReduceKind::Max, ReduceKind::Min, ReduceKind::Prod};

static Layout withLeading(Layout layout, bool hasLeading) {
  if (hasLeading)
    layout.dims.insert(layout.dims.begin(), DimLayout());
  return layout;
}

static void setLayout(Value value, const Layout &layout) {
  value.setType(cast<MeshTensorType>(value.getType()).withLayout(layout));
}

LogicalResult Resharder::makeConsistent(DataFlowInterface op) {
  SmallVector<Layout> layouts;
  SmallVector<DataFlowEdge> edges = op.getDataFlowEdges();
  SmallVector<size_t> candidates;
  for (auto [i, edge] : llvm::enumerate(edges)) {
    layouts.push_back(chooseSplits(edge));
    if (edge.kind == DataFlowEdge::Kind::Carried && mayStayPartial(op, edge))
      candidates.push_back(i);
  }
  if (candidates.empty())
    return apply(op, layouts);
  llvm::SaveAndRestore growth(allowsGrowth);
  bool wasRefused = std::exchange(refusedGrowth, false);
  FailureOr<PartialChoice> choice = chooseGrowth(op, layouts, candidates);
  if (failed(choice))
    return failure();
  // Each level of loops that is tried out multiplies the trials of the next.
  std::map<AxisRef, std::vector<size_t>> ways;
  if (shadows.size() < maxLevelsOfTerms)
    ways = findTerms(*choice, candidates);
  for (const auto &[axis, terms] : ways) {
    FailureOr<PartialChoice> other =
        chooseTerms(op, *choice, axis, terms, candidates);
    if (failed(other))
      return failure();
    if (other->nanoseconds < choice->nanoseconds)
      choice = other;
  }
  allowsGrowth = choice->allowsGrowth;
  // A loop around this one may still do better with all terms larger.
  refusedGrowth = wasRefused || (refusedGrowth && !allowsGrowth);
  return apply(op, choice->layouts);
}

FailureOr<Resharder::PartialChoice>
Resharder::chooseGrowth(DataFlowInterface op,
                        const SmallVector<Layout> &layouts,
                        ArrayRef<size_t> candidates) {
  bool wasRefused = std::exchange(refusedGrowth, false);
  FailureOr<PartialChoice> choice = choosePartials(op, layouts, candidates);
  if (failed(choice) || !std::exchange(refusedGrowth, wasRefused))
    return choice;
  llvm::SaveAndRestore growth(allowsGrowth, true);
  FailureOr<PartialChoice> grown = choosePartials(op, layouts, candidates);
  if (failed(grown) || grown->nanoseconds < choice->nanoseconds)
    return grown;
  refusedGrowth = true;
  return choice;
}

std::map<AxisRef, std::vector<size_t>>
Resharder::findTerms(const PartialChoice &choice, ArrayRef<size_t> candidates) {
  std::map<AxisRef, std::vector<size_t>> terms;
  for (size_t i : candidates) {
    auto reached = choice.reached[i].find(ReduceKind::Sum);
    if (reached == choice.reached[i].end())
      continue;
    for (const DimLayout &dim : choice.layouts[i].dims)
      for (const AxisRef &axis : dim.axes)
        if (overlaps(reached->second, axis))
          terms[axis].push_back(i);
  }
  return terms;
}

FailureOr<Resharder::PartialChoice>
Resharder::chooseTerms(DataFlowInterface op, const PartialChoice &choice,
                       const AxisRef &axis, std::vector<size_t> terms,
                       ArrayRef<size_t> candidates) {
  while (true) {
    SmallVector<Layout> whole = choice.splits;
    for (size_t i : terms)
      for (DimLayout &dim : whole[i].dims)
        llvm::erase_if(dim.axes, [&](const AxisRef &other) {
          return other.overlaps(axis, mesh);
        });
    FailureOr<PartialChoice> other = chooseGrowth(op, whole, candidates);
    if (failed(other))
      return failure();
    size_t before = terms.size();
    llvm::erase_if(terms, [&](size_t i) {
      return !overlaps(other->layouts[i].partial, axis);
    });
    if (terms.empty())
      return choice; // A value that is whole in the loop is no way out.
    if (terms.size() == before)
      return other;
  }
}

Layout Resharder::chooseSplits(const DataFlowEdge &edge) {
  FactorRule rule = edge.getFactorRule();
  std::vector<FactorVote> votes;
  auto vote = [&](Value value, const TensorFactors &dims) {
    if (!isFreeInAnyLayout(value))
      votes.push_back({&dims, &layoutOfValue(value), bytesOfValue(value)});
  };
  for (auto [source, dims] : llvm::zip_equal(edge.sources, rule.operands))
    vote(source->get(), dims);
  for (auto [target, dims] : llvm::zip_equal(edge.targets, rule.results))
    vote(target, dims);
  std::vector<AxisRef> varying = varyingOfEnds(edge);
  FactorAssignment axes = assignFactors(rule, votes, mesh, varying);
  Layout layout = layoutUnder(
      axes, edge.hasLeadingTarget() ? rule.operands[0] : rule.results[0], mesh);
  layout.varying = std::move(varying);
  return layout;
}

std::vector<AxisRef> Resharder::varyingOfEnds(const DataFlowEdge &edge) {
  std::vector<AxisRef> varying;
  for (OpOperand *source : edge.sources)
    varying = joinVarying(varying, layoutOfValue(source->get()).varying, mesh);
  for (Value target : edge.targets)
    varying = joinVarying(varying, layoutOfValue(target).varying, mesh);
  return varying;
}

LogicalResult Resharder::apply(DataFlowInterface op,
                               SmallVector<Layout> layouts, Trial *trial) {
  SmallVector<DataFlowEdge> edges = op.getDataFlowEdges();
  for (auto [edge, layout] : llvm::zip_equal(edges, layouts)) {
    if (edge.kind == DataFlowEdge::Kind::Identity)
      keepCommonPartial(edge, layout, false);
    for (OpOperand *source : edge.sources)
      if (source->getOwner() == op)
        resolve(op, edge, *source, layout);
    for (Value target : edge.targets)
      if (isa<BlockArgument>(target))
        setLayout(target, withLeading(layout, edge.hasLeadingTarget()));
  }
  for (Value value : op.getControlValues())
    setLayout(value, Layout::replicated(mesh.name, 0));
  for (Region &region : op->getRegions())
    for (Block &block : region)
      if (failed(visit(block)))
        return failure();
  for (auto [edge, layout] : llvm::zip_equal(edges, layouts)) {
    const Layout &yielded = layoutOfValue(edge.sources.back()->get());
    if (trial)
      trial->yields.push_back(yielded);
    // Parts that nobody asked for whole in the loop are gathered behind it, if
    // at all.
    if (edge.kind == DataFlowEdge::Kind::Stacked &&
        llvm::all_of(layout.dims,
                     [](const DimLayout &dim) { return dim.axes.empty(); }))
      layout.dims = yielded.dims;
    if (edge.kind == DataFlowEdge::Kind::Stacked ||
        edge.kind == DataFlowEdge::Kind::Result)
      keepCommonPartial(edge, layout, true);
    for (OpOperand *source : edge.sources)
      if (source->getOwner() != op)
        resolve(op, edge, *source, layout);
    for (Value target : edge.targets)
      if (isa<OpResult>(target))
        setLayout(target, withLeading(layout, edge.hasLeadingTarget()));
  }
  for (OpOperand *operand : op.getControlOperands()) {
    Layout whole = Layout::replicated(mesh.name, 0);
    if (!whole.sameSharding(layoutOfValue(operand->get())))
      operand->set(reshard(operand->get(), whole, op,
                           describeOp(op) + " decides by it for all devices, "
                                            "each of which needs the whole "
                                            "value"));
  }
  return success();
}

void Resharder::resolve(DataFlowInterface op, const DataFlowEdge &edge,
                        OpOperand &source, const Layout &layout) {
  Layout wanted = withLeading(layout, edge.hasLeadingSource());
  Value value = source.get();
  if (!wanted.sameSharding(layoutOfValue(value)))
    source.set(reshard(value, wanted, source.getOwner(),
                       describeEdgeNeed(op, edge, layoutOfValue(value))));
}

void Resharder::keepCommonPartial(const DataFlowEdge &edge, Layout &layout,
                                  bool mayGrow) {
  auto layoutAt = [](OpOperand *source) -> const Layout & {
    return layoutOfValue(source->get());
  };
  auto first = llvm::find_if(edge.sources, [&](OpOperand *source) {
    return !layoutAt(source).partial.empty();
  });
  if (first == edge.sources.end())
    return;
  const Layout common = layoutAt(*first);
  for (OpOperand *source : edge.sources) {
    if (isNeutralSplat(source->get(), common.partialKind))
      continue;
    if (layoutAt(source).partial != common.partial ||
        layoutAt(source).partialKind != common.partialKind ||
        !belongsTo(source->get(), source->getOwner()))
      return;
  }
  Layout whole = layout;
  for (const AxisRef &axis : common.partial) {
    if (overlaps(layout.varying, axis))
      return;
    for (DimLayout &dim : whole.dims)
      if (overlaps(dim.axes, axis)) {
        refusedGrowth |= mayGrow && !allowsGrowth;
        if (!mayGrow || !allowsGrowth)
          return;
        llvm::erase_if(dim.axes, [&](const AxisRef &other) {
          return other.overlaps(axis, mesh);
        });
      }
  }
  layout = whole;
  layout.partial = common.partial;
  layout.partialKind = common.partialKind;
}

FailureOr<Resharder::PartialChoice>
Resharder::choosePartials(DataFlowInterface op,
                          const SmallVector<Layout> &layouts,
                          ArrayRef<size_t> candidates) {
  PartialChoice choice{layouts, layouts};
  Trial trial;
  if (failed(tryOut(op, choice.layouts, trial)))
    return failure();
  SmallVector<DataFlowEdge> edges = op.getDataFlowEdges();
  for (size_t i : candidates)
    choosePartial(edges[i].sources.front()->get(), trial.reached[i],
                  choice.layouts[i]);
  bool changed = llvm::any_of(
      candidates, [&](size_t i) { return !choice.layouts[i].partial.empty(); });
  while (changed) {
    changed = false;
    trial = Trial();
    if (failed(tryOut(op, choice.layouts, trial)))
      return failure();
    for (size_t i : candidates) {
      const Layout &got = trial.yields[i];
      std::vector<AxisRef> &partial = choice.layouts[i].partial;
      size_t before = partial.size();
      llvm::erase_if(partial, [&](const AxisRef &axis) {
        return got.partialKind != choice.layouts[i].partialKind ||
               !llvm::is_contained(got.partial, axis) ||
               !llvm::is_contained(trial.termsAlong[i], axis);
      });
      changed |= partial.size() != before;
    }
  }
  choice.nanoseconds = trial.nanoseconds;
  choice.reached = std::move(trial.reached);
  choice.allowsGrowth = allowsGrowth;
  return choice;
}

bool Resharder::mayStayPartial(DataFlowInterface op, const DataFlowEdge &edge) {
  Value init = edge.sources.front()->get();
  Region *yielding = edge.sources.back()->getOwner()->getParentRegion();
  for (Value target : edge.targets)
    if (isa<BlockArgument>(target) && target.getParentRegion() != yielding &&
        !target.use_empty())
      return false;
  if (!layoutOfValue(init).partial.empty())
    return belongsTo(init, op);
  return isa_and_nonnull<ConstantOp>(init.getDefiningOp()) &&
         llvm::any_of(allReduceKinds, [&](ReduceKind kind) {
           return isNeutralSplat(init, kind);
         });
}

void Resharder::choosePartial(Value init, const PartialAxes &reached,
                              Layout &layout) {
  const Layout &now = layoutOfValue(init);
  auto take = [&](const std::vector<AxisRef> &axes, ReduceKind kind) {
    layout.partialKind = kind;
    for (const AxisRef &axis : axes)
      if (llvm::none_of(
              layout.dims,
              [&](const DimLayout &dim) { return overlaps(dim.axes, axis); }) &&
          !overlaps(layout.partial, axis) && !overlaps(layout.varying, axis))
        layout.partial.push_back(axis);
    llvm::sort(layout.partial);
  };
  if (!now.partial.empty())
    return take(now.partial, now.partialKind);
  for (const auto &[kind, axes] : reached)
    if (layout.partial.empty() && isNeutralSplat(init, kind))
      take(axes, kind);
}

LogicalResult Resharder::tryOut(DataFlowInterface op,
                                const SmallVector<Layout> &layouts,
                                Trial &trial) {
  auto savedCache = cache;
  size_t numCreated = created.size();
  builder.setInsertionPoint(op);
  auto copy = cast<DataFlowInterface>(builder.clone(*op));
  shadows.push_back(op);
  if (failed(apply(copy, layouts, &trial)))
    return failure();
  shadows.pop_back();
  // Of what the trial made, some stands outside of the copy.
  SmallVector<Operation *> outside;
  for (Operation *made : ArrayRef(created).drop_front(numCreated))
    if (!copy->isAncestor(made))
      outside.push_back(made);
  inspect(op, copy, outside, trial);
  copy->erase();
  for (Operation *made : llvm::reverse(outside))
    made->erase();
  created.resize(numCreated);
  cache = std::move(savedCache);
  return success();
}

/// How often `op` runs for each time that `root` around it does.
static double countRuns(Operation *op, Operation *root) {
  double runs = 1;
  while (op != root) {
    Region *region = op->getParentRegion();
    op = region->getParentOp();
    runs *= static_cast<double>(
        cast<DataFlowInterface>(op).getTripCount(region).value_or(
            unknownTrips));
  }
  return runs;
}

Resharder::PartialAxes Resharder::axesReaching(Value value) {
  PartialAxes reached;
  llvm::SetVector<Value> seen;
  seen.insert(value);
  for (size_t i = 0; i < seen.size(); ++i) {
    const Layout *layout = layoutOf(seen[i].getType());
    if (!layout)
      continue;
    std::vector<AxisRef> &axes = reached[layout->partialKind];
    for (const AxisRef &axis : layout->partial)
      if (!llvm::is_contained(axes, axis))
        axes.push_back(axis);
    Operation *op = seen[i].getDefiningOp();
    if (!op || !layout->partial.empty())
      continue;
    if (std::optional<DataFlowEdge> edge = findEdgeTo(seen[i])) {
      for (OpOperand *source : edge->sources)
        seen.insert(source->get());
    } else if (isa<ReshardOp, ConstrainOp>(op)) {
      seen.insert(op->getOperand(0));
    } else if (auto ruled = dyn_cast<FactorRuleInterface>(op);
               ruled && !isa<ContractOp>(op)) {
      FactorRule rule = ruled.getFactorRule();
      for (const LinearGroup &group : rule.linear)
        for (int operand : group.operands)
          seen.insert(op->getOperand(operand));
    }
  }
  return reached;
}

/// What the regions of `copy` of `op` show, whose ends have their layouts;
/// `outside` are ops before it that it takes.
void Resharder::inspect(DataFlowInterface op, DataFlowInterface copy,
                        ArrayRef<Operation *> outside, Trial &trial) {
  auto priceOfReshard = [&](Operation *op) {
    auto made = dyn_cast<ReshardOp>(op);
    return made ? priceOf(cast<MeshTensorType>(made.getInput().getType()),
                          made.getType())
                : 0;
  };
  for (Operation *op : outside)
    trial.nanoseconds += priceOfReshard(op);
  copy->walk([&](Operation *inner) {
    if (inner == copy)
      return;
    if (double price = priceOfReshard(inner); price > 0)
      trial.nanoseconds += price * countRuns(inner, copy);
    for (Value result : inner->getResults())
      for (const AxisRef &axis : layoutOfValue(result).partial) {
        std::vector<AxisRef> &axes =
            trial.made[layoutOfValue(result).partialKind];
        if (!llvm::is_contained(axes, axis))
          axes.push_back(axis);
      }
  });
  for (const DataFlowEdge &edge : copy.getDataFlowEdges()) {
    for (Value target : edge.targets)
      if (auto result = dyn_cast<OpResult>(target);
          result && !layoutOfValue(target).partial.empty()) {
        auto type = cast<MeshTensorType>(target.getType());
        Layout wanted = layoutOfValue(op->getResult(result.getResultNumber()));
        wanted.varying = type.getLayout().varying;
        trial.nanoseconds += priceOf(type, type.withLayout(wanted.closed()));
      }
    trial.reached.push_back(axesReaching(edge.sources.back()->get()));
    // What the region yields: a term made there or brought in, or zeros that
    // only became terms since the carried value was made one.
    Value yielded = edge.sources.back()->get();
    std::vector<AxisRef> &axes = trial.termsAlong.emplace_back();
    for (const AxisRef &axis : layoutOfValue(yielded).partial)
      if (llvm::any_of(findPartialSources(yielded, axis), [](Value source) {
            return !source.getDefiningOp<ConstantOp>();
          }))
        axes.push_back(axis);
  }
}

double Resharder::priceOf(MeshTensorType from, MeshTensorType to) {
  // In a trial whose choice is about to be taken back: nothing does that.
  for (const AxisRef &axis : to.getLayout().partial)
    if (!overlaps(from.getLayout().partial, axis))
      return std::numeric_limits<double>::infinity();
  auto [known, isNew] = prices.try_emplace({from, to}, 0);
  if (isNew)
    known->second =
        planReshard(from.getLayout(), to.getLayout(), from.getShape().vec(),
                    (from.getElementTypeBitWidth() + 7) / 8, mesh)
            .nanoseconds;
  return known->second;
}

bool Resharder::isShadowed(Operation *user) {
  return llvm::any_of(
      shadows, [&](Operation *shadow) { return shadow->isAncestor(user); });
}
