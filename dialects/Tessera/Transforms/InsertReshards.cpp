// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FunctionMesh.h"
#include "PartialSums.h"
#include "Provenance.h"
#include "dialects/Tessera/Transforms/Passes.h"
#include "tessera/Analysis/FactorAssignment.h"
#include "tessera/Analysis/ReshardPlanner.h"

using namespace mlir;

namespace tessera {
#define GEN_PASS_DEF_INSERTRESHARDS
#include "dialects/Tessera/Transforms/Passes.h.inc"

namespace {

const Layout &layoutOfValue(Value value) {
  return cast<MeshTensorType>(value.getType()).getLayout();
}

double bytesOf(Value value) {
  auto type = cast<MeshTensorType>(value.getType());
  return double(type.getNumElements()) * type.getElementTypeBitWidth() / 8;
}

class Resharder {
public:
  Resharder(func::FuncOp function, const Mesh &mesh)
      : function(function), mesh(mesh), builder(function.getContext()) {}

  LogicalResult run() { return visit(function.getBody().front()); }

private:
  /// Ops in the order of the program. Reshards that this makes stand between
  /// them and are not visited.
  LogicalResult visit(Block &block) {
    SmallVector<Operation *> ops;
    for (Operation &op : block)
      ops.push_back(&op);
    for (Operation *op : ops) {
      if (auto constrain = dyn_cast<ConstrainOp>(op)) {
        resolve(constrain);
      } else if (auto ret = dyn_cast<func::ReturnOp>(op)) {
        resolve(ret);
      } else if (auto flow = dyn_cast<DataFlowInterface>(op)) {
        if (failed(makeConsistent(flow)))
          return failure();
      } else if (isInnerSum(op)) {
        continue;
      } else if (isa<AddOp>(op)) {
        for (Operation *addition : regroupSum(op))
          makeConsistent(addition,
                         cast<FactorRuleInterface>(addition).getFactorRule());
      } else if (auto rule = dyn_cast<FactorRuleInterface>(op)) {
        makeConsistent(op, rule.getFactorRule());
      } else if (!isa<ReshardOp, YieldOp>(op)) {
        return op->emitOpError("has no factor rule, so what layouts it takes "
                               "is unknown; implement FactorRuleInterface");
      }
    }
    return success();
  }

  void makeConsistent(Operation *op, const FactorRule &rule) {
    FactorAssignment axes = assign(op, rule);
    std::vector<AxisRef> passed = passedPartials(op, rule, axes);
    for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
      if (!isa<MeshTensorType>(operand.getType()))
        continue;
      Layout wanted = layoutUnder(axes, rule.operands[i], mesh);
      const Layout &now = layoutOfValue(operand);
      for (const AxisRef &axis : now.partial)
        if (llvm::is_contained(passed, axis))
          wanted.partial.push_back(axis);
      wanted.partialKind = now.partialKind;
      if (!wanted.sameSharding(now))
        op->setOperand(i, reshard(operand, wanted, op,
                                  describeNeed(op, rule, now, wanted)));
    }
    setResults(op, rule, axes, passed);
  }

  /// How the op is split, by how what it takes and gives is laid out. What is
  /// free in any layout has no vote.
  FactorAssignment assign(Operation *op, const FactorRule &rule) {
    std::vector<FactorVote> votes;
    auto vote = [&](Value value, const TensorFactors &dims) {
      if (isa<MeshTensorType>(value.getType()) && !isFreeInAnyLayout(value))
        votes.push_back({dims, layoutOfValue(value), bytesOf(value)});
    };
    for (auto [value, dims] : llvm::zip(op->getOperands(), rule.operands))
      vote(value, dims);
    for (auto [value, dims] : llvm::zip(op->getResults(), rule.results))
      vote(value, dims);
    return assignFactors(rule, votes, mesh);
  }

  /// Axes along which the operands stay partial: those of a linear group whose
  /// operands are all partial there with the group's kind, and that nothing
  /// else of the op uses, be it under another name: x uses x:(1)2.
  std::vector<AxisRef> passedPartials(Operation *op, const FactorRule &rule,
                                      const FactorAssignment &axes) {
    std::vector<AxisRef> candidates, passed;
    for (Value operand : op->getOperands())
      if (isa<MeshTensorType>(operand.getType()))
        llvm::append_range(candidates, layoutOfValue(operand).partial);
    for (const AxisRef &axis : candidates) {
      bool splits = llvm::any_of(
          axes, [&](const auto &list) { return overlaps(list, axis); });
      if (splits || llvm::is_contained(passed, axis))
        continue;
      bool fits = llvm::any_of(rule.linear, [&](const LinearGroup &group) {
        return passesThrough(op, group, axis);
      });
      // One kind per value: a result that a split Reduce factor makes partial
      // with another kind cannot carry this one too.
      for (auto [f, list] : llvm::enumerate(axes))
        if (rule.factors[f].kind == FactorKind::Reduce && !list.empty() && fits)
          fits = kindOfPartial(op, axis) == rule.factors[f].reduce;
      if (fits)
        passed.push_back(axis);
    }
    return passed;
  }

  bool overlaps(const std::vector<AxisRef> &list, const AxisRef &axis) {
    return llvm::any_of(
        list, [&](const AxisRef &other) { return other.overlaps(axis, mesh); });
  }

  /// Whether exactly the operands of `group` are partial along `axis`. Only
  /// values with one use pass: another use would have to reduce the value by
  /// itself. And only where there is no more to reduce after the op than
  /// before.
  bool passesThrough(Operation *op, const LinearGroup &group,
                     const AxisRef &axis) {
    double partialBytes = 0;
    for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
      bool inGroup = llvm::is_contained(group.operands, int(i));
      if (!isa<MeshTensorType>(operand.getType())) {
        if (inGroup)
          return false;
        continue;
      }
      const Layout &layout = layoutOfValue(operand);
      if (!inGroup) {
        if (overlaps(layout.partial, axis))
          return false;
        continue;
      }
      if (!llvm::is_contained(layout.partial, axis) ||
          layout.partialKind != group.kind || !belongsTo(operand, op))
        return false;
      partialBytes += bytesOf(operand);
    }
    return bytesOf(op->getResult(0)) <= partialBytes;
  }

  /// Whether `op` is the only user of `value`, each time that it is computed: a
  /// loop around `op` would reduce it in every iteration.
  bool belongsTo(Value value, Operation *op) {
    return value.getParentBlock() == op->getBlock() &&
           llvm::all_of(value.getUsers(), [&](Operation *user) {
             return user == op || isShadowed(user);
           });
  }

  ReduceKind kindOfPartial(Operation *op, const AxisRef &axis) {
    for (Value operand : op->getOperands())
      if (isa<MeshTensorType>(operand.getType()) &&
          llvm::is_contained(layoutOfValue(operand).partial, axis))
        return layoutOfValue(operand).partialKind;
    return ReduceKind::Sum;
  }

  void setResults(Operation *op, const FactorRule &rule,
                  const FactorAssignment &axes,
                  const std::vector<AxisRef> &passed) {
    for (auto [result, dims] : llvm::zip(op->getResults(), rule.results)) {
      Layout layout = layoutUnder(axes, dims, mesh);
      for (auto [f, list] : llvm::enumerate(axes))
        if (rule.factors[f].kind == FactorKind::Reduce && !list.empty()) {
          llvm::append_range(layout.partial, list);
          layout.partialKind = rule.factors[f].reduce;
        }
      for (const AxisRef &axis : passed) {
        layout.partial.push_back(axis);
        layout.partialKind = kindOfPartial(op, axis);
      }
      llvm::sort(layout.partial);
      result.setType(cast<MeshTensorType>(result.getType()).withLayout(layout));
    }
  }

  /// `value` laid out as `wanted`, made once for all users of a phase: what the
  /// forward pass gathers need not live until the backward pass.
  Value reshard(Value value, const Layout &wanted, Operation *user,
                const std::string &rule) {
    auto type = cast<MeshTensorType>(value.getType()).withLayout(wanted);
    Attribute phase = user->getAttr(TesseraDialect::phaseAttrName);
    Value &made = cache[{value, {type, phase}}];
    if (made)
      return made;
    if (isFreeInAnyLayout(value)) {
      builder.setInsertionPoint(value.getDefiningOp());
      Operation *copy = builder.clone(*value.getDefiningOp());
      copy->getResult(0).setType(type);
      created.push_back(copy);
      return made = copy->getResult(0);
    }
    builder.setInsertionPointAfterValue(value);
    auto op = ReshardOp::create(builder, user->getLoc(), type, value,
                                explainReshard(value, wanted, rule));
    if (phase)
      op->setAttr(TesseraDialect::phaseAttrName, phase);
    created.push_back(op);
    return made = op;
  }

  void resolve(ConstrainOp op) {
    Layout wanted = layoutOfValue(op.getResult()).closed();
    wanted.partial.clear();
    Value value = op.getInput();
    if (!wanted.sameSharding(layoutOfValue(value)))
      value = reshard(value, wanted, op,
                      "constrained by the user" +
                          (describeLocation(op.getLoc()).empty()
                               ? std::string()
                               : " at " + describeLocation(op.getLoc())));
    op.replaceAllUsesWith(value);
    op.erase();
  }

  void resolve(func::ReturnOp op) {
    SmallVector<Type> types(function.getFunctionType().getResults());
    SmallVector<DictionaryAttr> attributes;
    function.getAllResultAttrs(attributes);
    for (auto [i, operand] : llvm::enumerate(op.getOperands())) {
      auto wanted = dyn_cast<MeshTensorType>(types[i]);
      if (!wanted)
        continue;
      NamedAttrList list(attributes[i]);
      if (list.erase(unannotatedAttrName)) {
        types[i] = wanted =
            wanted.withLayout(layoutOfResult(operand, wanted.getLayout()));
        attributes[i] = list.getDictionary(op.getContext());
      }
      if (operand.getType() != wanted)
        op.setOperand(i, reshard(operand, wanted.getLayout(), op,
                                 "result " + std::to_string(i) +
                                     " of the function is laid out so"));
    }
    function.setAllResultAttrs(attributes);
    function.setFunctionType(FunctionType::get(
        op.getContext(), function.getFunctionType().getInputs(), types));
  }

  /// The layout of a function's result that no user annotated: that of what
  /// computes it. What is partial is reduced, into the layout that propagation
  /// gave the result where that is cheaper.
  Layout layoutOfResult(Value value, const Layout &propagated) {
    Layout layout = layoutOfValue(value);
    if (layout.partial.empty())
      return layout;
    auto type = cast<MeshTensorType>(value.getType());
    auto costOf = [&](const Layout &to) {
      return planReshard(layout, to, type.getShape().vec(),
                         (type.getElementTypeBitWidth() + 7) / 8, mesh)
          .nanoseconds;
    };
    Layout reduced = layout;
    reduced.partial.clear();
    return costOf(reduced) < costOf(propagated) ? reduced : propagated;
  }

  //===--------------------------------------------------------------------===//
  // Ops with data-flow edges
  //===--------------------------------------------------------------------===//

  /// All ends of an edge get one layout. For loops that includes what is left
  /// to be reduced: an accumulator may stay partial from iteration to iteration
  /// and be reduced once behind the loop.
  LogicalResult makeConsistent(DataFlowInterface op) {
    SmallVector<Layout> layouts;
    for (const DataFlowEdge &edge : op.getDataFlowEdges())
      layouts.push_back(chooseSplits(edge));
    if (failed(choosePartials(op, layouts)))
      return failure();
    return apply(op, layouts);
  }

  /// How most bytes of the edge's ends are split; without leading dimension.
  Layout chooseSplits(const DataFlowEdge &edge) {
    FactorRule rule = edge.getFactorRule();
    std::vector<FactorVote> votes;
    auto vote = [&](Value value, const TensorFactors &dims) {
      if (!isFreeInAnyLayout(value))
        votes.push_back({dims, layoutOfValue(value), bytesOf(value)});
    };
    for (auto [source, dims] : llvm::zip_equal(edge.sources, rule.operands))
      vote(source->get(), dims);
    for (auto [target, dims] : llvm::zip_equal(edge.targets, rule.results))
      vote(target, dims);
    FactorAssignment axes = assignFactors(rule, votes, mesh);
    return layoutUnder(
        axes, edge.hasLeadingTarget() ? rule.operands[0] : rule.results[0],
        mesh);
  }

  static Layout withLeading(Layout layout, bool hasLeading) {
    if (hasLeading)
      layout.dims.insert(layout.dims.begin(), DimLayout());
    return layout;
  }

  static void setLayout(Value value, const Layout &layout) {
    value.setType(cast<MeshTensorType>(value.getType()).withLayout(layout));
  }

  /// What a trial of an op's regions shows.
  struct Trial {
    SmallVector<Layout> yields; ///< By edge, before they are resharded.
    std::map<ReduceKind, std::vector<AxisRef>> made; ///< Partial anywhere.
  };

  /// Gives all ends the layouts of their edges, and resolves the regions in
  /// between. `trial`, if any, is told what they yield.
  LogicalResult apply(DataFlowInterface op, SmallVector<Layout> layouts,
                      Trial *trial = nullptr) {
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

  void resolve(DataFlowInterface op, const DataFlowEdge &edge,
               OpOperand &source, const Layout &layout) {
    Layout wanted = withLeading(layout, edge.hasLeadingSource());
    Value value = source.get();
    if (!wanted.sameSharding(layoutOfValue(value)))
      source.set(reshard(value, wanted, source.getOwner(),
                         describeEdgeNeed(op, edge, layoutOfValue(value))));
  }

  /// What all sources of an edge are partial along stays so behind the op,
  /// where it is reduced once: after all iterations, or whichever branch ran.
  /// Neutral elements are partial along whatever the others are.
  void keepCommonPartial(const DataFlowEdge &edge, Layout &layout) {
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
    for (const AxisRef &axis : common.partial)
      for (const DimLayout &dim : layout.dims)
        if (overlaps(dim.axes, axis))
          return;
    layout.partial = common.partial;
    layout.partialKind = common.partialKind;
  }

  /// Chooses what carried values are partial along: the most with which the
  /// regions yield just that. It starts from all that may be and takes away
  /// what a trial of the regions does not yield, until nothing changes.
  LogicalResult choosePartials(DataFlowInterface op,
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

  /// Whether a carried value can be partial at first, for nothing, and no
  /// region but the one that yields it uses it.
  bool mayStayPartial(DataFlowInterface op, const DataFlowEdge &edge) {
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

  /// Sets what `layout`, of a value that starts as `init`, may be partial along
  /// at most.
  void choosePartial(Value init, const Trial &whole, Layout &layout) {
    const Layout &now = layoutOfValue(init);
    auto take = [&](const std::vector<AxisRef> &axes, ReduceKind kind) {
      layout.partialKind = kind;
      for (const AxisRef &axis : axes)
        if (llvm::none_of(layout.dims,
                          [&](const DimLayout &dim) {
                            return overlaps(dim.axes, axis);
                          }) &&
            !overlaps(layout.partial, axis))
          layout.partial.push_back(axis);
      llvm::sort(layout.partial);
    };
    if (!now.partial.empty())
      return take(now.partial, now.partialKind);
    for (const auto &[kind, axes] : whole.made)
      if (layout.partial.empty() && isNeutralSplat(init, kind))
        take(axes, kind);
  }

  /// Resolves the regions of a copy of `op`, which then is gone.
  LogicalResult tryOut(DataFlowInterface op, const SmallVector<Layout> &layouts,
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

  /// Whether a copy stands for the op that `user` is in.
  bool isShadowed(Operation *user) {
    return llvm::any_of(
        shadows, [&](Operation *shadow) { return shadow->isAncestor(user); });
  }

  static constexpr ReduceKind allReduceKinds[] = {
      ReduceKind::Sum, ReduceKind::Max, ReduceKind::Min, ReduceKind::Prod};

  func::FuncOp function;
  const Mesh &mesh;
  OpBuilder builder;
  llvm::DenseMap<std::pair<Value, std::pair<Type, Attribute>>, Value> cache;
  SmallVector<Operation *> created; ///< In this order, to be taken back.
  SmallVector<Operation *> shadows; ///< Ops that are being tried out.
};

struct InsertReshardsPass : impl::InsertReshardsBase<InsertReshardsPass> {
  void runOnOperation() override {
    getOperation()->removeAttr(TesseraDialect::stageAttrName);
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      FailureOr<std::optional<Mesh>> mesh = findFunctionMesh(function);
      if (failed(mesh))
        return signalPassFailure();
      if (function.isDeclaration() || !*mesh)
        continue;
      if (failed(verifyRegionsAreKnown(function, getArgument())) ||
          failed(Resharder(function, **mesh).run()))
        return signalPassFailure();
    }
  }
};

} // namespace
} // namespace tessera
