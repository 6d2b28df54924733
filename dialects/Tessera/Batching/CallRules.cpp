// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Layouts, identities, effects, and calls whose derivative rules are kept.
// Other calls are replaced by their callees before (Vectorize.cpp).
#include "Rules.h"
#include "dialects/Tessera/IR/Calls.h"
#include "dialects/Tessera/IR/Effects.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::batching;

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

static bool isFloat(Value value) {
  return isa<FloatType>(getElementTypeOrSelf(value.getType()));
}

/// The function `name` of a batch.
static FailureOr<BatchedFunction>
batchCallee(CallOp call, FlatSymbolRefAttr name, ArrayRef<bool> arguments,
            ArrayRef<BatchedResult> results, BatchedOp &b) {
  FailureOr<FunctionOpInterface> callee = findCallee(call, name);
  if (failed(callee))
    return failure();
  return b.getBatcher().getFunctions().get(call, *callee, arguments, results);
}

static FlatSymbolRefAttr symbolOf(BatchedFunction &made) {
  return FlatSymbolRefAttr::get(made.function.getContext(),
                                made.function.getName());
}

/// The name of the function `name` of a batch, which may be being made: a rule
/// may call its function with that same rule.
static FailureOr<FlatSymbolRefAttr>
batchRule(CallOp call, FlatSymbolRefAttr name, ArrayRef<bool> arguments,
          ArrayRef<BatchedResult> results, BatchedOp &b) {
  FailureOr<FunctionOpInterface> callee = findCallee(call, name);
  if (failed(callee))
    return failure();
  BatchedFunctions &functions = b.getBatcher().getFunctions();
  if (auto known = functions.findName(*callee, arguments, results))
    return FlatSymbolRefAttr::get(call.getContext(), *known);
  FailureOr<BatchedFunction> made =
      functions.get(call, *callee, arguments, results);
  if (failed(made))
    return failure();
  return symbolOf(*made);
}

namespace {
/// The rules of a call, as functions of a batch.
struct Rules {
  FlatSymbolRefAttr jvp, fwd, bwd;
};
} // namespace

/// Tangents have the batch where arguments have, those of results all have.
static LogicalResult batchJvp(CallOp call, ArrayRef<bool> arguments,
                              BatchedOp &b, Rules &rules) {
  SmallVector<bool> all(arguments);
  for (auto [operand, isBatched] : llvm::zip(call.getOperands(), arguments))
    if (isFloat(operand))
      all.push_back(isBatched);
  SmallVector<BatchedResult> results(2 * call->getNumResults(),
                                     BatchedResult::Batched);
  FailureOr<FlatSymbolRefAttr> made =
      batchRule(call, call.getJvpAttr(), all, results, b);
  if (failed(made))
    return failure();
  rules.jvp = *made;
  return success();
}

/// Residuals have the batch where they depend on the entry. The cotangent of an
/// argument that all entries share is the sum of theirs.
static LogicalResult batchPair(CallOp call, ArrayRef<bool> arguments,
                               BatchedOp &b, Rules &rules) {
  size_t count = call->getNumResults();
  SmallVector<BatchedResult> results(count, BatchedResult::Batched);
  FailureOr<FunctionOpInterface> callee = findCallee(call, call.getFwdAttr());
  if (failed(callee))
    return failure();
  BatchedFunctions &functions = b.getBatcher().getFunctions();
  if (functions.isBeingMade(*callee, arguments, results)) {
    // This call is part of it. Which residuals have the batch is known in the
    // end only, so that the backward function is promised.
    StringRef name = *functions.findName(*callee, arguments, results);
    std::string &backward =
        functions.promised[{name.str(), call.getBwd()->str()}];
    if (backward.empty())
      backward = functions.newName();
    rules.fwd = FlatSymbolRefAttr::get(call.getContext(), name);
    rules.bwd = FlatSymbolRefAttr::get(call.getContext(), backward);
    return success();
  }
  FailureOr<BatchedFunction> forward =
      functions.get(call, *callee, arguments, results);
  if (failed(forward))
    return failure();
  SmallVector<bool> given(ArrayRef<bool>(forward->results).drop_front(count));
  given.append(llvm::count_if(call->getResults(), isFloat), true);
  SmallVector<BatchedResult> cotangents;
  for (auto [operand, isBatched] : llvm::zip(call.getOperands(), arguments))
    if (isFloat(operand))
      cotangents.push_back(isBatched ? BatchedResult::Batched
                                     : BatchedResult::Summed);
  rules.fwd = symbolOf(*forward);
  auto promise = functions.promised.find(
      {rules.fwd.getValue().str(), call.getBwd()->str()});
  if (promise != functions.promised.end()) {
    std::string name = promise->second;
    functions.promised.erase(promise);
    FailureOr<FunctionOpInterface> rule = findCallee(call, call.getBwdAttr());
    if (failed(rule) ||
        failed(functions.get(call, *rule, given, cotangents, name)))
      return failure();
    rules.bwd = FlatSymbolRefAttr::get(call.getContext(), name);
    return success();
  }
  FailureOr<FlatSymbolRefAttr> backward =
      batchRule(call, call.getBwdAttr(), given, cotangents, b);
  if (failed(backward))
    return failure();
  rules.bwd = *backward;
  return success();
}

static LogicalResult batchCall(CallOp call, BatchedOp &b) {
  SmallVector<bool> arguments;
  for (Value operand : call.getOperands())
    arguments.push_back(b.isBatched(operand));
  SmallVector<BatchedResult> results(
      call->getNumResults(),
      call.hasRule() ? BatchedResult::Batched : BatchedResult::AsComputed);
  FailureOr<BatchedFunction> callee =
      batchCallee(call, call.getCalleeAttr(), arguments, results, b);
  Rules rules;
  if (failed(callee) ||
      (call.getJvp() && failed(batchJvp(call, arguments, b, rules))) ||
      (call.getBwd() && failed(batchPair(call, arguments, b, rules))))
    return failure();
  SmallVector<Type> types;
  for (auto [result, isBatched] :
       llvm::zip(call->getResults(), callee->results))
    types.push_back(b.typeOf(result, isBatched));
  auto made =
      CallOp::create(b.getBuilder(), call.getLoc(), types, symbolOf(*callee),
                     b.getAll(call.getOperands()), rules.jvp, rules.fwd,
                     rules.bwd, call.getRefuseAttr(), call.getCheckpointAttr());
  for (auto [result, copy, isBatched] :
       llvm::zip(call->getResults(), made->getResults(), callee->results))
    b.set(result, copy, isBatched);
  return success();
}

//===----------------------------------------------------------------------===//
// Layouts
//===----------------------------------------------------------------------===//

/// The layout with the batch as first dimension; an error where it uses an axis
/// of the batch already.
static FailureOr<Layout> batchLayout(Operation *op, Layout layout,
                                     BatchedOp &b) {
  Batcher &batcher = b.getBatcher();
  for (const std::string &axis : batcher.getFunctions().getOptions().axes) {
    auto uses = [&](const std::vector<AxisRef> &axes) {
      return llvm::any_of(axes,
                          [&](const AxisRef &ref) { return ref.name == axis; });
    };
    bool isUsed =
        uses(layout.partial) || uses(layout.reduced) || uses(layout.varying) ||
        llvm::any_of(layout.dims,
                     [&](const DimLayout &dim) { return uses(dim.axes); });
    if (!isUsed)
      continue;
    InFlightDiagnostic error = op->emitError()
                               << "layout " << layout.str() << " uses axis '"
                               << axis << "', along which the batch is split";
    error.attachNote() << "leave the axis out here, or out of spmd_axis_name; "
                          "a tensor uses an axis once";
    return error;
  }
  DimLayout front;
  front.open = batcher.getFunctions().getOptions().axes.empty();
  for (const std::string &axis : batcher.getFunctions().getOptions().axes)
    front.axes.push_back(AxisRef{axis});
  layout.dims.insert(layout.dims.begin(), front);
  return layout;
}

static LogicalResult batchConstrain(ConstrainOp op, BatchedOp &b) {
  FailureOr<Layout> layout = batchLayout(op, op.getLayout().getValue(), b);
  if (failed(layout))
    return failure();
  b.set(op, ConstrainOp::create(b.getBuilder(), op.getLoc(), b.typeOf(op, true),
                                b.get(op.getInput()),
                                dist::LayoutAttr::get(op.getContext(), *layout),
                                op.getReduceAttr()));
  return success();
}

static LogicalResult batchReshard(ReshardOp op, BatchedOp &b) {
  auto type = cast<MeshTensorType>(op.getType());
  FailureOr<Layout> layout = batchLayout(op, type.getLayout(), b);
  if (failed(layout))
    return failure();
  b.set(op,
        ReshardOp::create(b.getBuilder(), op.getLoc(),
                          MeshTensorType::get(op.getContext(),
                                              withFront(b.size(), shapeOf(op)),
                                              type.getElementType(), *layout),
                          b.get(op.getInput()), op.getWhyAttr()));
  return success();
}

//===----------------------------------------------------------------------===//
// Identities and effects
//===----------------------------------------------------------------------===//

static void batchBarrier(BarrierOp op, BatchedOp &b) {
  SmallVector<Value> inputs = b.getAll(op.getInputs());
  auto made = BarrierOp::create(b.getBuilder(), op.getLoc(),
                                ValueRange(inputs).getTypes(), inputs);
  if (Attribute why = op->getAttr(recomputationAttrName))
    made->setAttr(recomputationAttrName, why);
  for (auto [input, result, copy] :
       llvm::zip(op.getInputs(), op.getResults(), made.getResults()))
    b.set(result, copy, b.isBatched(input));
}

void tessera::batching::addCallRules(BatchingRules &rules) {
  rules.add<CallOp>(batchCall);
  rules.add<CustomTangentOp>(
      [](CustomTangentOp op, BatchedOp &) { return refuseForwardMode(op); });
  rules.elementwise<StopGradientOp, CheckpointNameOp>();
  rules.add<ConstrainOp>(batchConstrain);
  rules.add<ReshardOp>(batchReshard);
  rules.add<BarrierOp>(batchBarrier);
  // They are about the whole batch at once.
  rules.add<DebugPrintOp>([](DebugPrintOp op, BatchedOp &b) {
    b.copyWith(b.getAll(op->getOperands()));
  });
  rules.add<DebugCheckOp>([](DebugCheckOp op, BatchedOp &b) {
    b.copyWith(b.getAll(op->getOperands()));
  });
}
