// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Vectorize.h"

#include "Batcher.h"
#include "dialects/Tessera/IR/Calls.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::batching;

/// A copy whose calls are expanded, but for those that say how they are
/// differentiated.
static FailureOr<func::FuncOp> withoutPlainCalls(func::FuncOp function) {
  func::FuncOp copy = function.clone();
  OpBuilder builder(function->getContext());
  builder.setInsertionPointAfter(function);
  builder.insert(copy);
  auto isPlain = [](CallOp call) {
    return !call.hasRule() && !call.getCheckpoint();
  };
  if (succeeded(inlineCalls(copy, isPlain)))
    return copy;
  copy.erase();
  return failure();
}

/// An empty function with the arguments of `from`, some of them batched.
static func::FuncOp addFunction(func::FuncOp from, Operation *after,
                                StringRef name, ArrayRef<bool> arguments,
                                Batcher &batcher) {
  OpBuilder builder(after->getContext());
  builder.setInsertionPointAfter(after);
  auto function =
      func::FuncOp::create(builder, from.getLoc(), name,
                           FunctionType::get(after->getContext(), {}, {}));
  function.setPrivate();
  Block &block = function.getBody().emplaceBlock();
  for (auto [argument, isBatched] : llvm::zip(from.getArguments(), arguments)) {
    Type type = argument.getType();
    batcher.set(argument,
                block.addArgument(isBatched ? batcher.batchedType(type) : type,
                                  argument.getLoc()),
                isBatched);
  }
  return function;
}

/// What the function returns for `value`.
static std::pair<Value, bool> resultFor(Value value, BatchedResult wanted,
                                        Batcher &batcher, Location loc) {
  FormulaBuilder build(batcher.getBuilder(), loc, value.getType());
  Value copy = batcher.get(value);
  bool isBatched = batcher.isBatched(value);
  if (wanted == BatchedResult::Batched && !isBatched)
    return {build.repeat(copy, withFront(batcher.getSize(), shapeOf(copy)), 0),
            true};
  if (wanted == BatchedResult::Summed && isBatched)
    return {build.reduce(dist::ReductionKind::sum, copy, 0), false};
  return {copy, isBatched};
}

FailureOr<BatchedFunction>
BatchedFunctions::make(FunctionOpInterface callee, StringRef name,
                       ArrayRef<bool> arguments,
                       ArrayRef<BatchedResult> results) {
  auto original = dyn_cast<func::FuncOp>(callee.getOperation());
  if (!original || original.isExternal())
    return callee.emitError() << "function @" << callee.getName()
                              << " has no body to compute a batch of";
  if (arguments.size() != original.getNumArguments())
    return original.emitError() << "function @" << original.getName() << " has "
                                << original.getNumArguments()
                                << " arguments; expected " << arguments.size();
  FailureOr<func::FuncOp> from = withoutPlainCalls(original);
  if (failed(from))
    return failure();
  OpBuilder builder(original->getContext());
  Batcher batcher(builder, *this);
  func::FuncOp function = addFunction(*from, last, name, arguments, batcher);
  made.push_back(function);
  last = function;
  Block &block = function.getBody().front();
  builder.setInsertionPointToEnd(&block);
  Block &body = from->getBody().front();
  LogicalResult isRun = batcher.run(body);
  BatchedFunction result;
  SmallVector<Value> values;
  if (succeeded(isRun))
    for (auto [i, value] :
         llvm::enumerate(body.getTerminator()->getOperands())) {
      auto [copy, isBatched] = resultFor(
          value, i < results.size() ? results[i] : BatchedResult::AsComputed,
          batcher, original.getLoc());
      values.push_back(copy);
      result.results.push_back(isBatched);
    }
  Location end = body.getTerminator()->getLoc();
  from->erase();
  if (failed(isRun))
    return failure();
  func::ReturnOp::create(builder, end, values);
  function.setFunctionType(FunctionType::get(function.getContext(),
                                             block.getArgumentTypes(),
                                             ValueRange(values).getTypes()));
  result.function = function;
  return result;
}

std::string BatchedFunctions::newName() {
  unsigned number = numNames++;
  return number ? prefix + "." + std::to_string(number) : prefix;
}

/// A function and how it is batched.
static std::string keyOf(FunctionOpInterface callee, ArrayRef<bool> arguments,
                         ArrayRef<BatchedResult> results) {
  std::string key = callee.getName().str() + ":";
  for (bool isBatched : arguments)
    key += isBatched ? '1' : '0';
  key += ':';
  for (BatchedResult result : results)
    key += std::to_string(static_cast<int>(result));
  return key;
}

FailureOr<BatchedFunction>
BatchedFunctions::get(Operation *from, FunctionOpInterface callee,
                      ArrayRef<bool> arguments, ArrayRef<BatchedResult> results,
                      StringRef name) {
  auto [entry, isNew] = known.try_emplace(keyOf(callee, arguments, results));
  Known &found = entry->second;
  bool isWanted = name.empty() || found.name == name;
  if (!isNew && isWanted) {
    if (found.made.function)
      return found.made;
    return from->emitError() << "calls function @" << callee.getName()
                             << ", in which it is itself";
  }
  std::string own = name.empty() ? newName() : name.str();
  if (isNew)
    found.name = own;
  FailureOr<BatchedFunction> function = make(callee, own, arguments, results);
  if (succeeded(function) && isNew)
    found.made = *function;
  return function;
}

std::optional<StringRef>
BatchedFunctions::findName(FunctionOpInterface callee, ArrayRef<bool> arguments,
                           ArrayRef<BatchedResult> results) const {
  auto found = known.find(keyOf(callee, arguments, results));
  if (found == known.end())
    return std::nullopt;
  return StringRef(found->second.name);
}

bool BatchedFunctions::isBeingMade(FunctionOpInterface callee,
                                   ArrayRef<bool> arguments,
                                   ArrayRef<BatchedResult> results) const {
  auto found = known.find(keyOf(callee, arguments, results));
  return found != known.end() && !found->second.made.function;
}

FailureOr<BatchedFunction> tessera::makeBatched(func::FuncOp function,
                                                ArrayRef<bool> arguments,
                                                BatchedResult results,
                                                const BatchOptions &options,
                                                StringRef prefix) {
  if (options.size < 1)
    return function.emitError()
           << "a batch has " << options.size << " entries; expected at least 1";
  if (!function.isExternal() && !llvm::hasSingleElement(function.getBody()))
    return function.emitError()
           << "function @" << function.getName()
           << " has branches between blocks; expected tessera.cond and loops";
  for (auto [i, type, isBatched] :
       llvm::enumerate(function.getArgumentTypes(), arguments))
    if (isBatched && !isProgramTensor(type))
      return function.emitError()
             << "argument " << i << " of function @" << function.getName()
             << " is a " << type << "; expected a tensor of static shape";
  BatchedFunctions functions(function, options, prefix);
  SmallVector<BatchedResult> wanted(function.getNumResults(), results);
  FailureOr<BatchedFunction> result =
      functions.get(function, function, arguments, wanted);
  if (failed(result)) {
    for (func::FuncOp made : llvm::reverse(functions.getMade()))
      made.erase();
    return failure();
  }
  result->called.assign(functions.getMade().begin() + 1,
                        functions.getMade().end());
  return result;
}
