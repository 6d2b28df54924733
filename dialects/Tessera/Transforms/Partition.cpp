// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FunctionMesh.h"
#include "ReshardSteps.h"
#include "dialects/Tessera/IR/LocalPart.h"
#include "dialects/Tessera/Transforms/Passes.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace tessera {
#define GEN_PASS_DEF_PARTITION
#include "dialects/Tessera/Transforms/Passes.h.inc"

namespace {

/// Attributes that tell the runtime how arguments and results are cut.
constexpr StringLiteral layoutAttrName = "dist.layout";
constexpr StringLiteral globalTypeAttrName = "dist.global_type";

class FunctionPartitioner {
public:
  FunctionPartitioner(func::FuncOp function, const Mesh &mesh)
      : function(function), mesh(mesh), builder(function.getContext()),
        meshRef(FlatSymbolRefAttr::get(function.getContext(), mesh.name)),
        parts(builder, mesh) {}

  LogicalResult run() {
    if (failed(verifyLayouts()))
      return failure();
    rewriteSignature();
    Block &block = function.getBody().front();
    for (Operation &op : llvm::make_early_inc_range(block)) {
      builder.setInsertionPoint(&op);
      if (failed(rewrite(&op)))
        return failure();
    }
    for (Operation *op : llvm::reverse(erased))
      op->erase();
    return success();
  }

private:
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
      return WalkResult::advance();
    });
    return failure(result.wasInterrupted());
  }

  RankedTensorType localType(Type type) {
    return cast<MeshTensorType>(type).getLocalType(mesh);
  }

  /// Adds what the runtime needs to cut a logical tensor of `type`.
  DictionaryAttr withBoundary(DictionaryAttr attributes, MeshTensorType type) {
    MLIRContext *context = builder.getContext();
    auto global = RankedTensorType::get(type.getShape(), type.getElementType());
    NamedAttrList list(attributes);
    list.set(layoutAttrName,
             dist::LayoutAttr::get(context, type.getLayout().closed()));
    list.set(globalTypeAttrName, TypeAttr::get(global));
    return list.getDictionary(context);
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
      logicalTypes[argument] = type;
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

  MeshTensorType logicalType(Value value) {
    auto known = logicalTypes.find(value);
    return known == logicalTypes.end() ? MeshTensorType()
                                       : cast<MeshTensorType>(known->second);
  }

  LogicalResult rewrite(Operation *op) {
    if (isa<func::ReturnOp>(op))
      return success();
    if (auto reshard = dyn_cast<ReshardOp>(op))
      return rewriteReshard(reshard);
    auto rule = dyn_cast<FactorRuleInterface>(op);
    if (!rule)
      return op->emitOpError("cannot be partitioned: it has no factor rule");
    // The rule is asked before any type changes: its sizes are logical.
    FactorRule factors = logicalRule(op, rule);
    maskOperands(op, factors);
    SmallVector<Type> types;
    for (Value result : op->getResults()) {
      types.push_back(result.getType());
      logicalTypes[result] = result.getType();
    }
    for (auto [result, type] : llvm::zip(op->getResults(), types))
      result.setType(localType(type));
    op->removeAttr("tessera.origins");
    return adjustAttributes(op, cast<MeshTensorType>(types[0]));
  }

  /// Operands were already made local: for the rule they are logical again.
  FactorRule logicalRule(Operation *op, FactorRuleInterface rule) {
    SmallVector<Type> local;
    for (Value operand : op->getOperands())
      local.push_back(operand.getType());
    for (Value operand : op->getOperands())
      if (MeshTensorType type = logicalType(operand))
        operand.setType(type);
    FactorRule factors = rule.getFactorRule();
    for (auto [operand, type] : llvm::zip(op->getOperands(), local))
      operand.setType(type);
    return factors;
  }

  //===--------------------------------------------------------------------===//
  // Uneven sizes
  //===--------------------------------------------------------------------===//

  /// Before an op that combines elements along an unevenly split dimension,
  /// the padding becomes the neutral element.
  void maskOperands(Operation *op, const FactorRule &rule) {
    if (auto gather = dyn_cast<GatherOp>(op))
      return shiftIndices(gather);
    for (auto [i, dims] : llvm::enumerate(rule.operands)) {
      MeshTensorType type = logicalType(op->getOperand(i));
      if (!type)
        continue;
      for (auto [d, list] : llvm::enumerate(dims)) {
        if (list.size() != 1 ||
            rule.factors[list[0]].kind != FactorKind::Reduce)
          continue;
        const std::vector<AxisRef> &axes = type.getLayout().dims[d].axes;
        if (!parts.isUneven(type.getDimSize(d), axes))
          continue;
        // A contraction multiplies: zero is its neutral element.
        ReduceKind kind = rule.factors[list[0]].reduce;
        op->setOperand(i, parts.maskPadding(op->getOperand(i), d,
                                            type.getDimSize(d), axes, kind));
        logicalTypes[op->getOperand(i)] = type;
      }
    }
  }

  /// Looks up in this device's part of the rows; indices of other devices' rows
  /// become -1, which reads zeros.
  void shiftIndices(GatherOp op) {
    MeshTensorType source = logicalType(op.getSource());
    int64_t dim = op.getDim();
    const std::vector<AxisRef> &axes = source.getLayout().dims[dim].axes;
    if (axes.empty())
      return;
    MeshTensorType logical = logicalType(op.getIndices());
    Value indices = parts.localIndices(op.getLoc(), op.getIndices(), axes,
                                       source.getDimSize(dim));
    op.getIndicesMutable().assign(indices);
    logicalTypes[indices] = logical;
  }

  IntegerAttr integer(int64_t value) {
    return builder.getI64IntegerAttr(value);
  }
  dist::AxesAttr axesAttr(const std::vector<AxisRef> &axes) {
    return dist::AxesAttr::get(builder.getContext(), axes);
  }

  //===--------------------------------------------------------------------===//
  // Ops whose attributes speak of shapes
  //===--------------------------------------------------------------------===//

  LogicalResult adjustAttributes(Operation *op, MeshTensorType logical) {
    auto local = cast<RankedTensorType>(op->getResult(0).getType());
    if (auto constant = dyn_cast<ConstantOp>(op))
      return cutConstant(constant, logical, local);
    if (auto iota = dyn_cast<IotaOp>(op)) {
      int64_t dim = iota.getDim();
      const std::vector<AxisRef> &axes = logical.getLayout().dims[dim].axes;
      if (!axes.empty()) {
        builder.setInsertionPoint(op);
        iota.getOffsetMutable().assign(
            parts.offset(op->getLoc(), axes, logical.getDimSize(dim)));
      }
      return success();
    }
    if (auto rng = dyn_cast<RngOp>(op)) {
      if (logical.getLayout().isReplicated())
        return success();
      builder.setInsertionPoint(op);
      SmallVector<Value> offsets;
      for (auto [d, size] : llvm::enumerate(logical.getShape()))
        offsets.push_back(
            parts.offset(op->getLoc(), logical.getLayout().dims[d].axes, size));
      rng.getOffsetsMutable().assign(offsets);
      return success();
    }
    if (auto slice = dyn_cast<SliceOp>(op)) {
      // A dimension that is taken whole may be split: its limit is local.
      SmallVector<int64_t> limits(slice.getLimits());
      for (auto [d, size] : llvm::enumerate(local.getShape()))
        if (size != logical.getDimSize(d))
          limits[d] = size;
      slice.setLimits(limits);
    }
    return success();
  }

  /// A splat takes the local shape; other constants are cut from the whole.
  LogicalResult cutConstant(ConstantOp op, MeshTensorType logical,
                            RankedTensorType local) {
    auto whole =
        RankedTensorType::get(logical.getShape(), logical.getElementType());
    if (local == whole)
      return success();
    if (auto splatAttr = dyn_cast<SplatElementsAttr>(op.getValue())) {
      op.setValueAttr(splatAttr.resizeSplat(local));
      return success();
    }
    op.getResult().setType(whole);
    builder.setInsertionPointAfter(op);
    Value value = op.getResult();
    SmallPtrSet<Operation *, 4> own;
    SmallVector<int64_t> shape(whole.getShape());
    for (auto [d, dim] : llvm::enumerate(logical.getLayout().dims))
      for (const AxisRef &axis : dim.axes) {
        int64_t parts = axis.sizeOn(mesh);
        shape[d] = (shape[d] + parts - 1) / parts;
        auto type = RankedTensorType::get(shape, whole.getElementType());
        auto slice = dist::AllSliceOp::create(
            builder, op.getLoc(), type, value, integer(d), meshRef,
            axesAttr({axis}), dist::WhyAttr());
        own.insert(slice);
        value = slice;
      }
    op.getResult().replaceAllUsesExcept(value, own);
    logicalTypes[value] = logical;
    return success();
  }

  //===--------------------------------------------------------------------===//
  // Reshards
  //===--------------------------------------------------------------------===//

  LogicalResult rewriteReshard(ReshardOp op) {
    FailureOr<Value> value = createReshardSteps(
        builder, op, op->getOperand(0), logicalType(op->getOperand(0)), mesh);
    if (failed(value))
      return failure();
    // Size-1 axes need no step, so the type may have to be told.
    logicalTypes[*value] = op.getType();
    op.getResult().replaceAllUsesWith(*value);
    erased.push_back(op);
    return success();
  }

  func::FuncOp function;
  const Mesh &mesh;
  OpBuilder builder;
  FlatSymbolRefAttr meshRef;
  LocalPart parts;
  llvm::DenseMap<Value, Type> logicalTypes;
  SmallVector<Operation *> erased;
};

struct PartitionPass : impl::PartitionBase<PartitionPass> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (function.isDeclaration())
        continue;
      FailureOr<std::optional<Mesh>> mesh = findFunctionMesh(function);
      if (failed(mesh))
        return signalPassFailure();
      if (*mesh && failed(FunctionPartitioner(function, **mesh).run()))
        return signalPassFailure();
    }
  }
};

} // namespace
} // namespace tessera
