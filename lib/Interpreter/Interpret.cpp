// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/DataFlow.h"
#include "lib/Interpreter/Signature.h"
#include "tessera/Interpreter/Interpreter.h"
#include "tessera/Interpreter/Passes.h"

#include "llvm/Support/Format.h"

namespace tessera {
#define GEN_PASS_DEF_INTERPRET
#include "lib/Interpreter/Passes.h.inc"
} // namespace tessera

using namespace mlir;
using namespace tessera;
using namespace tessera::interpreter;

static void printResult(func::FuncOp function, unsigned i, StringRef where,
                        const Tensor &value) {
  llvm::outs() << "@" << function.getSymName() << " result " << i << where
               << ": " << toString(value.shape, value.kind) << " = "
               << toString(value) << "\n";
}

static bool isSame(const Tensor &a, const Tensor &b) {
  for (int64_t i = 0, n = a.size(); i < n; ++i)
    if (!sameElement(a, i, b, i))
      return false;
  return true;
}

static void printPerDevice(func::FuncOp function, unsigned i,
                           const PerDevice &values) {
  bool agree = llvm::all_of(
      values, [&](const Tensor &value) { return isSame(value, values[0]); });
  if (agree)
    return printResult(function, i, "", values[0]);
  for (auto [device, value] : llvm::enumerate(values))
    printResult(function, i, " on device " + std::to_string(device), value);
}

/// Whether what the function's devices give need not be parts of whole tensors.
static bool givesLocalValues(func::FuncOp function) {
  if (interpretModeOf(function) == InterpretMode::Logical)
    return false;
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (argumentOf(function, i).layout)
      return false;
  for (unsigned i = 0; i < function.getNumResults(); ++i)
    if (resultOf(function, i).layout)
      return false;
  return true;
}

namespace {
struct InterpretPass : tessera::impl::InterpretBase<InterpretPass> {
  using InterpretBase::InterpretBase;

  FailureOr<std::vector<Tensor>> makeInputs(func::FuncOp op) {
    if (op.getNumArguments() == 0)
      return std::vector<Tensor>();
    if (inputs == "iota")
      return iotaInputs(op);
    return randomInputs(op, seed);
  }

  LogicalResult run(func::FuncOp op) {
    FailureOr<std::vector<Tensor>> arguments = makeInputs(op);
    if (failed(arguments))
      return failure();
    InterpretStats counts;
    if (givesLocalValues(op)) {
      FailureOr<Mesh> mesh = meshOf(op);
      if (failed(mesh))
        return failure();
      std::vector<PerDevice> parts;
      for (const Tensor &argument : *arguments)
        parts.emplace_back(mesh->numDevices(), argument);
      auto results = interpretOnDevices(op, parts, &counts);
      if (failed(results))
        return failure();
      for (auto [i, result] : llvm::enumerate(*results))
        printPerDevice(op, i, result);
    } else {
      auto results = interpret(op, *arguments, &counts);
      if (failed(results))
        return failure();
      for (auto [i, result] : llvm::enumerate(*results))
        printResult(op, i, "", result);
    }
    if (!stats)
      return success();
    for (const auto &[name, count] : counts.collectives)
      llvm::outs() << "@" << op.getSymName() << " " << name << ": " << count
                   << "\n";
    llvm::outs() << "@" << op.getSymName()
                 << " bytes sent: " << llvm::format("%g", counts.bytesSent)
                 << "\n";
    return success();
  }

  void runOnOperation() override {
    if (failed(verifyRegionsAreKnown(getOperation(), getArgument())))
      return signalPassFailure();
    if (inputs != "" && inputs != "random" && inputs != "iota") {
      getOperation().emitError() << "tessera-interpret: unknown inputs '"
                                 << inputs << "'; valid: random, iota";
      return signalPassFailure();
    }
    bool found = false;
    for (auto op : getOperation().getOps<func::FuncOp>()) {
      bool isWanted = function.empty()
                          ? op.isPublic() && !op.isExternal() &&
                                (op.getNumArguments() == 0 || inputs != "")
                          : op.getSymName() == function;
      if (!isWanted)
        continue;
      found = true;
      if (failed(run(op)))
        return signalPassFailure();
    }
    if (!function.empty() && !found) {
      getOperation().emitError()
          << "tessera-interpret: no function @" << function;
      return signalPassFailure();
    }
    llvm::outs().flush();
    markAllAnalysesPreserved();
  }
};
} // namespace
