// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Loops and conditionals: all devices execute a region together, so whatever
// decides which one runs must be the same on all of them.
#include "dialects/Tessera/IR/Effects.h"
#include "lib/Interpreter/Evaluator.h"
#include "tessera/ABI/Format.h"

#include <atomic>

using namespace mlir;
using namespace tessera;
using namespace tessera::interpreter;

/// A loop that runs longer is taken for one that never ends.
static constexpr int64_t maxIterations = int64_t(1) << 20;

static LogicalResult failToEnd(Operation *op) {
  return op->emitOpError() << "runs for more than " << maxIterations
                           << " iterations, the most that the interpreter "
                              "executes";
}

std::vector<PerDevice> Evaluator::valuesOf(ValueRange range) {
  std::vector<PerDevice> result;
  for (Value value : range)
    result.push_back(values.at(value));
  return result;
}

void Evaluator::bind(ValueRange range, std::vector<PerDevice> all) {
  for (auto [value, data] : llvm::zip_equal(range, all))
    values[value] = std::move(data);
}

FailureOr<int64_t> Evaluator::controlValue(Operation *op, Value value,
                                           StringRef what) {
  const PerDevice &all = values.at(value);
  for (auto [device, other] : llvm::enumerate(all))
    if (!sameElement(all[0], 0, other, 0)) {
      InFlightDiagnostic error =
          op->emitOpError()
          << "has a " << what << " that differs by device: " << all[0].ints[0]
          << " on device 0, " << other.ints[0] << " on device " << device;
      error.attachNote(value.getLoc()) << "it is computed here; all devices "
                                          "must take the same path";
      return failure();
    }
  return all[0].ints[0];
}

FailureOr<std::vector<PerDevice>> Evaluator::evaluateBlock(Block &block) {
  for (Operation &op : block) {
    if (isa<func::ReturnOp, YieldOp>(op))
      return valuesOf(op.getOperands());
    if (failed(evaluate(&op)))
      return failure();
    dropDeadOperands(&op);
  }
  return block.getParentOp()->emitOpError()
         << "cannot be evaluated: a block of it does not return";
}

/// Values are dropped after their last use in the block that defines them, so
/// that a long program needs only what is live. What a region captures may be
/// used by the next iteration.
void Evaluator::dropDeadOperands(Operation *op) {
  Block *block = op->getBlock();
  for (Value operand : op->getOperands()) {
    if (operand.getParentBlock() != block)
      continue;
    bool isLive = llvm::any_of(operand.getUsers(), [&](Operation *user) {
      Operation *inBlock = block->findAncestorOpInBlock(*user);
      return inBlock && op->isBeforeInBlock(inBlock);
    });
    if (!isLive)
      values.erase(operand);
  }
}

/// Zeros of the results' types, to be filled slice by slice.
static std::vector<PerDevice> emptyStacks(ValueRange results,
                                          int64_t numDevices) {
  std::vector<PerDevice> stacks;
  for (Value result : results) {
    Tensor zeros(shapeVector(result.getType()),
                 *elementKindOf(getElementTypeOrSelf(result.getType())));
    stacks.emplace_back(numDevices, zeros);
  }
  return stacks;
}

LogicalResult Evaluator::evaluateScan(ScanOp op) {
  unsigned numCarried = op.getNumCarried();
  auto length = static_cast<int64_t>(op.getLength());
  if (length > maxIterations)
    return failToEnd(op);
  std::vector<PerDevice> carried = valuesOf(op.getInits());
  std::vector<PerDevice> sequences = valuesOf(op.getSequences());
  ValueRange stackedResults = op.getResults().drop_front(numCarried);
  std::vector<PerDevice> stacks = emptyStacks(stackedResults, numDevices());
  for (int64_t step = 0; step < length; ++step) {
    int64_t i = op.getReverse() ? length - 1 - step : step;
    values[op.getIndex()] = PerDevice(numDevices(), Tensor::scalar(i));
    for (unsigned k = 0; k < numCarried; ++k)
      values[op.getCarried(k)] = std::move(carried[k]);
    for (auto [k, sequence] : llvm::enumerate(sequences)) {
      PerDevice slices;
      for (const Tensor &whole : sequence)
        slices.push_back(leadingSlice(whole, i));
      values[op.getSlice(k)] = std::move(slices);
    }
    FailureOr<std::vector<PerDevice>> yielded = evaluateBlock(op.getBlock());
    if (failed(yielded))
      return failure();
    for (unsigned k = 0; k < numCarried; ++k)
      carried[k] = std::move((*yielded)[k]);
    for (auto [k, stack] : llvm::enumerate(stacks))
      for (auto [device, target] : llvm::enumerate(stack))
        setLeadingSlice(target, i, (*yielded)[numCarried + k][device]);
  }
  bind(op.getResults().take_front(numCarried), std::move(carried));
  bind(stackedResults, std::move(stacks));
  return success();
}

LogicalResult Evaluator::evaluateWhile(WhileOp op) {
  std::vector<PerDevice> carried = valuesOf(op.getInits());
  for (int64_t step = 0; step <= maxIterations; ++step) {
    bind(op.getCondition().getArguments(), carried);
    FailureOr<std::vector<PerDevice>> condition =
        evaluateBlock(op.getCondition().front());
    if (failed(condition))
      return failure();
    Value predicate = op.getConditionYield()->getOperand(0);
    values[predicate] = std::move(condition->front());
    FailureOr<int64_t> goesOn = controlValue(op, predicate, "predicate");
    if (failed(goesOn))
      return failure();
    if (*goesOn == 0) {
      bind(op.getResults(), std::move(carried));
      return success();
    }
    bind(op.getBody().getArguments(), std::move(carried));
    FailureOr<std::vector<PerDevice>> next =
        evaluateBlock(op.getBody().front());
    if (failed(next))
      return failure();
    carried = std::move(*next);
  }
  return failToEnd(op);
}

LogicalResult Evaluator::evaluateCond(CondOp op) {
  FailureOr<int64_t> selector = controlValue(op, op.getSelector(), "selector");
  if (failed(selector))
    return failure();
  auto last = static_cast<int64_t>(op.getBranches().size()) - 1;
  int64_t branch = std::clamp<int64_t>(*selector, 0, last);
  FailureOr<std::vector<PerDevice>> results =
      evaluateBlock(op.getBranches()[branch].front());
  if (failed(results))
    return failure();
  bind(op.getResults(), std::move(*results));
  return success();
}

//===----------------------------------------------------------------------===//
// Effects
//===----------------------------------------------------------------------===//

/// `format` with the values that device 0 holds in its places.
static std::string formatted(StringRef format, ArrayRef<PerDevice> values) {
  // The verifier counted the places.
  std::vector<std::string> parts = *abi::splitFormat(format);
  std::string text = parts.front();
  for (auto [value, part] :
       llvm::zip_equal(values, ArrayRef(parts).drop_front()))
    text += toString(value.front()) + part;
  return text;
}

static std::atomic<PrintSink> printSink{nullptr};

void tessera::setPrintSink(PrintSink sink) { printSink = sink; }

LogicalResult Evaluator::evaluateEffect(Operation *op) {
  if (auto print = dyn_cast<DebugPrintOp>(op)) {
    std::string line =
        formatted(print.getFormat(), valuesOf(print.getValues()));
    if (PrintSink sink = printSink) {
      if (sink(line.data(), line.size()))
        return op->emitOpError() << "could not write '" << line << "'";
      return success();
    }
    // Now, beside what others in the process print.
    llvm::outs() << line << "\n";
    llvm::outs().flush();
    return success();
  }
  auto check = cast<DebugCheckOp>(op);
  for (const Tensor &predicate : values.at(check.getPredicate()))
    if (llvm::is_contained(predicate.ints, 0))
      return op->emitOpError()
             << "failed: "
             << formatted(check.getMessage(), valuesOf(check.getValues()));
  return success();
}

bool Evaluator::evaluateRegionsOrEffects(Operation *op, LogicalResult &result) {
  if (auto scan = dyn_cast<ScanOp>(op))
    result = evaluateScan(scan);
  else if (auto loop = dyn_cast<WhileOp>(op))
    result = evaluateWhile(loop);
  else if (auto cond = dyn_cast<CondOp>(op))
    result = evaluateCond(cond);
  else if (isa<DebugPrintOp, DebugCheckOp>(op))
    result = evaluateEffect(op);
  else if (auto barrier = dyn_cast<BarrierOp>(op))
    bind(barrier.getResults(), valuesOf(barrier.getInputs()));
  else
    return false;
  return true;
}
