// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Reproducible inputs for a function.
#include "dialects/Tessera/IR/Tessera.h"
#include "tessera/Interpreter/Interpreter.h"
#include "tessera/Interpreter/Philox.h"

using namespace mlir;
using namespace tessera;

/// The size of the dimension that `argument` indexes as operand of `op`; 0
/// where it does not.
template <typename OpTy>
static int64_t indexedSize(OpTy op, Value source, BlockArgument argument) {
  for (auto [indices, dim] : llvm::zip(op.getIndices(), op.getDims()))
    if (indices == argument)
      return shapeOf(source)[dim];
  return 0;
}

/// Integers below this are sensible values of `argument`: it may be an index.
static uint32_t integerBound(BlockArgument argument) {
  constexpr uint32_t defaultBound = 8;
  for (Operation *user : argument.getUsers()) {
    int64_t size = 0;
    if (auto gather = dyn_cast<GatherOp>(user))
      size = indexedSize(gather, gather.getSource(), argument);
    else if (auto scatter = dyn_cast<ScatterOp>(user))
      size = indexedSize(scatter, scatter.getInput(), argument);
    if (size > 0)
      return static_cast<uint32_t>(size);
  }
  return defaultBound;
}

FailureOr<std::vector<Tensor>> tessera::randomInputs(func::FuncOp function,
                                                     uint64_t seed) {
  FailureOr<std::vector<TensorSpec>> specs = inputSpecs(function);
  if (failed(specs))
    return failure();
  std::vector<Tensor> inputs;
  for (auto [argument, spec] : llvm::enumerate(*specs)) {
    Tensor input(spec.shape, spec.kind);
    uint32_t bound = 8;
    if (!function.isExternal())
      bound = integerBound(function.getArgument(argument));
    for (int64_t i = 0, n = input.size(); i < n; ++i) {
      uint32_t word = philox4x32(
          {static_cast<uint32_t>(i), static_cast<uint32_t>(argument), 0, 0},
          {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)})[0];
      if (isFloat(spec.kind))
        input.floats[i] = roundTo(spec.kind, word * 0x1p-31 - 1);
      else
        input.ints[i] = spec.kind == ElementKind::I1 ? word & 1 : word % bound;
    }
    inputs.push_back(std::move(input));
  }
  return inputs;
}

FailureOr<std::vector<Tensor>> tessera::iotaInputs(func::FuncOp function) {
  FailureOr<std::vector<TensorSpec>> specs = inputSpecs(function);
  if (failed(specs))
    return failure();
  std::vector<Tensor> inputs;
  for (const TensorSpec &spec : *specs) {
    Tensor input(spec.shape, spec.kind);
    for (int64_t i = 0, n = input.size(); i < n; ++i) {
      if (isFloat(spec.kind))
        input.floats[i] = roundTo(spec.kind, i);
      else
        input.ints[i] = wrapTo(spec.kind, i);
    }
    inputs.push_back(std::move(input));
  }
  return inputs;
}
