// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Interpreter/Evaluator.h"
#include "dialects/Tessera/IR/Calls.h"
#include "lib/Interpreter/Signature.h"
#include "tessera/Analysis/MeshGroups.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::dist;
using namespace tessera::interpreter;

static Shape resultShape(Operation *op) {
  return shapeVector(op->getResult(0).getType());
}

static ElementKind resultKind(Operation *op) {
  return *elementKindOf(getElementTypeOrSelf(op->getResult(0).getType()));
}

//===----------------------------------------------------------------------===//
// Ops that each device executes on its own
//===----------------------------------------------------------------------===//

static std::optional<Unary> unaryOf(Operation *op) {
  return llvm::TypeSwitch<Operation *, std::optional<Unary>>(op)
#define TESSERA_UNARY(NAME, ...) .Case([](NAME##Op) { return Unary::NAME; })
#include "dialects/Tessera/IR/ElementwiseTable.inc"
      .Case([](GeluOp gelu) {
        return gelu.getApproximation() == GeluApproximation::none
                   ? Unary::GeluErf
                   : Unary::GeluTanh;
      })
      .Default(std::nullopt);
}

static std::optional<Binary> binaryOf(Operation *op) {
  return llvm::TypeSwitch<Operation *, std::optional<Binary>>(op)
#define TESSERA_BINARY(NAME, ...) .Case([](NAME##Op) { return Binary::NAME; })
#include "dialects/Tessera/IR/ElementwiseTable.inc"
      .Default(std::nullopt);
}

static Comparison comparisonOf(CompareDirection direction) {
  switch (direction) {
  case CompareDirection::eq:
    return Comparison::Eq;
  case CompareDirection::ne:
    return Comparison::Ne;
  case CompareDirection::lt:
    return Comparison::Lt;
  case CompareDirection::le:
    return Comparison::Le;
  case CompareDirection::gt:
    return Comparison::Gt;
  case CompareDirection::ge:
    return Comparison::Ge;
  }
  llvm_unreachable("unknown comparison");
}

static Distribution distributionOf(RngDistribution distribution) {
  switch (distribution) {
  case RngDistribution::uniform:
    return Distribution::Uniform;
  case RngDistribution::normal:
    return Distribution::Normal;
  case RngDistribution::bits:
    return Distribution::Bits;
  }
  llvm_unreachable("unknown distribution");
}

static AttentionPart partOf(AttentionOperand operand) {
  switch (operand) {
  case AttentionOperand::query:
    return AttentionPart::Query;
  case AttentionOperand::key:
    return AttentionPart::Key;
  case AttentionOperand::value:
    return AttentionPart::Value;
  }
  llvm_unreachable("unknown operand");
}

/// The element that a pad op surrounds its input with.
static Tensor padElement(PadOp op, ElementKind kind) {
  TypedAttr value = op.getValue();
  if (auto number = dyn_cast<FloatAttr>(value))
    return Tensor::fromFloats({}, kind, {number.getValueAsDouble()});
  APInt number = cast<IntegerAttr>(value).getValue();
  return Tensor::fromInts(
      {}, kind,
      {static_cast<int64_t>(kind == ElementKind::I1 ? number.getZExtValue()
                                                    : number.getSExtValue())});
}

static Update updateOf(ScatterKind kind) {
  switch (kind) {
  case ScatterKind::set:
    return Update::Set;
  case ScatterKind::add:
    return Update::Add;
  case ScatterKind::max:
    return Update::Max;
  case ScatterKind::min:
    return Update::Min;
  }
  llvm_unreachable("unknown scatter");
}

std::vector<const Tensor *> Evaluator::tensorsOf(ValueRange list,
                                                 int64_t device) {
  std::vector<const Tensor *> tensors;
  for (Value value : list)
    tensors.push_back(&get(value, device));
  return tensors;
}

std::vector<int64_t> Evaluator::scalarsOf(ValueRange scalars, int64_t device) {
  std::vector<int64_t> numbers;
  for (Value scalar : scalars)
    numbers.push_back(get(scalar, device).ints[0]);
  return numbers;
}

FailureOr<Tensor> Evaluator::evaluateLocal(Operation *op, int64_t device) {
  auto in = [&](unsigned i) -> const Tensor & {
    return get(op->getOperand(i), device);
  };
  if (std::optional<Unary> kind = unaryOf(op))
    return unary(*kind, in(0));
  if (std::optional<Binary> kind = binaryOf(op))
    return binary(*kind, in(0), in(1));
  return llvm::TypeSwitch<Operation *, FailureOr<Tensor>>(op)
      .Case([&](CompareOp op) {
        return compare(comparisonOf(op.getDirection()), in(0), in(1));
      })
      .Case([&](SelectOp) { return select(in(0), in(1), in(2)); })
      .Case([&](ConvertOp op) { return convert(in(0), resultKind(op)); })
      .Case([&](ContractOp op) {
        ContractOp::Indices spec = op.getIndices();
        return contract(in(0), in(1), spec.lhs, spec.rhs, spec.out,
                        resultKind(op));
      })
      .Case([&](ReduceOp op) {
        return reduce(toReduceKind(op.getKind()), in(0), op.getDims().vec());
      })
      .Case([&](CumulativeOp op) {
        return cumulative(toReduceKind(op.getKind()), in(0), op.getDim(),
                          op.getExclusive(), op.getReverse());
      })
      .Case([&](SoftmaxOp op) { return softmax(in(0), op.getDim()); })
      .Case([&](LogsumexpOp op) {
        return logSumExp(in(0), op.getDim(), resultKind(op));
      })
      .Case([&](CrossEntropyOp op) {
        CrossEntropyOptions options = {op.getSmoothing().convertToDouble(),
                                       op.getZLoss().convertToDouble(),
                                       op.getIgnore()};
        return crossEntropy(in(0), in(1), options, resultKind(op));
      })
      .Case([&](NormTangentOp op) {
        return normTangent(in(0), in(1), op.getEpsilon().convertToDouble(),
                           op.getCentred());
      })
      .Case([&](LayerNormOp op) {
        return layerNorm(in(0), in(1), in(2),
                         op.getEpsilon().convertToDouble());
      })
      .Case([&](RmsNormOp op) {
        return rmsNorm(in(0), in(1), op.getEpsilon().convertToDouble());
      })
      .Case([&](AttentionOp op) {
        const Tensor *bias = op.getBias() ? &in(3) : nullptr;
        return attention(in(0), in(1), in(2), bias,
                         op.getScale().convertToDouble(), op.getCausal());
      })
      .Case([&](AttentionLogsumexpOp op) {
        const Tensor *bias = op.getBias() ? &in(2) : nullptr;
        return attentionLogsumexp(in(0), in(1), bias,
                                  op.getScale().convertToDouble(),
                                  op.getCausal(), resultKind(op));
      })
      .Case([&](AttentionGradientOp op) {
        const Tensor *bias = op.getBias() ? &in(6) : nullptr;
        return attentionGradient(partOf(op.getOf()),
                                 {in(0), in(1), in(2), in(3), in(4), in(5)},
                                 bias, op.getScale().convertToDouble(),
                                 op.getCausal(), resultKind(op));
      })
      .Case([&](ReshapeOp op) { return reshape(in(0), resultShape(op)); })
      .Case([&](TransposeOp op) {
        return transpose(in(0), op.getPermutation().vec());
      })
      .Case([&](BroadcastOp op) {
        return broadcast(in(0), op.getDims().vec(), resultShape(op));
      })
      .Case([&](SliceOp op) {
        return slice(in(0), op.getStarts().vec(), op.getLimits().vec(),
                     op.getStrides().vec());
      })
      .Case([&](ConcatenateOp op) {
        std::vector<const Tensor *> inputs;
        for (unsigned i = 0; i < op->getNumOperands(); ++i)
          inputs.push_back(&in(i));
        return concatenate(inputs, op.getDim());
      })
      .Case([&](PadOp op) {
        return pad(in(0), op.getLow().vec(), op.getHigh().vec(),
                   padElement(op, resultKind(op)));
      })
      .Case([&](DynamicSliceOp op) {
        return dynamicSlice(in(0), scalarsOf(op.getStarts(), device),
                            resultShape(op));
      })
      .Case([&](DynamicUpdateSliceOp op) {
        return dynamicUpdateSlice(in(0), scalarsOf(op.getStarts(), device),
                                  get(op.getUpdate(), device));
      })
      .Case([&](GatherOp op) {
        return gather(in(0), tensorsOf(op.getIndices(), device),
                      op.getIndexedDims(), resultShape(op));
      })
      .Case([&](ScatterOp op) {
        return scatter(updateOf(op.getKind()), in(0),
                       tensorsOf(op.getIndices(), device),
                       get(op.getUpdates(), device), op.getIndexedDims());
      })
      .Case([&](ArgsortOp op) {
        return argsort(in(0), op.getDim(), op.getDescending());
      })
      .Case([&](ConstantOp op) -> FailureOr<Tensor> {
        FailureOr<Tensor> value = tensorOf(op.getValue(), resultShape(op));
        if (failed(value))
          return op.emitOpError() << "cannot be evaluated: its elements are "
                                     "neither dense nor a resource of the "
                                     "result's size";
        return value;
      })
      .Case([&](IotaOp op) {
        int64_t offset = op.getOffset() ? in(0).ints[0] : 0;
        return iota(resultShape(op), resultKind(op), op.getDim(), offset);
      })
      .Case([&](RngOp op) {
        std::vector<int64_t> offsets(resultShape(op).size(), 0);
        for (auto [i, offset] : llvm::enumerate(op.getOffsets()))
          offsets[i] = get(offset, device).ints[0];
        return random(distributionOf(op.getDistribution()), in(0),
                      op.getGlobalShape().vec(), offsets, resultShape(op),
                      resultKind(op));
      })
      // The logical value stays as it is.
      .Case<ConstrainOp, ReshardOp, StopGradientOp, CheckpointNameOp>(
          [&](Operation *) { return in(0); })
      .Default([](Operation *op) -> FailureOr<Tensor> {
        InFlightDiagnostic error = op->emitOpError()
                                   << "has no meaning to the interpreter";
        error.attachNote() << "it evaluates the tessera and dist dialects and "
                              "func.call; run it before the op is made";
        return failure();
      });
}

//===----------------------------------------------------------------------===//
// Ops of the dist dialect
//===----------------------------------------------------------------------===//

static PerDevice perDevice(int64_t count,
                           llvm::function_ref<int64_t(int64_t)> compute) {
  PerDevice results;
  for (int64_t device = 0; device < count; ++device)
    results.push_back(Tensor::scalar(compute(device)));
  return results;
}

FailureOr<PerDevice> Evaluator::evaluateDist(Operation *op) {
  if (!mesh)
    return op->emitOpError()
           << "acts on devices, but the function holds mesh tensors, which are "
              "evaluated as logical values";
  int64_t n = numDevices();
  auto in = [&]() -> const PerDevice & { return values[op->getOperand(0)]; };
  auto outSize = [&](int64_t dim) { return resultShape(op)[dim]; };
  return llvm::TypeSwitch<Operation *, FailureOr<PerDevice>>(op)
      .Case([&](AxisIndexOp op) {
        return perDevice(n, [&](int64_t device) {
          return indexAlong(op.getAxes().getValue(), *mesh, device);
        });
      })
      .Case([&](ValidExtentOp op) {
        return perDevice(n, [&](int64_t device) {
          return localInterval(op.getSize(), op.getAxes().getValue(), *mesh,
                               device)
              .valid;
        });
      })
      .Case([&](LocalOffsetOp op) {
        return perDevice(n, [&](int64_t device) {
          return localInterval(op.getSize(), op.getAxes().getValue(), *mesh,
                               device)
              .begin;
        });
      })
      .Case([&](AllReduceOp op) {
        return allReduce(toReduceKind(op.getKind()), in(),
                         op.getAxes().getValue(), *mesh);
      })
      .Case([&](AllGatherOp op) {
        return allGather(in(), op.getDim(), outSize(op.getDim()),
                         op.getAxes().getValue(), *mesh);
      })
      .Case([&](AllSliceOp op) {
        return allSlice(in(), op.getDim(), op.getAxes().getValue(), *mesh);
      })
      .Case([&](ReduceScatterOp op) {
        const std::vector<AxisRef> &axes = op.getAxes().getValue();
        return allSlice(
            allReduce(toReduceKind(op.getKind()), in(), axes, *mesh),
            op.getDim(), axes, *mesh);
      })
      .Case([&](AllToAllOp op) {
        const std::vector<AxisRef> &axes = op.getAxes().getValue();
        int64_t concat = op.getConcatDim();
        return allSlice(allGather(in(), concat, outSize(concat), axes, *mesh),
                        op.getSplitDim(), axes, *mesh);
      })
      .Case([&](PermuteOp op) { return permute(in(), op.getTargetsOn(*mesh)); })
      .Default([](Operation *op) -> FailureOr<PerDevice> {
        return op->emitOpError() << "has no meaning to the interpreter";
      });
}

void Evaluator::countCollective(Operation *op) {
  std::optional<CollectiveKind> kind = getCollectiveKind(op);
  if (!kind || *kind == CollectiveKind::AllSlice)
    return;
  ++stats.collectives[op->getName().getStringRef().str()];
  auto axes = op->getAttrOfType<AxesAttr>("axes");
  stats.bytesSent += collectiveBytes(
      *kind, axes ? groupSize(axes.getValue(), *mesh) : numDevices(),
      static_cast<int64_t>(get(op->getOperand(0), 0).bytes()));
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

LogicalResult Evaluator::evaluateCall(Operation *op, FlatSymbolRefAttr name) {
  auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(op, name);
  if (!callee)
    return op->emitOpError()
           << "calls " << name << ", which is not a func.func";
  FailureOr<std::vector<PerDevice>> results =
      call(callee, valuesOf(op->getOperands()));
  if (failed(results))
    return failure();
  bind(op->getResults(), std::move(*results));
  return success();
}

/// Results of a size that the interpreter holds.
static LogicalResult verifySizes(Operation *op, int64_t numDevices) {
  for (Value result : op->getResults())
    if (isProgramTensor(result.getType()) &&
        !fitsInterpreter(shapeOf(result), numDevices))
      return op->emitOpError() << "gives more than " << maxInterpretedElements
                               << " elements on all devices, the most that the "
                                  "interpreter holds";
  return success();
}

/// What a result's type says its value on each device is.
static LogicalResult verifyResults(Operation *op, const PerDevice &results) {
  Shape shape = resultShape(op);
  ElementKind kind = resultKind(op);
  for (const Tensor &result : results)
    if (result.shape != shape || result.kind != kind)
      return op->emitOpError()
             << "evaluates to " << toString(result.shape, result.kind)
             << ", but its result has type " << op->getResult(0).getType();
  return success();
}

LogicalResult Evaluator::evaluate(Operation *op) {
  if (failed(verifySizes(op, numDevices())))
    return failure();
  if (auto call = dyn_cast<func::CallOp>(op))
    return evaluateCall(op, call.getCalleeAttr());
  if (auto call = dyn_cast<CallOp>(op))
    return evaluateCall(op, call.getCalleeAttr());
  LogicalResult done = success();
  if (evaluateRegionsOrEffects(op, done))
    return done;
  if (op->getNumResults() != 1 || op->getNumRegions() != 0 ||
      !isProgramTensor(op->getResult(0).getType()))
    return op->emitOpError() << "has no meaning to the interpreter";
  PerDevice results;
  if (isa_and_nonnull<DistDialect>(op->getDialect())) {
    FailureOr<PerDevice> all = evaluateDist(op);
    if (failed(all))
      return failure();
    countCollective(op);
    results = std::move(*all);
  } else {
    for (int64_t device = 0; device < numDevices(); ++device) {
      FailureOr<Tensor> result = evaluateLocal(op, device);
      if (failed(result))
        return failure();
      results.push_back(std::move(*result));
    }
  }
  if (failed(verifyResults(op, results)))
    return failure();
  values[op->getResult(0)] = std::move(results);
  return success();
}

FailureOr<std::vector<PerDevice>>
Evaluator::call(func::FuncOp function, ArrayRef<PerDevice> arguments) {
  if (function.isExternal() || !function.getBody().hasOneBlock()) {
    function.emitOpError()
        << "cannot be evaluated: expects a body of one block";
    return failure();
  }
  if (llvm::is_contained(callers, function)) {
    function.emitOpError() << "cannot be evaluated: it calls itself";
    return failure();
  }
  callers.push_back(function);
  llvm::scope_exit popCaller([&] { callers.pop_back(); });
  bind(function.getArguments(), arguments.vec());
  return evaluateBlock(function.getBody().front());
}
