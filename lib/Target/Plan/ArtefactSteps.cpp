// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ArtefactBuilder.h"
#include "MeshDigits.h"

using namespace mlir;
using namespace tessera;

abi::Step &ArtefactBuilder::addStep(abi::StepKind kind, ValueRange operands) {
  abi::Step &step = artefact.plan.blocks[block].steps.emplace_back();
  step.kind = kind;
  for (Value buffer : operands) {
    auto known = buffers.find(buffer);
    assert(known != buffers.end() && "buffers are defined before their uses");
    step.buffers.push_back(known->second);
  }
  return step;
}

//===----------------------------------------------------------------------===//
// Steps without others inside
//===----------------------------------------------------------------------===//

static abi::StepKind stepKindOf(plan::CollectiveKind kind) {
  switch (kind) {
#define TESSERA_COLLECTIVE(NAME, TEXT, ...)                                    \
  case plan::CollectiveKind::TEXT:                                             \
    return abi::StepKind::NAME;
#include "tessera/ABI/CollectiveKinds.inc"
  }
  llvm_unreachable("unknown collective");
}

static abi::Reduction reductionOf(dist::ReductionKind kind) {
  switch (kind) {
  case dist::ReductionKind::sum:
    return abi::Reduction::Sum;
  case dist::ReductionKind::max:
    return abi::Reduction::Max;
  case dist::ReductionKind::min:
    return abi::Reduction::Min;
  case dist::ReductionKind::prod:
    return abi::Reduction::Prod;
  }
  llvm_unreachable("unknown reduction");
}

LogicalResult ArtefactBuilder::addLaunch(plan::LaunchOp op) {
  StringRef name = op.getKernel();
  auto compiled = code.kernels.find(name);
  if (compiled == code.kernels.end())
    return op.emitOpError() << "launches kernel " << op.getKernelAttr()
                            << ", which was not compiled";
  auto [entry, isNew] = kernels.try_emplace(name, artefact.plan.kernels.size());
  if (isNew) {
    const KernelCode &from = compiled->second;
    abi::Kernel kernel;
    kernel.name = name.str();
    kernel.symbol = from.symbol;
    kernel.object = from.object;
    kernel.grid.assign(op.getGrid().begin(), op.getGrid().end());
    kernel.numInputs = op.getInputs().size();
    kernel.threads = from.threads;
    kernel.sharedBytes = from.sharedBytes;
    kernel.stackBytes = from.stackBytes;
    kernel.registers = from.registers;
    kernel.spillBytes = from.spillBytes;
    artefact.plan.kernels.push_back(std::move(kernel));
  }
  addStep(abi::StepKind::Launch, op.getOperands()).kernel = entry->second;
  return success();
}

/// "all_reduce over {tp}: <rule>" for messages.
static std::string describe(plan::CollectiveOp op) {
  std::string text = stringifyCollectiveKind(op.getKind()).str() + " over {";
  for (const AxisRef &axis : op.getAxes().getValue())
    text += (text.back() == '{' ? "" : ", ") + toString(axis);
  text += "}";
  if (dist::WhyAttr why = op.getWhyAttr())
    text += ": " + why.getRule().getValue().str();
  return text;
}

/// Who receives in a permute: by digits, or device by device where they cannot
/// say it.
static void addReceivers(abi::Step &step, plan::CollectiveOp op,
                         const Mesh &mesh) {
  std::optional<std::vector<abi::DigitMove>> moves;
  if (std::optional<dist::AxesAttr> to = op.getTo()) {
    const std::vector<AxisRef> &from = op.getAxes().getValue();
    moves = permuteMoves(from, to->getValue(), mesh);
    if (!moves)
      step.targets = permuteTargets(from, to->getValue(), mesh);
  } else {
    step.targets.assign(op.getTargets()->begin(), op.getTargets()->end());
    moves = findMoves(step.targets, mesh);
  }
  if (!moves)
    return;
  step.moves = std::move(*moves);
  step.targets.clear();
}

LogicalResult ArtefactBuilder::addCollective(plan::CollectiveOp op) {
  auto input = cast<RankedTensorType>(op.getInputType());
  auto output = cast<RankedTensorType>(op.getOutputType());
  std::optional<abi::DType> dtype = dtypeOf(input.getElementType());
  if (!dtype)
    return op.emitOpError() << "has element type " << input.getElementType()
                            << ", which the runtime does not have";
  abi::Step &step =
      addStep(stepKindOf(op.getKind()), {op.getInput(), op.getOutput()});
  step.dtype = *dtype;
  if (std::optional<dist::ReductionKind> reduction = op.getReduction())
    step.reduction = reductionOf(*reduction);
  step.dim = op.getDim().value_or(0);
  step.joinDim = op.getConcatDim().value_or(0);
  if (op.getKind() == plan::CollectiveKind::permute)
    addReceivers(step, op, mesh);
  else
    step.digits = digitsOf(op.getAxes().getValue(), mesh);
  step.inputShape = input.getShape().vec();
  step.outputShape = output.getShape().vec();
  step.what = describe(op);
  return success();
}

void ArtefactBuilder::addDeviceValue(plan::DeviceValueOp op) {
  abi::Step &step = addStep(abi::StepKind::DeviceValue, op.getOutput());
  switch (op.getQuery()) {
  case plan::DeviceQuery::axis_index:
    step.query = abi::DeviceQuery::AxisIndex;
    break;
  case plan::DeviceQuery::local_offset:
    step.query = abi::DeviceQuery::LocalOffset;
    break;
  case plan::DeviceQuery::valid_extent:
    step.query = abi::DeviceQuery::ValidExtent;
    break;
  }
  step.size = op.getSize();
  step.digits = digitsOf(op.getAxes().getValue(), mesh);
}

/// "example.py:12" for messages.
static std::string placeOf(Location loc) {
  auto file = loc->findInstanceOf<FileLineColLoc>();
  return file ? file.getFilename().str() + ":" + std::to_string(file.getLine())
              : "";
}

LogicalResult ArtefactBuilder::addEffect(Operation *op, abi::StepKind kind,
                                         StringRef format, ArrayAttr types,
                                         bool isOrdered) {
  abi::Step &step = addStep(kind, {});
  step.format = format.str();
  step.ordered = isOrdered;
  step.what = placeOf(op->getLoc());
  for (auto [buffer, type] :
       llvm::zip_equal(op->getOperands(), types.getAsValueRange<TypeAttr>())) {
    auto whole = cast<RankedTensorType>(type);
    std::optional<abi::DType> dtype = dtypeOf(whole.getElementType());
    if (!dtype)
      return op->emitOpError() << "has element type " << whole.getElementType()
                               << ", which the runtime does not have";
    abi::Tensor &tensor = step.operands.emplace_back();
    tensor.dtype = *dtype;
    tensor.shape = tensor.localShape = whole.getShape().vec();
    tensor.splits.resize(whole.getRank());
    tensor.buffer = buffers.lookup(buffer);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Loops and conditionals
//===----------------------------------------------------------------------===//

LogicalResult ArtefactBuilder::addBlock(Region &region, size_t index) {
  int32_t outer = block;
  block = static_cast<int32_t>(artefact.plan.blocks.size());
  artefact.plan.blocks[outer].steps[index].blocks.push_back(block);
  artefact.plan.blocks.emplace_back();
  for (Operation &op : region.getOps())
    if (failed(addOp(op)))
      return failure();
  block = outer;
  return success();
}

std::vector<abi::Carry> ArtefactBuilder::carriesOf(OperandRange current,
                                                   OperandRange next) {
  std::vector<abi::Carry> carries;
  for (auto [from, to] : llvm::zip_equal(current, next))
    carries.push_back({buffers.lookup(from), buffers.lookup(to)});
  return carries;
}

LogicalResult ArtefactBuilder::addLoop(plan::LoopOp op) {
  abi::Step &step =
      addStep(abi::StepKind::Loop,
              op.getIndex() ? ValueRange(op.getIndex()) : ValueRange());
  size_t index = artefact.plan.blocks[block].steps.size() - 1;
  step.count = op.getCount();
  step.reverse = op.getReverse();
  for (auto [window, base] :
       llvm::zip_equal(op.getBody().getArguments(), op.getBases())) {
    int32_t buffer = addBuffer(window, abi::BufferKind::Window, 0);
    step.windows.push_back(
        {buffer, buffers.lookup(base), artefact.plan.buffers[buffer].bytes});
  }
  step.carries = carriesOf(op.getCurrent(), op.getNext());
  return addBlock(op.getBody(), index);
}

LogicalResult ArtefactBuilder::addWhile(plan::WhileOp op) {
  addStep(abi::StepKind::While, op.getPredicate()).carries =
      carriesOf(op.getCurrent(), op.getNext());
  size_t index = artefact.plan.blocks[block].steps.size() - 1;
  return failure(failed(addBlock(op.getCondition(), index)) ||
                 failed(addBlock(op.getBody(), index)));
}

LogicalResult ArtefactBuilder::addIf(plan::IfOp op) {
  addStep(abi::StepKind::If, op.getSelector());
  size_t index = artefact.plan.blocks[block].steps.size() - 1;
  for (Region &branch : op.getBranches())
    if (failed(addBlock(branch, index)))
      return failure();
  return success();
}
