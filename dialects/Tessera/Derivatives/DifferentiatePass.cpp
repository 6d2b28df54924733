// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Differentiate.h"
#include "Rules.h"
#include "dialects/Tessera/Derivatives/Passes.h"
#include "dialects/Tessera/IR/Calls.h"

namespace tessera {
#define GEN_PASS_DEF_DIFFERENTIATE
#include "dialects/Tessera/Derivatives/Passes.h.inc"
} // namespace tessera

using namespace mlir;
using namespace tessera;
using namespace tessera::derivatives;

/// @f.grad: results, then the gradient of the first.
static LogicalResult makeGradient(func::FuncOp function,
                                  ArrayRef<unsigned> arguments,
                                  StringRef prefix) {
  if (function.getNumResults() == 0 ||
      !cast<ShapedType>(function.getResultTypes()[0]).getShape().empty() ||
      !isa<FloatType>(getElementTypeOrSelf(function.getResultTypes()[0])))
    return function.emitError()
           << "mode grad expects a function whose first result is a float "
              "scalar; mode vjp takes any";
  // By the other results the gradient is not zero times a slope, but nothing.
  Differentiated wanted = {SmallVector<unsigned>(arguments), {0}};
  FailureOr<DerivativeFunctions> made = makeVjp(function, wanted, prefix);
  if (failed(made))
    return failure();
  OpBuilder builder(function->getContext());
  builder.setInsertionPointAfter(function);
  auto gradient =
      func::FuncOp::create(builder, function.getLoc(), (prefix + ".grad").str(),
                           FunctionType::get(function.getContext(),
                                             function.getArgumentTypes(), {}));
  Block *block = gradient.addEntryBlock();
  builder.setInsertionPointToEnd(block);
  FormulaBuilder build(builder, function.getLoc(),
                       function.getResultTypes().front());
  SmallVector<Value> values =
      cloneBody(made->forward, block->getArguments(), builder);
  SmallVector<Value> operands;
  for (ResidualSource source : made->residuals)
    switch (source.kind) {
    case ResidualSource::Kind::Argument:
      operands.push_back(block->getArgument(source.number));
      break;
    case ResidualSource::Kind::Result:
      operands.push_back(values[source.number]);
      break;
    case ResidualSource::Kind::Kept:
      operands.push_back(values[function.getNumResults() + source.number]);
      break;
    }
  values.resize(function.getNumResults());
  operands.push_back(build.numberLike(1, values.front()));
  llvm::append_range(values, cloneBody(made->derivative, operands, builder));
  func::ReturnOp::create(builder, function.getLoc(), values);
  gradient.setFunctionType(FunctionType::get(function.getContext(),
                                             function.getArgumentTypes(),
                                             ValueRange(values).getTypes()));
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (Attribute name = function.getArgAttr(i, "tessera.name"))
      gradient.setArgAttr(i, "tessera.name", name);
  made->forward.erase();
  made->derivative.erase();
  return success();
}

static void describe(DerivativeFunctions &made) {
  for (auto [i, source] : llvm::enumerate(made.residuals)) {
    StringRef what = source.kind == ResidualSource::Kind::Argument ? "argument "
                     : source.kind == ResidualSource::Kind::Result
                         ? "result "
                         : "kept value ";
    mlir::emitRemark(made.derivative.getLoc())
        << "residual " << i << " of @" << made.derivative.getName() << " is "
        << what << source.number;
  }
}

namespace {
struct DifferentiatePass : tessera::impl::DifferentiateBase<DifferentiatePass> {
  using DifferentiateBase::DifferentiateBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (failed(verifyRegionsAreKnown(module, getArgument())))
      return signalPassFailure();
    auto target = module.lookupSymbol<func::FuncOp>(function);
    if (!target) {
      module.emitError() << "there is no function @" << function
                         << " to differentiate";
      return signalPassFailure();
    }
    Differentiated wanted;
    llvm::append_range(wanted.arguments, wrt);
    if (wanted.arguments.empty())
      for (auto [i, argument] : llvm::enumerate(target.getArguments()))
        if (isDifferentiable(argument))
          wanted.arguments.push_back(i);
    llvm::append_range(wanted.results, of);
    if (wanted.results.empty())
      wanted.results = floatResults(target);
    if (failed(run(target, wanted)))
      signalPassFailure();
  }

private:
  LogicalResult run(func::FuncOp target, const Differentiated &wanted) {
    if (mode == "grad")
      return makeGradient(target, wanted.arguments, function);
    if (mode == "jvp")
      return makeJvp(target, wanted, function);
    if (mode != "vjp" && mode != "linearize")
      return target.emitError() << "mode is '" << mode
                                << "'; expected vjp, linearize, jvp or grad";
    FailureOr<DerivativeFunctions> made =
        mode == "vjp" ? makeVjp(target, wanted, function)
                      : makeLinearized(target, wanted, function);
    if (failed(made))
      return failure();
    describe(*made);
    return success();
  }
};
} // namespace
