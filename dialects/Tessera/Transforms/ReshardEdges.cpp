// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Ops with data-flow edges: one layout for all ends of an edge.
#include "Provenance.h"
#include "Resharder.h"
#include "tessera/Analysis/ValueStates.h"

using namespace mlir;
using namespace tessera;

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
  for (const DataFlowEdge &edge : op.getDataFlowEdges())
    layouts.push_back(chooseSplits(edge));
  if (failed(choosePartials(op, layouts)))
    return failure();
  return apply(op, layouts);
}

Layout Resharder::chooseSplits(const DataFlowEdge &edge) {
  FactorRule rule = edge.getFactorRule();
  std::vector<FactorVote> votes;
  auto vote = [&](Value value, const TensorFactors &dims) {
    if (!isFreeInAnyLayout(value))
      votes.push_back({dims, layoutOfValue(value), bytesOfValue(value)});
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
      keepCommonPartial(edge, layout);
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
    if (trial)
      trial->yields.push_back(layoutOfValue(edge.sources.back()->get()));
    if (edge.kind == DataFlowEdge::Kind::Stacked ||
        edge.kind == DataFlowEdge::Kind::Result)
      keepCommonPartial(edge, layout);
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

void Resharder::keepCommonPartial(const DataFlowEdge &edge, Layout &layout) {
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
  for (const AxisRef &axis : common.partial) {
    if (overlaps(layout.varying, axis))
      return;
    for (const DimLayout &dim : layout.dims)
      if (overlaps(dim.axes, axis))
        return;
  }
  layout.partial = common.partial;
  layout.partialKind = common.partialKind;
}

LogicalResult Resharder::choosePartials(DataFlowInterface op,
                                        SmallVector<Layout> &layouts) {
  SmallVector<DataFlowEdge> edges = op.getDataFlowEdges();
  SmallVector<size_t> candidates;
  for (auto [i, edge] : llvm::enumerate(edges))
    if (edge.kind == DataFlowEdge::Kind::Carried && mayStayPartial(op, edge))
      candidates.push_back(i);
  if (candidates.empty())
    return success();
  Trial whole;
  if (failed(tryOut(op, layouts, whole)))
    return failure();
  for (size_t i : candidates)
    choosePartial(edges[i].sources.front()->get(), whole, layouts[i]);
  bool changed = true;
  while (changed && llvm::any_of(candidates, [&](size_t i) {
           return !layouts[i].partial.empty();
         })) {
    changed = false;
    Trial trial;
    if (failed(tryOut(op, layouts, trial)))
      return failure();
    for (size_t i : candidates) {
      const Layout &got = trial.yields[i];
      std::vector<AxisRef> &partial = layouts[i].partial;
      size_t before = partial.size();
      llvm::erase_if(partial, [&](const AxisRef &axis) {
        return got.partialKind != layouts[i].partialKind ||
               !llvm::is_contained(got.partial, axis);
      });
      changed |= partial.size() != before;
    }
  }
  return success();
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

void Resharder::choosePartial(Value init, const Trial &whole, Layout &layout) {
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
  for (const auto &[kind, axes] : whole.made)
    if (layout.partial.empty() && isNeutralSplat(init, kind))
      take(axes, kind);
}

LogicalResult Resharder::tryOut(DataFlowInterface op,
                                const SmallVector<Layout> &layouts,
                                Trial &trial) {
  auto savedCache = cache;
  size_t numCreated = created.size();
  builder.setInsertionPoint(op);
  Operation *copy = builder.clone(*op);
  shadows.push_back(op);
  if (failed(apply(cast<DataFlowInterface>(copy), layouts, &trial)))
    return failure();
  shadows.pop_back();
  copy->walk([&](Operation *inner) {
    if (inner != copy)
      for (Value result : inner->getResults())
        for (const AxisRef &axis : layoutOfValue(result).partial) {
          std::vector<AxisRef> &axes =
              trial.made[layoutOfValue(result).partialKind];
          if (!llvm::is_contained(axes, axis))
            axes.push_back(axis);
        }
  });
  // Of what the trial made, some stands outside of the copy.
  SmallVector<Operation *> outside;
  for (Operation *made : ArrayRef(created).drop_front(numCreated))
    if (!copy->isAncestor(made))
      outside.push_back(made);
  copy->erase();
  for (Operation *made : llvm::reverse(outside))
    made->erase();
  created.resize(numCreated);
  cache = std::move(savedCache);
  return success();
}

bool Resharder::isShadowed(Operation *user) {
  return llvm::any_of(
      shadows, [&](Operation *shadow) { return shadow->isAncestor(user); });
}
