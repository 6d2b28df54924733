// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FunctionMesh.h"
#include "Provenance.h"
#include "dialects/Tessera/Transforms/Passes.h"
#include "tessera/Analysis/LayoutPropagation.h"

using namespace mlir;

namespace tessera {
#define GEN_PASS_DEF_PROPAGATELAYOUTS
#include "dialects/Tessera/Transforms/Passes.h.inc"

namespace {

/// Longest chain of reasons that is kept for one axis of one value.
constexpr int maxChain = 12;

/// A function's values and ops as plain data, with the way back.
class FunctionGraph {
public:
  FunctionGraph(func::FuncOp function, const Mesh &mesh) {
    graph.mesh = mesh;
    for (BlockArgument argument : function.getArguments())
      addValue(argument);
    function.walk([&](Operation *op) {
      for (Value result : op->getResults())
        if (isa<MeshTensorType>(result.getType()))
          addValue(result);
    });
  }

  LogicalResult addOps(func::FuncOp function) {
    WalkResult result =
        function.walk([&](Operation *op) {
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
          addOp(rule);
          return WalkResult::advance();
        });
    return failure(result.wasInterrupted());
  }

  void addOp(FactorRuleInterface op) {
    if (op->getNumOperands() == 0)
      return;
    FactorRule rule = op.getFactorRule();
    PropagationOp node;
    node.round = op.getPropagationRound();
    std::vector<TensorFactors> operandFactors;
    for (auto [operand, factors] :
         llvm::zip(op->getOperands(), rule.operands)) {
      if (!isa<MeshTensorType>(operand.getType()))
        continue;
      // A constant is seen anew by each user: sharing it must not tie the
      // users' layouts together.
      node.operands.push_back(isFreeInAnyLayout(operand) ? addValue(operand)
                                                         : ids.lookup(operand));
      operandFactors.push_back(factors);
    }
    rule.operands = std::move(operandFactors);
    for (Value result : op->getResults())
      node.results.push_back(ids.lookup(result));
    node.rule = std::move(rule);
    graph.ops.push_back(std::move(node));
    ops.push_back(op);
  }

  /// Words for why `axis` splits dimension `dim` of value `id`: the grants
  /// followed back to a value that was annotated.
  SmallVector<Attribute> chainOf(const AxisGrants &grants, int id, int dim,
                                 const AxisRef &axis, MLIRContext *context) {
    SmallVector<Attribute> chain;
    while (static_cast<int>(chain.size()) < maxChain) {
      auto grant = grants.find({id, dim, axis});
      if (grant == grants.end()) {
        chain.push_back(StringAttr::get(
            context, "annotated: dimension " + std::to_string(dim) + " of " +
                         nameOf(id) + " is split by '" + toString(axis) + "'"));
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
  llvm::DenseMap<Value, int> ids;

private:
  /// Many chains pass through one grant: its words are made once.
  StringAttr reasonOf(const AxisGrant &grant, MLIRContext *context) {
    StringAttr &reason = reasons[{grant.op, grant.fromValue, grant.fromDim}];
    if (reason)
      return reason;
    Operation *op = ops[grant.op];
    std::string where = describeLocation(op->getLoc());
    return reason = StringAttr::get(context,
                                    op->getName().getStringRef().str() +
                                        (where.empty() ? "" : " at " + where) +
                                        " ties it to dimension " +
                                        std::to_string(grant.fromDim) + " of " +
                                        nameOf(grant.fromValue));
  }

  const std::string &nameOf(int id) {
    names.resize(values.size());
    if (names[id].empty())
      names[id] = describeValue(values[id]);
    return names[id];
  }

  int addValue(Value value) {
    auto type = cast<MeshTensorType>(value.getType());
    Layout layout = type.getLayout();
    if (auto constrain = value.getDefiningOp<ConstrainOp>())
      layout = constrain.getLayout().getValue();
    graph.values.push_back(
        {type.getShape().vec(), layout.withWholeAxes(graph.mesh)});
    values.push_back(value);
    int id = static_cast<int>(values.size()) - 1;
    ids.try_emplace(value, id);
    return id;
  }

  std::vector<std::string> names;
  llvm::DenseMap<std::tuple<int, int, int>, StringAttr> reasons;
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
    FunctionGraph graph(function, **mesh);
    if (failed(graph.addOps(function)))
      return failure();
    AxisGrants grants = propagateLayouts(graph.graph);

    for (auto [value, id] : graph.ids)
      value.setType(cast<MeshTensorType>(value.getType())
                        .withLayout(graph.graph.values[id].layout));
    recordOrigins(function, graph, grants);
    Operation *terminator = function.getBody().front().getTerminator();
    function.setFunctionType(
        FunctionType::get(&getContext(), function.getBody().getArgumentTypes(),
                          terminator->getOperandTypes()));
    return success();
  }

  void recordOrigins(func::FuncOp function, FunctionGraph &graph,
                     const AxisGrants &grants) {
    SmallVector<DictionaryAttr> argumentAttrs;
    function.getAllArgAttrs(argumentAttrs);
    for (auto [value, id] : graph.ids) {
      SmallVector<NamedAttribute> origins;
      const Layout &layout = graph.graph.values[id].layout;
      for (auto [d, dim] : llvm::enumerate(layout.dims))
        for (const AxisRef &axis : dim.axes) {
          SmallVector<Attribute> chain = graph.chainOf(
              grants, id, static_cast<int>(d), axis, &getContext());
          origins.emplace_back(toString(axis),
                               ArrayAttr::get(&getContext(), chain));
        }
      if (origins.empty())
        continue;
      auto attr = DictionaryAttr::get(&getContext(), origins);
      auto argument = dyn_cast<BlockArgument>(value);
      if (!argument) {
        value.getDefiningOp()->setAttr(originsAttrName, attr);
        continue;
      }
      DictionaryAttr &known = argumentAttrs[argument.getArgNumber()];
      NamedAttrList list(known);
      list.set(originsAttrName, attr);
      known = list.getDictionary(&getContext());
    }
    // All at once: setting those of one argument rebuilds the array of all.
    function.setAllArgAttrs(argumentAttrs);
  }
};

} // namespace
} // namespace tessera
