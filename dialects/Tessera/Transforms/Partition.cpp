// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FunctionMesh.h"
#include "ReshardSteps.h"
#include "SplitScans.h"
#include "dialects/Dist/IR/Boundary.h"
#include "dialects/Tessera/Transforms/Passes.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace tessera {
#define GEN_PASS_DEF_PARTITION
#include "dialects/Tessera/Transforms/Passes.h.inc"

namespace {

class FunctionPartitioner {
public:
  FunctionPartitioner(func::FuncOp function, const Mesh &mesh)
      : function(function), mesh(mesh), builder(function.getContext()),
        values(builder, mesh), reshards(builder, mesh) {}

  LogicalResult run() {
    if (failed(verifyLayouts()))
      return failure();
    rewriteSignature();
    if (failed(rewrite(function.getBody().front())))
      return failure();
    for (Operation *op : llvm::reverse(erased))
      op->erase();
    return success();
  }

private:
  LogicalResult rewrite(Block &block) {
    for (Operation &op : llvm::make_early_inc_range(block)) {
      builder.setInsertionPoint(&op);
      if (failed(rewrite(&op)))
        return failure();
    }
    return success();
  }

  /// Sizes are divided by what layouts say, so they must fit the mesh, wherever
  /// the program comes from.
  LogicalResult verifyLayouts() {
    llvm::DenseSet<Type> seen;
    auto verify = [&](Type type, Location loc) -> LogicalResult {
      const Layout *layout = layoutOf(type);
      if (!layout || !seen.insert(type).second)
        return success();
      std::optional<std::string> problem =
          findLayoutError(*layout, mesh, layout->dims.size());
      if (!problem)
        return success();
      InFlightDiagnostic error = emitError(loc) << "layout " << layout->str()
                                                << ": " << *problem;
      error.attachNote() << "tessera-verify-program checks all of a program";
      return error;
    };
    for (BlockArgument argument : function.getArguments())
      if (failed(verify(argument.getType(), argument.getLoc())))
        return failure();
    for (Type type : function.getResultTypes())
      if (failed(verify(type, function.getLoc())))
        return failure();
    WalkResult result = function.walk([&](Operation *op) {
      for (Type type : op->getResultTypes())
        if (failed(verify(type, op->getLoc())))
          return WalkResult::interrupt();
      for (Region &region : op->getRegions())
        for (BlockArgument argument : region.getArguments())
          if (failed(verify(argument.getType(), argument.getLoc())))
            return WalkResult::interrupt();
      return WalkResult::advance();
    });
    return failure(result.wasInterrupted());
  }

  /// Many values have one type.
  RankedTensorType localType(Type type) {
    RankedTensorType &local = localTypes[type];
    if (!local)
      local = cast<MeshTensorType>(type).getLocalType(mesh);
    return local;
  }

  /// Adds what the runtime needs to cut a logical tensor of `type`.
  DictionaryAttr withBoundary(DictionaryAttr attributes, MeshTensorType type) {
    // Many arguments have one type.
    dist::Boundary &boundary = boundaries[type];
    if (!boundary.layout)
      boundary = dist::makeBoundary(
          type.getLayout().closed(),
          RankedTensorType::get(type.getShape(), type.getElementType()));
    NamedAttrList list(attributes);
    dist::writeBoundary(list, boundary);
    return list.getDictionary(builder.getContext());
  }

  /// Attributes of all arguments and results are set at once: setting those of
  /// one rebuilds the array of all.
  void rewriteSignature() {
    SmallVector<Type> arguments, results;
    SmallVector<DictionaryAttr> argumentAttrs, resultAttrs;
    function.getAllArgAttrs(argumentAttrs);
    function.getAllResultAttrs(resultAttrs);
    for (auto [argument, attributes] :
         llvm::zip_equal(function.getArguments(), argumentAttrs)) {
      auto type = cast<MeshTensorType>(argument.getType());
      attributes = withBoundary(attributes, type);
      // Ops are rewritten one by one and read the logical types of their
      // operands from here.
      values.setLogicalType(argument, type);
      argument.setType(localType(type));
      arguments.push_back(argument.getType());
    }
    for (auto [type, attributes] :
         llvm::zip_equal(function.getResultTypes(), resultAttrs)) {
      attributes = withBoundary(attributes, cast<MeshTensorType>(type));
      results.push_back(localType(type));
    }
    function.setAllArgAttrs(argumentAttrs);
    function.setAllResultAttrs(resultAttrs);
    function.setFunctionType(
        FunctionType::get(builder.getContext(), arguments, results));
  }

  LogicalResult rewrite(Operation *op) {
    if (isa<func::ReturnOp, YieldOp>(op))
      return success();
    if (auto flow = dyn_cast<DataFlowInterface>(op))
      return rewriteRegions(flow);
    if (auto reshard = dyn_cast<ReshardOp>(op))
      return rewriteReshard(reshard);
    if (auto scan = dyn_cast<CumulativeOp>(op)) {
      FailureOr<Value> value = writeSplitScan(scan, values, reshards);
      if (failed(value))
        return failure();
      if (*value) {
        replace(scan, *value);
        return success();
      }
    }
    auto rule = dyn_cast<FactorRuleInterface>(op);
    if (!rule)
      return op->emitOpError("cannot be partitioned: it has no factor rule");
    auto part = dyn_cast<LocaliseInterface>(op);
    if (!part) {
      InFlightDiagnostic error =
          op->emitOpError("cannot be partitioned: it does not say how it "
                          "computes on a part of its operands");
      error.attachNote() << "implement LocaliseInterface; an op without "
                            "attributes or values that depend on sizes or "
                            "positions takes its defaults";
      return error;
    }
    part.localiseOperands(rule.getFactorRuleFor(values.logicalShapes(op)),
                          values);
    for (Value result : op->getResults()) {
      auto type = cast<MeshTensorType>(result.getType());
      values.setLogicalType(result, type);
      result.setType(localType(type));
    }
    op->removeAttr("tessera.origins");
    return part.localiseResults(values);
  }

  void makeLocal(Value value) {
    auto type = cast<MeshTensorType>(value.getType());
    values.setLogicalType(value, type);
    value.setType(localType(type));
  }

  /// The ends of an edge have one layout, so that all become local alike.
  LogicalResult rewriteRegions(DataFlowInterface op) {
    for (Value result : op->getResults())
      makeLocal(result);
    for (Region &region : op->getRegions())
      for (BlockArgument argument : region.getArguments())
        makeLocal(argument);
    op->removeAttr("tessera.origins");
    for (Region &region : op->getRegions())
      for (Block &block : region)
        if (failed(rewrite(block)))
          return failure();
    return success();
  }

  //===--------------------------------------------------------------------===//
  // Reshards
  //===--------------------------------------------------------------------===//

  LogicalResult rewriteReshard(ReshardOp op) {
    FailureOr<Value> value =
        reshards.create(ReshardSteps::requestOf(op), op->getOperand(0),
                        values.logicalType(op->getOperand(0)));
    if (failed(value))
      return failure();
    // Size-1 axes need no step, so the type may have to be told.
    values.setLogicalType(*value, op.getType());
    replace(op, *value);
    return success();
  }

  /// Types are taken off at the end: ops behind are still to be rewritten.
  void replace(Operation *op, Value value) {
    op->replaceAllUsesWith(ValueRange(value));
    erased.push_back(op);
  }

  func::FuncOp function;
  const Mesh &mesh;
  OpBuilder builder;
  LocalValues values;
  ReshardSteps reshards;
  SmallVector<Operation *> erased;
  llvm::DenseMap<Type, dist::Boundary> boundaries;
  llvm::DenseMap<Type, RankedTensorType> localTypes;
};

struct PartitionPass : impl::PartitionBase<PartitionPass> {
  void runOnOperation() override {
    getOperation()->removeAttr(TesseraDialect::stageAttrName);
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (function.isDeclaration())
        continue;
      FailureOr<std::optional<Mesh>> mesh = findFunctionMesh(function);
      if (failed(mesh))
        return signalPassFailure();
      if (!*mesh)
        continue;
      if (failed(verifyRegionsAreKnown(function, getArgument())) ||
          failed(FunctionPartitioner(function, **mesh).run()))
        return signalPassFailure();
    }
  }
};

} // namespace
} // namespace tessera
