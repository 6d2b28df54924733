// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A program as a whole: what may stand where, what may be written, and its
// steps on the mesh.
#include "dialects/Plan/IR/Stages.h"
#include "tessera/Analysis/MeshGroups.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::plan;

/// Inputs and outputs are the program's; where there are stages, all else but
/// constants is theirs.
static LogicalResult verifyPlace(ProgramOp program, StageOp firstStage,
                                 Operation *op) {
  bool isBoundary = isa<InputOp, OutputOp, TiedOutputOp>(op);
  if (isBoundary && op->getParentOp() != program) {
    InFlightDiagnostic error =
        op->emitOpError() << "is inside a '" << op->getParentOp()->getName()
                          << "'; inputs and outputs are those of the "
                             "whole program";
    error.attachNote(program.getLoc())
        << "put it at the beginning of this program, where all devices have "
           "their parts of it";
    return error;
  }
  bool isShared = isBoundary || isa<ConstantOp, StageOp>(op);
  if (!firstStage || isShared || op->getParentOp() != program)
    return success();
  InFlightDiagnostic error = op->emitOpError()
                             << "stands beside stages; no device would run it";
  error.attachNote(firstStage.getLoc())
      << "a program with stages, of which this is the first, holds inputs, "
         "outputs and constants beside them: put the rest into each stage "
         "that needs it";
  return error;
}

static LogicalResult verifyWrites(Operation *op) {
  for (Value buffer : getWrittenBuffers(op)) {
    Value memory = getMemory(buffer);
    auto input = memory.getDefiningOp<InputOp>();
    auto constant = memory.getDefiningOp<ConstantOp>();
    if (!constant && (!input || input.getDonated()))
      continue;
    InFlightDiagnostic error = op->emitOpError() << "writes "
                                                 << (constant ? "a constant"
                                                              : "an input that "
                                                                "is not "
                                                                "donated");
    error.attachNote(memory.getLoc())
        << (constant ? "the constant is here; copy it to a plan.allocate and "
                       "write that"
                     : "the input is here; write a plan.allocate with a copy "
                       "of it, or make it 'donated'");
    return error;
  }
  return success();
}

LogicalResult ProgramOp::verifyRegions() {
  auto stages = getOps<StageOp>();
  StageOp firstStage = stages.empty() ? StageOp() : *stages.begin();
  llvm::DenseMap<Value, TiedOutputOp> tied;
  WalkResult result = walk([&](Operation *op) {
    if (op == *this)
      return WalkResult::advance();
    if (failed(verifyPlace(*this, firstStage, op)) || failed(verifyWrites(op)))
      return WalkResult::interrupt();
    auto output = dyn_cast<TiedOutputOp>(op);
    if (!output)
      return WalkResult::advance();
    auto [other, isNew] = tied.try_emplace(output.getBuffer(), output);
    if (isNew)
      return WalkResult::advance();
    InFlightDiagnostic error =
        output.emitOpError()
        << "is in the memory of an input that has another output already";
    error.attachNote(other->second.getLoc())
        << "that output is here; make one of them a plan.output and copy it "
           "there";
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

//===----------------------------------------------------------------------===//
// On the mesh
//===----------------------------------------------------------------------===//

static LogicalResult verifyAxes(Operation *op, dist::AxesAttr axes,
                                const Mesh &mesh) {
  if (std::optional<std::string> problem = findAxesError(axes.getValue(), mesh))
    return op->emitOpError() << *problem;
  return success();
}

static std::string textOf(const std::vector<AxisRef> &axes) {
  std::string text;
  for (const AxisRef &axis : axes)
    text += (text.empty() ? "" : ", ") + toString(axis);
  return "{" + text + "}";
}

static LogicalResult verifyReceivers(CollectiveOp op, const Mesh &mesh) {
  const std::vector<AxisRef> &axes = op.getAxes().getValue();
  if (std::optional<dist::AxesAttr> to = op.getTo()) {
    if (failed(verifyAxes(op, *to, mesh)))
      return failure();
    if (spanSameDevices(axes, to->getValue(), mesh))
      return success();
    return op.emitOpError()
           << "sends along " << textOf(to->getValue())
           << ", which are not the devices of " << textOf(axes);
  }
  ArrayRef<int64_t> targets = *op.getTargets();
  int64_t count = mesh.numDevices();
  if (static_cast<int64_t>(targets.size()) != count)
    return op.emitOpError() << "names " << targets.size()
                            << " receivers; expected one for each of the "
                            << count << " devices of the mesh";
  std::vector<bool> receives(count, false);
  for (auto [device, target] : llvm::enumerate(targets)) {
    bool exists = target >= 0 && target < count;
    if (exists && !receives[target]) {
      receives[target] = true;
      continue;
    }
    return op.emitOpError()
           << "sends from device " << device << " to " << target
           << (exists ? ", which receives from another device already"
                      : ", which does not exist")
           << "; every device of 0 to " << count - 1 << " receives once";
  }
  return success();
}

/// Which sizes go in and come out of groups of `size` devices.
static LogicalResult verifySizes(CollectiveOp op, int64_t size) {
  using Kind = plan::CollectiveKind;
  Kind kind = op.getKind();
  auto in = cast<RankedTensorType>(op.getInputType());
  auto out = cast<RankedTensorType>(op.getOutputType());
  bool keepsShape = kind == Kind::all_reduce || kind == Kind::permute;
  if (in.getElementType() != out.getElementType() ||
      in.getRank() != out.getRank() ||
      (keepsShape && in.getShape() != out.getShape()))
    return op.emitOpError()
           << "turns " << in << " into " << out << "; expected one element type"
           << (keepsShape ? " and shape" : " and rank");
  if (keepsShape)
    return success();
  int64_t cut = kind == Kind::all_gather ? -1 : *op.getDim();
  int64_t joined = -1;
  if (kind == Kind::all_gather)
    joined = *op.getDim();
  else if (kind == Kind::all_to_all)
    joined = *op.getConcatDim();
  if (cut == joined)
    return op.emitOpError()
           << "cuts and joins dimension " << cut << "; expected two dimensions";
  for (int64_t dim = 0; dim < in.getRank(); ++dim) {
    int64_t from = in.getDimSize(dim), to = out.getDimSize(dim);
    int64_t part = llvm::divideCeil(from, size);
    bool fits = dim == cut      ? to == part
                : dim == joined ? to <= from * size
                                : to == from;
    if (fits)
      continue;
    InFlightDiagnostic error = op.emitOpError()
                               << "turns size " << from << " of dimension "
                               << dim << " into " << to << " in groups of "
                               << size << " devices; expected ";
    if (dim == cut)
      return error << part;
    if (dim == joined)
      return error << from * size << " or less";
    return error << from;
  }
  return success();
}

/// What communicators can do: reduce numbers, and read one buffer while they
/// write another.
static LogicalResult verifyCollective(CollectiveOp op, const Mesh &mesh) {
  using Kind = plan::CollectiveKind;
  const std::vector<AxisRef> &axes = op.getAxes().getValue();
  if (failed(verifyAxes(op, op.getAxes(), mesh)) ||
      (op.getKind() == Kind::permute && failed(verifyReceivers(op, mesh))) ||
      failed(verifySizes(op, groupSize(axes, mesh))))
    return failure();
  bool isInPlace =
      op.getKind() == Kind::all_reduce && op.getInput() == op.getOutput();
  if (!isInPlace && getMemory(op.getInput()) == getMemory(op.getOutput())) {
    InFlightDiagnostic error =
        op.emitOpError() << "writes the memory that it reads; only an "
                            "all_reduce may, if both are one buffer: give it "
                            "another output";
    error.attachNote(getMemory(op.getInput()).getLoc()) << "the memory is here";
    return error;
  }
  Type element = cast<RankedTensorType>(op.getInputType()).getElementType();
  if (op.getReduction() == dist::ReductionKind::sum && element.isInteger(1))
    return op.emitOpError() << "sums booleans; the reductions of i1 are max "
                               "(or), min and prod (and)";
  if (op.getReduction() && isa<Float8E4M3FNType, Float8E5M2Type>(element))
    return op.emitOpError() << "reduces " << element
                            << ", which is a type of storage only; reduce f32";
  return success();
}

/// Collectives and stages, where the mesh is known.
LogicalResult ProgramOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto declared =
      symbols.lookupNearestSymbolFrom<dist::MeshOp>(*this, getMeshAttr());
  bool hasStages = !getOps<StageOp>().empty();
  if (!declared && hasStages)
    return emitOpError() << "has stages on mesh @" << getMesh()
                         << ", which does not exist; declare it, such as: "
                            "dist.mesh @"
                         << getMesh() << " <[pp = 2, tp = 2]>";
  if (!declared)
    return success();
  Mesh mesh = declared.getPlainMesh();
  WalkResult result = walk([&](Operation *op) {
    LogicalResult status = success();
    if (auto value = dyn_cast<DeviceValueOp>(op))
      status = verifyAxes(op, value.getAxes(), mesh);
    else if (auto collective = dyn_cast<CollectiveOp>(op))
      status = verifyCollective(collective, mesh);
    return failed(status) ? WalkResult::interrupt() : WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  return hasStages ? verifyStages(*this, mesh) : success();
}
