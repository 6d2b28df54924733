// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FunctionMesh.h"
#include "Provenance.h"
#include "Ties.h"
#include "dialects/Tessera/Transforms/Passes.h"
#include "tessera/Analysis/LayoutPropagation.h"

using namespace mlir;

namespace tessera {
#define GEN_PASS_DEF_PROPAGATELAYOUTS
#include "dialects/Tessera/Transforms/Passes.h.inc"

namespace {

/// A function's values and ops as plain data, with the way back.
class FunctionGraph {
public:
  FunctionGraph(func::FuncOp function, const Mesh &mesh) {
    graph.mesh = mesh;
    function.walk<WalkOrder::PreOrder>([&](Operation *op) {
      for (Value result : op->getResults())
        addMeshTensor(result);
      for (Region &region : op->getRegions())
        for (BlockArgument argument : region.getArguments())
          addMeshTensor(argument);
    });
  }

  LogicalResult addOps(func::FuncOp function) {
    WalkResult result =
        function.walk([&](Operation *op) {
          if (auto flow = dyn_cast<DataFlowInterface>(op))
            return WalkResult(addEdges(flow));
          // A reshard is where two layouts meet: neither spreads over it.
          if (isa<func::FuncOp, func::ReturnOp, ReshardOp>(op) ||
              op->getNumResults() == 0)
            return WalkResult::advance();
          auto rule = dyn_cast<FactorRuleInterface>(op);
          if (!rule) {
            InFlightDiagnostic error =
                op->emitOpError("has no factor rule, so its layout is unknown");
            error.attachNote()
                << "implement FactorRuleInterface: getFactorRule() "
                   "names the op's factors and maps each operand and "
                   "result dimension to them, as in "
                   "([b,m,k],[k,n])->([b,m,n]) reduce={k}; calls are "
                   "inlined before this pass";
            error.attachNote() << "an op without a rule is never replicated "
                                  "silently";
            return WalkResult::interrupt();
          }
          return WalkResult(addOp(rule));
        });
    return failure(result.wasInterrupted());
  }

  /// The ends of each edge are one value, so the edge is an op that computes
  /// nothing between them.
  LogicalResult addEdges(DataFlowInterface flow) {
    for (const DataFlowEdge &edge : flow.getDataFlowEdges()) {
      PropagationOp node;
      node.rule = edge.getFactorRule();
      for (OpOperand *source : edge.sources)
        if (failed(addUse(flow, source->get(), node.operands)))
          return failure();
      for (Value target : edge.targets)
        if (failed(addUse(flow, target, node.results)))
          return failure();
      graph.ops.push_back(std::move(node));
      edges[static_cast<int>(ops.size())] = edge.describe();
      ops.push_back(flow);
    }
    return success();
  }

  /// An argument and the result that takes its memory are laid out alike.
  LogicalResult addTies(func::FuncOp function) {
    Operation *exit = function.getBody().front().getTerminator();
    FailureOr<SmallVector<Tie>> ties = findTies(function);
    if (failed(ties))
      return failure();
    for (const Tie &tie : *ties) {
      BlockArgument argument = function.getArgument(tie.argument);
      PropagationOp node;
      node.rule = elementwiseRule(shapeVector(argument.getType()), 1);
      if (failed(addUse(exit, argument, node.operands)) ||
          failed(addUse(exit, exit->getOperand(tie.result), node.results)))
        return failure();
      graph.ops.push_back(std::move(node));
      edges[static_cast<int>(ops.size())] =
          "tied result " + std::to_string(tie.result);
      ops.push_back(exit);
    }
    return success();
  }

  LogicalResult addOp(FactorRuleInterface op) {
    if (op->getNumOperands() == 0)
      return success();
    PropagationOp node;
    node.rule = op.getFactorRule();
    node.round = op.getPropagationRound();
    // Operands that are no mesh tensors have no part in it.
    std::vector<TensorFactors> &factors = node.rule.operands;
    size_t kept = 0;
    for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
      if (i >= factors.size() || !isa<MeshTensorType>(operand.getType()))
        continue;
      if (failed(addUse(op, operand, node.operands)))
        return failure();
      if (kept != i)
        factors[kept] = std::move(factors[i]);
      ++kept;
    }
    factors.resize(kept);
    for (Value result : op->getResults())
      if (failed(addUse(op, result, node.results)))
        return failure();
    graph.ops.push_back(std::move(node));
    ops.push_back(op);
    return success();
  }

  /// Words for why `axis` splits dimension `dim` of value `id`: the grants
  /// followed back to a value that was annotated.
  SmallVector<Attribute> chainOf(const AxisGrants &grants, int id, int dim,
                                 const AxisRef &axis, MLIRContext *context) {
    SmallVector<Attribute> chain;
    while (static_cast<int>(chain.size()) < maxChain) {
      auto grant = grants.find({id, dim, axis});
      if (grant == grants.end()) {
        chain.push_back(annotationOf(id, dim, axis, context));
        return chain;
      }
      chain.push_back(reasonOf(grant->second, context));
      id = grant->second.fromValue;
      dim = grant->second.fromDim;
    }
    return chain;
  }

  PropagationGraph graph;
  std::vector<Value> values;
  std::vector<Operation *> ops;
  std::map<int, std::string> edges; ///< Of the graph's ops that are edges.
  llvm::DenseMap<Value, int> ids;

private:
  /// Many chains pass through one grant: its words are made once.
  StringAttr reasonOf(const AxisGrant &grant, MLIRContext *context) {
    StringAttr &reason = reasons[{grant.op, grant.fromValue, grant.fromDim}];
    if (reason)
      return reason;
    return reason = StringAttr::get(
               context, describeNode(grant.op) + " ties it to dimension " +
                            std::to_string(grant.fromDim) + " of " +
                            nameOf(grant.fromValue));
  }

  /// As above, of an annotation, which what it splits leads back to.
  StringAttr annotationOf(int id, int dim, const AxisRef &axis,
                          MLIRContext *context) {
    auto &known = annotations[{id, dim}];
    for (const auto &[other, text] : known)
      if (other == axis)
        return text;
    auto text = StringAttr::get(
        context, "annotated: dimension " + std::to_string(dim) + " of " +
                     nameOf(id) + " is split by '" + toString(axis) + "'");
    known.push_back({axis, text});
    return text;
  }

  const std::string &nameOf(int id) {
    names.resize(values.size());
    if (names[id].empty())
      names[id] = describeValue(values[id]);
    return names[id];
  }

  /// An op of the graph in words: an op of the program, or an edge of one.
  std::string describeNode(int node) {
    auto edge = edges.find(node);
    // Ops of a loop in Python are at one place.
    std::string &op = places[{ops[node]->getName().getAsOpaquePointer(),
                              ops[node]->getLoc().getAsOpaquePointer()}];
    if (op.empty())
      op = describeOp(ops[node]);
    return edge == edges.end() ? op : edge->second + " of " + op;
  }

  void addMeshTensor(Value value) {
    if (isa<MeshTensorType>(value.getType()))
      addValue(value);
  }

  /// Appends the index of a tensor of `op` to `uses`.
  LogicalResult addUse(Operation *op, Value value, std::vector<int> &uses) {
    // A constant is seen anew by each user: sharing it must not tie the users'
    // layouts together.
    if (value.getDefiningOp() != op && isFreeInAnyLayout(value)) {
      uses.push_back(addValue(value));
      return success();
    }
    auto known = ids.find(value);
    if (known == ids.end())
      return op->emitOpError() << "uses a value of type " << value.getType()
                               << " that no op of this function defines as a "
                                  "mesh tensor";
    uses.push_back(known->second);
    return success();
  }

  int addValue(Value value) {
    auto type = cast<MeshTensorType>(value.getType());
    const Layout *layout = &type.getLayout();
    if (auto constrain = value.getDefiningOp<ConstrainOp>())
      layout = &constrain.getLayout().getValue();
    graph.values.push_back(
        {type.getShape().vec(), layout->withWholeAxes(graph.mesh)});
    values.push_back(value);
    int id = static_cast<int>(values.size()) - 1;
    ids.try_emplace(value, id);
    return id;
  }

  std::vector<std::string> names;
  llvm::DenseMap<std::tuple<int, int, int>, StringAttr> reasons;
  /// Descriptions of ops, by name and location.
  llvm::DenseMap<std::pair<const void *, const void *>, std::string> places;
  llvm::DenseMap<std::pair<int, int>,
                 SmallVector<std::pair<AxisRef, StringAttr>, 1>>
      annotations; ///< By value and dimension.
};

struct PropagateLayoutsPass : impl::PropagateLayoutsBase<PropagateLayoutsPass> {
  void runOnOperation() override {
    getOperation()->removeAttr(TesseraDialect::stageAttrName);
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isDeclaration() && failed(propagate(function)))
        return signalPassFailure();
  }

  LogicalResult propagate(func::FuncOp function) {
    FailureOr<std::optional<Mesh>> mesh = findFunctionMesh(function);
    if (failed(mesh))
      return failure();
    if (!*mesh)
      return success();
    if (failed(verifyRegionsAreKnown(function, getArgument())))
      return failure();
    FunctionGraph graph(function, **mesh);
    if (failed(graph.addOps(function)) || failed(graph.addTies(function)))
      return failure();
    AxisGrants grants = propagateLayouts(graph.graph);

    markUnannotatedResults(function);
    // Many values have one type and get one layout.
    llvm::DenseMap<Type, MeshTensorType> known;
    for (auto [value, id] : graph.ids) {
      const Layout &layout = graph.graph.values[id].layout;
      MeshTensorType &laidOut = known[value.getType()];
      if (!laidOut || laidOut.getLayout() != layout)
        laidOut = cast<MeshTensorType>(value.getType()).withLayout(layout);
      value.setType(laidOut);
    }
    recordOrigins(function, graph, grants);
    Operation *terminator = function.getBody().front().getTerminator();
    layOutTiedResults(function, terminator);
    function.setFunctionType(
        FunctionType::get(&getContext(), function.getBody().getArgumentTypes(),
                          terminator->getOperandTypes()));
    return success();
  }

  /// Where two annotations keep a tied result from its argument's layout, it is
  /// brought there; to its splits alone if the argument is partial, since no
  /// value is taken apart into terms.
  void layOutTiedResults(func::FuncOp function, Operation *exit) {
    OpBuilder builder(exit);
    // Held by name: what a range-for iterates over must outlive the loop.
    FailureOr<SmallVector<Tie>> ties = findTies(function);
    for (const Tie &tie : *ties) {
      auto wanted =
          cast<MeshTensorType>(function.getArgument(tie.argument).getType());
      OpOperand &returned = exit->getOpOperand(tie.result);
      if (returned.get().getType() == wanted)
        continue;
      Layout layout = wanted.getLayout();
      layout.partial.clear();
      wanted = wanted.withLayout(layout);
      if (returned.get().getType() != wanted)
        returned.set(ReshardOp::create(
            builder, exit->getLoc(), wanted, returned.get(),
            explainReshard(returned.get(), layout,
                           "result " + std::to_string(tie.result) +
                               " takes the memory of argument " +
                               std::to_string(tie.argument))));
    }
  }

  /// The reasons for each axis that splits `value`; null where none does.
  DictionaryAttr findOrigins(Value value, FunctionGraph &graph,
                             const AxisGrants &grants) {
    auto known = graph.ids.find(value);
    if (known == graph.ids.end())
      return {};
    SmallVector<NamedAttribute> origins;
    const Layout &layout = graph.graph.values[known->second].layout;
    for (auto [d, dim] : llvm::enumerate(layout.dims))
      for (const AxisRef &axis : dim.axes) {
        SmallVector<Attribute> chain = graph.chainOf(
            grants, known->second, static_cast<int>(d), axis, &getContext());
        origins.emplace_back(toString(axis),
                             ArrayAttr::get(&getContext(), chain));
      }
    return origins.empty() ? DictionaryAttr()
                           : DictionaryAttr::get(&getContext(), origins);
  }

  /// An op with edges has a dictionary for each.
  void recordEdges(DataFlowInterface op, FunctionGraph &graph,
                   const AxisGrants &grants) {
    SmallVector<NamedAttribute> origins;
    for (const DataFlowEdge &edge : op.getDataFlowEdges())
      if (DictionaryAttr attr =
              findOrigins(edge.targets.front(), graph, grants))
        origins.emplace_back(edge.describe(), attr);
    if (!origins.empty())
      op->setAttr(originsAttrName, DictionaryAttr::get(&getContext(), origins));
  }

  /// Results whose layouts are open but for what propagation finds. One that
  /// takes an argument's memory has the argument's layout.
  static void markUnannotatedResults(func::FuncOp function) {
    SmallVector<DictionaryAttr> attributes;
    function.getAllResultAttrs(attributes);
    llvm::SmallDenseSet<int64_t> tied;
    FailureOr<SmallVector<Tie>> ties = findTies(function); // As above, by name.
    for (const Tie &tie : *ties)
      tied.insert(tie.result);
    Operation *terminator = function.getBody().front().getTerminator();
    for (auto [i, value] : llvm::enumerate(terminator->getOperands())) {
      const Layout *layout = layoutOf(value.getType());
      if (!layout || !layout->isFullyOpen() || tied.contains(i) ||
          value.getDefiningOp<ConstrainOp>())
        continue;
      NamedAttrList list(attributes[i]);
      list.set(unannotatedAttrName, UnitAttr::get(function.getContext()));
      attributes[i] = list.getDictionary(function.getContext());
    }
    function.setAllResultAttrs(attributes);
  }

  void recordOrigins(func::FuncOp function, FunctionGraph &graph,
                     const AxisGrants &grants) {
    SmallVector<DictionaryAttr> arguments;
    function.getAllArgAttrs(arguments);
    for (auto [argument, known] :
         llvm::zip_equal(function.getArguments(), arguments)) {
      DictionaryAttr attr = findOrigins(argument, graph, grants);
      if (!attr)
        continue;
      NamedAttrList list(known);
      list.set(originsAttrName, attr);
      known = list.getDictionary(&getContext());
    }
    // All at once: setting those of one argument rebuilds the array of all.
    function.setAllArgAttrs(arguments);
    function.walk([&](Operation *op) {
      if (auto flow = dyn_cast<DataFlowInterface>(op))
        return recordEdges(flow, graph, grants);
      if (op->getNumResults() == 1)
        if (DictionaryAttr attr = findOrigins(op->getResult(0), graph, grants))
          op->setAttr(originsAttrName, attr);
    });
  }
};

} // namespace
} // namespace tessera
