// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Differentiate.h"

#include "Checkpoints.h"
#include "DetachedRegion.h"
#include "Residuals.h"
#include "Rules.h"
#include "Widening.h"
#include "dialects/Tessera/IR/Calls.h"
#include "dialects/Tessera/IR/Folding.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::derivatives;

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

/// Marks the ops that stand where `call` stood as those of its checkpoint,
/// unless they are part of one around it.
static void markCheckpoint(Operation *first, Operation *end, Attribute region) {
  for (Operation *op = first; op != end; op = op->getNextNode())
    if (!op->hasAttr(checkpointAttrName))
      op->setAttr(checkpointAttrName, region);
}

/// Whether a backward pass computes again what `call` does.
static bool isCheckpoint(CallOp call) {
  return !call.hasRule() &&
         (call->hasAttr(checkpointAttrName) ||
          call.getCheckpoint().value_or("everything") != "everything");
}

/// Replaces the call of a checkpoint, and marks what stands in its place: calls
/// too, which become part of the checkpoint.
static LogicalResult expandCheckpoint(CallOp call, int64_t number) {
  Attribute region = call->getAttr(checkpointAttrName);
  if (!region)
    region = makeCheckpointMark(call, number);
  FailureOr<FunctionOpInterface> callee =
      findCallee(call, call.getCalleeAttr());
  if (failed(callee))
    return failure();
  Operation *before = call->getPrevNode();
  OpBuilder at(call);
  call->replaceAllUsesWith(cloneBody(*callee, call.getOperands(), at));
  Operation *first =
      before ? before->getNextNode() : &call->getBlock()->front();
  markCheckpoint(first, call, region);
  call.erase();
  return success();
}

/// Replaces calls by their callees, except for those with rules of their own.
static LogicalResult expandCalls(func::FuncOp function) {
  if (failed(verifyNotRecursive(function)))
    return failure();
  for (int64_t number = 0;;) {
    if (failed(inlineCalls(function, [](CallOp call) {
          return !call.hasRule() && !isCheckpoint(call);
        })))
      return failure();
    SmallVector<CallOp> checkpoints;
    function.walk([&](CallOp call) {
      if (isCheckpoint(call))
        checkpoints.push_back(call);
    });
    if (checkpoints.empty())
      return success();
    for (CallOp call : checkpoints)
      if (failed(expandCheckpoint(call, number++)))
        return failure();
  }
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

SmallVector<unsigned> tessera::floatResults(func::FuncOp function) {
  SmallVector<unsigned> numbers;
  for (auto [i, type] : llvm::enumerate(function.getResultTypes()))
    if (isa<FloatType>(getElementTypeOrSelf(type)))
      numbers.push_back(i);
  return numbers;
}

/// The results of the function that ends with `body` that are differentiated.
static SmallVector<Value> resultsOf(Block &body, const Differentiated &wanted) {
  return llvm::map_to_vector(wanted.results, [&](unsigned i) {
    return body.getTerminator()->getOperand(i);
  });
}

static FormulaBuilder builderFor(func::FuncOp function, OpBuilder &builder) {
  Type model = function.getNumArguments() ? function.getArgumentTypes().front()
                                          : function.getResultTypes().front();
  return FormulaBuilder(builder, function.getLoc(), model);
}

static Type openLike(FormulaBuilder &build, Value value) {
  return build.typeOf(shapeOf(value), getElementTypeOrSelf(value.getType()));
}

/// Sets what `function` returns.
static void setResults(func::FuncOp function, ValueRange values) {
  Block &body = function.getBody().front();
  if (!body.empty() && body.back().hasTrait<OpTrait::IsTerminator>())
    body.back().erase();
  OpBuilder builder = OpBuilder::atBlockEnd(&body);
  func::ReturnOp::create(builder, function.getLoc(), values);
  function.setFunctionType(FunctionType::get(function.getContext(),
                                             body.getArgumentTypes(),
                                             ValueRange(values).getTypes()));
}

static func::FuncOp addFunction(func::FuncOp after, const Twine &name) {
  OpBuilder builder(after->getContext());
  builder.setInsertionPointAfter(after);
  auto function =
      func::FuncOp::create(builder, after.getLoc(), name.str(),
                           FunctionType::get(after.getContext(), {}, {}));
  function.setPrivate();
  function.getBody().emplaceBlock();
  return function;
}

/// A private copy, whose calls are expanded.
static FailureOr<func::FuncOp> copyOf(func::FuncOp function,
                                      const Twine &name) {
  func::FuncOp copy = function.clone();
  copy.setName(name.str());
  copy.setPrivate();
  copy.removeResAttrsAttr();
  copy.removeArgAttrsAttr();
  SmallVector<StringAttr> discardable;
  for (NamedAttribute attr : copy->getDiscardableAttrs())
    discardable.push_back(attr.getName());
  for (StringAttr attr : discardable)
    copy->removeDiscardableAttr(attr);
  OpBuilder builder(function->getContext());
  builder.setInsertionPointAfter(function);
  builder.insert(copy);
  if (failed(expandCalls(copy))) {
    copy.erase();
    return failure();
  }
  // Reverse mode passes a while loop beside what it carries unchanged.
  IRRewriter rewriter(copy.getContext());
  copy.walk([&](WhileOp loop) { captureUnchanged(loop, rewriter); });
  // What nothing uses need not have a derivative.
  eraseDeadOps(copy.getBody().front());
  return copy;
}

static LogicalResult checkWanted(func::FuncOp function,
                                 const Differentiated &wanted) {
  if (function.isExternal())
    return function.emitError()
           << "function @" << function.getName() << " has no body";
  for (unsigned i : wanted.arguments) {
    if (i >= function.getNumArguments())
      return function.emitError()
             << "cannot differentiate by argument " << i << "; function @"
             << function.getName() << " has " << function.getNumArguments();
    if (!isDifferentiable(function.getArgument(i)))
      return function.emitError()
             << "cannot differentiate by argument " << i << ", of type "
             << function.getArgument(i).getType()
             << "; expected elements of a float type";
  }
  for (unsigned i : wanted.results) {
    if (i >= function.getNumResults())
      return function.emitError()
             << "cannot differentiate result " << i << "; function @"
             << function.getName() << " has " << function.getNumResults();
    Type type = function.getResultTypes()[i];
    if (!isa<FloatType>(getElementTypeOrSelf(type)))
      return function.emitError()
             << "cannot differentiate result " << i << ", of type " << type
             << "; expected elements of a float type";
  }
  return success();
}

static void eraseMarks(func::FuncOp function) {
  function.walk([](Operation *op) {
    op->removeAttr(checkpointAttrName);
    op->removeAttr(derivedAttrName);
    op->removeAttr(recomputedAttrName);
    op->removeAttr(byHandAttrName);
  });
}

/// Ops without a phase are those of the forward pass, and those that compute
/// values of it again from a barrier.
static void markBackward(func::FuncOp function) {
  auto backward = StringAttr::get(function.getContext(), "backward");
  function.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (op->hasAttr(recomputedAttrName))
      return WalkResult::skip();
    if (isa<TesseraDialect>(op->getDialect()) && !isa<YieldOp>(op))
      op->setAttr(TesseraDialect::phaseAttrName, backward);
    return WalkResult::advance();
  });
}

namespace {
/// A function made of values, and a linear program that uses what it keeps.
struct Linearized {
  func::FuncOp forward;
  DetachedRegion holder; ///< Of the linear program.
  Block *linear = nullptr;
  SmallVector<Residual> residuals;
  /// For each result that is differentiated the place of its tangent among what
  /// the linear program yields; nullopt where it is zero.
  SmallVector<std::optional<unsigned>> tangents;
};
} // namespace

/// `forTransposing`: the linear program is not computed itself.
static LogicalResult linearize(func::FuncOp function,
                               const Differentiated &wanted, StringRef prefix,
                               bool forTransposing, Linearized &made) {
  if (failed(checkWanted(function, wanted)))
    return failure();
  FailureOr<func::FuncOp> copy = copyOf(function, prefix + ".fwd");
  if (failed(copy))
    return failure();
  made.forward = *copy;
  Block &body = copy->getBody().front();
  made.linear = &made.holder.emplaceBlock();
  OpBuilder builder = atEndOf(*made.linear, function.getContext());
  FormulaBuilder build = builderFor(function, builder);
  Linearizer linearizer(Form::Apart, made.linear);
  if (forTransposing)
    linearizer.setForTransposing();
  for (unsigned i : wanted.arguments) {
    Value argument = body.getArgument(i);
    linearizer.setTangent(
        argument,
        made.linear->addArgument(openLike(build, argument), argument.getLoc()));
  }
  if (failed(linearizer.run(body, resultsOf(body, wanted))))
    return failure();
  SmallVector<Value> yields;
  for (Value result : resultsOf(body, wanted)) {
    Value tangent = linearizer.tangentOf(result);
    made.tangents.push_back(tangent ? std::optional<unsigned>(yields.size())
                                    : std::nullopt);
    if (tangent)
      yields.push_back(tangent);
  }
  builder.setInsertionPointToEnd(made.linear);
  YieldOp::create(builder, function.getLoc(), yields);
  FailureOr<SmallVector<Residual>> residuals =
      bringResiduals(*made.linear, body);
  if (failed(residuals))
    return failure();
  made.residuals = std::move(*residuals);
  return success();
}

/// Where the derivative function, whose first arguments they are, has its
/// residuals from; makes `forward` return what is none of its own values.
static SmallVector<ResidualSource> provideResiduals(func::FuncOp forward,
                                                    ArrayRef<Value> residuals) {
  Operation *terminator = forward.getBody().front().getTerminator();
  SmallVector<Value> results(terminator->getOperands());
  size_t numResults = results.size();
  SmallVector<ResidualSource> sources;
  for (Value value : residuals) {
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      sources.push_back(
          {ResidualSource::Kind::Argument, argument.getArgNumber()});
      continue;
    }
    auto found = llvm::find(results, value);
    auto number = static_cast<unsigned>(found - results.begin());
    if (found == results.end())
      results.push_back(value);
    sources.push_back(
        number < numResults
            ? ResidualSource{ResidualSource::Kind::Result, number}
            : ResidualSource{ResidualSource::Kind::Kept,
                             number - static_cast<unsigned>(numResults)});
  }
  setResults(forward, results);
  eraseDeadOps(forward.getBody().front());
  return sources;
}

FailureOr<DerivativeFunctions> tessera::makeVjp(func::FuncOp function,
                                                const Differentiated &wanted,
                                                StringRef prefix) {
  Linearized made;
  if (failed(
          linearize(function, wanted, prefix, /*forTransposing=*/true, made)))
    return failure();
  func::FuncOp backward = addFunction(made.forward, prefix + ".bwd");
  Block &block = backward.getBody().front();
  OpBuilder builder = atEndOf(block, function.getContext());
  FormulaBuilder build = builderFor(function, builder);
  auto arguments =
      made.linear->getArguments().take_front(wanted.arguments.size());
  Transposer transposer(builder, *made.linear,
                        SmallVector<Value>(arguments.begin(), arguments.end()),
                        backward.getOperation());
  for (Residual residual : made.residuals)
    transposer.map(
        residual.inside,
        block.addArgument(residual.inside.getType(), residual.inside.getLoc()));
  SmallVector<Value> results =
      resultsOf(made.forward.getBody().front(), wanted);
  for (auto [result, place] : llvm::zip(results, made.tangents)) {
    Value cotangent =
        block.addArgument(openLike(build, result), result.getLoc());
    Value tangent =
        place ? made.linear->getTerminator()->getOperand(*place) : Value();
    if (tangent && transposer.isLinear(tangent))
      transposer.add(tangent, cotangent);
  }
  if (failed(transposer.run()))
    return failure();
  SmallVector<Value> cotangents;
  for (Value argument : arguments) {
    Value ct = transposer.cotangentOf(argument);
    cotangents.push_back(ct ? ct : zerosLike(build, argument));
  }
  setResults(backward, cotangents);
  widenGradients(block);
  eraseDeadOps(block);
  // What the transposed program does not need is not kept.
  SmallVector<Value> kept;
  for (unsigned i = 0, k = 0; i < made.residuals.size(); ++i) {
    if (block.getArgument(k).use_empty()) {
      block.eraseArgument(k);
      continue;
    }
    kept.push_back(made.residuals[i].primal);
    ++k;
  }
  setResults(backward,
             SmallVector<Value>(block.getTerminator()->getOperands()));
  DerivativeFunctions functions;
  functions.residuals = provideResiduals(made.forward, kept);
  functions.forward = made.forward;
  functions.derivative = backward;
  markBackward(backward);
  eraseMarks(functions.forward);
  eraseMarks(backward);
  return functions;
}

FailureOr<DerivativeFunctions>
tessera::makeLinearized(func::FuncOp function, const Differentiated &wanted,
                        StringRef prefix) {
  Linearized made;
  if (failed(
          linearize(function, wanted, prefix, /*forTransposing=*/false, made)))
    return failure();
  func::FuncOp linear = addFunction(made.forward, prefix + ".lin");
  Block &block = linear.getBody().front();
  OpBuilder builder = atEndOf(block, function.getContext());
  FormulaBuilder build = builderFor(function, builder);
  IRMapping mapping;
  SmallVector<Value> kept;
  auto addArgument = [&](BlockArgument argument) {
    mapping.map(argument,
                block.addArgument(argument.getType(), argument.getLoc()));
  };
  for (Residual residual : made.residuals) {
    addArgument(residual.inside);
    kept.push_back(residual.primal);
  }
  for (BlockArgument argument :
       made.linear->getArguments().take_front(wanted.arguments.size()))
    addArgument(argument);
  for (Operation &op : made.linear->without_terminator())
    builder.clone(op, mapping);
  SmallVector<Value> tangents;
  SmallVector<Value> results =
      resultsOf(made.forward.getBody().front(), wanted);
  for (auto [result, place] : llvm::zip(results, made.tangents))
    tangents.push_back(
        place ? mapping.lookup(made.linear->getTerminator()->getOperand(*place))
              : zerosLike(build, result));
  setResults(linear, tangents);
  DerivativeFunctions functions;
  functions.residuals = provideResiduals(made.forward, kept);
  functions.forward = made.forward;
  functions.derivative = linear;
  eraseMarks(functions.forward);
  eraseMarks(linear);
  return functions;
}

FailureOr<func::FuncOp> tessera::makeJvp(func::FuncOp function,
                                         const Differentiated &wanted,
                                         StringRef prefix) {
  if (failed(checkWanted(function, wanted)))
    return failure();
  FailureOr<func::FuncOp> copy = copyOf(function, prefix + ".jvp");
  if (failed(copy))
    return failure();
  Block &body = copy->getBody().front();
  OpBuilder builder(body.getTerminator());
  FormulaBuilder build = builderFor(function, builder);
  Linearizer linearizer(Form::Together, nullptr);
  for (unsigned i : wanted.arguments) {
    Value argument = body.getArgument(i);
    linearizer.setTangent(argument, body.addArgument(openLike(build, argument),
                                                     argument.getLoc()));
  }
  if (failed(linearizer.run(body, resultsOf(body, wanted))))
    return failure();
  SmallVector<Value> results(body.getTerminator()->getOperands());
  builder.setInsertionPoint(body.getTerminator());
  for (Value result : resultsOf(body, wanted)) {
    Value tangent = linearizer.tangentOf(result);
    results.push_back(tangent ? tangent : zerosLike(build, result));
  }
  setResults(*copy, results);
  eraseDeadOps(body);
  eraseMarks(*copy);
  return copy;
}
