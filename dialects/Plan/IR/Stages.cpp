// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Plan/IR/Stages.h"

#include "tessera/ABI/PlanFormat.h"
#include "tessera/Analysis/MeshGroups.h"

#include "mlir/IR/Builders.h"

#include <map>

using namespace mlir;
using namespace tessera;
using namespace tessera::plan;

namespace {

class StageVerifier {
public:
  StageVerifier(ProgramOp program, const Mesh &mesh)
      : mesh(mesh), program(program), stages(program.getOps<StageOp>()) {
    for (const AxisRef &axis : stages.front().getAxes().getValue())
      names.push_back(axis.name);
  }

  LogicalResult verify();

private:
  LogicalResult verifyCoordinates(StageOp stage);
  LogicalResult verifyCoverage();
  LogicalResult verifyOutputs(StageOp stage);
  bool holdsPart(StageOp stage, OutputOp output) const;
  bool isJoint(CollectiveOp op) const;
  /// The collective by which `op` is joint: itself or one inside, else null.
  CollectiveOp jointStepOf(Operation *op) const;
  SmallVector<Operation *> jointStepsOf(Region &region) const;
  LogicalResult verifyPlaces(StageOp stage);
  LogicalResult verifyMeeting(StageOp first, Region &firstSteps, StageOp other,
                              Region &otherSteps);
  LogicalResult verifyPair(StageOp first, Operation *a, StageOp other,
                           Operation *b);
  LogicalResult reportAlone(Operation *op, StageOp own, StageOp without);
  std::string axesText() const { return "'" + llvm::join(names, "', '") + "'"; }

  const Mesh &mesh;
  ProgramOp program;
  SmallVector<StageOp> stages;
  SmallVector<std::string> names; ///< Of the axes that tell stages apart.
  std::vector<abi::Digit> digits; ///< Along them.
};

} // namespace

//===----------------------------------------------------------------------===//
// Which devices run which stage
//===----------------------------------------------------------------------===//

LogicalResult StageVerifier::verifyCoordinates(StageOp stage) {
  const std::vector<AxisRef> &axes = stage.getAxes().getValue();
  if (std::optional<std::string> problem = findAxesError(axes, mesh))
    return stage.emitOpError() << *problem;
  if (stage.getAxes() != stages.front().getAxes()) {
    InFlightDiagnostic error =
        stage.emitOpError()
        << "is told apart by other axes than the first stage, which names "
        << axesText() << "; all stages name the same axes in the same order";
    error.attachNote(stages.front().getLoc()) << "the first stage is here";
    return error;
  }
  for (auto [axis, coordinate] :
       llvm::zip_equal(axes, stage.getCoordinates())) {
    int64_t size = axis.sizeOn(mesh);
    if (coordinate < 0 || coordinate >= size)
      return stage.emitOpError()
             << "is for coordinate " << coordinate << " of axis '" << axis.name
             << "', which has " << size << " devices; expected 0 to "
             << size - 1;
  }
  return success();
}

LogicalResult StageVerifier::verifyCoverage() {
  std::map<std::vector<int64_t>, StageOp> known;
  llvm::StringMap<StageOp> byName;
  for (StageOp stage : stages) {
    auto [other, isNew] =
        known.try_emplace(stage.getCoordinates().vec(), stage);
    auto [namesake, isNewName] = byName.try_emplace(stage.getName(), stage);
    if (isNew && isNewName)
      continue;
    InFlightDiagnostic error = stage.emitOpError();
    if (!isNew)
      error << "is for the devices that run @" << other->second.getName()
            << "; a device runs one stage";
    else
      error << "has the name @" << stage.getName()
            << " of another stage; give it one of its own";
    error.attachNote((isNew ? namesake->second : other->second).getLoc())
        << "that stage is here";
    return error;
  }
  // One of any n + 1 combinations is missing from n.
  std::vector<int64_t> at(names.size(), 0);
  for (bool isEnd = false; !isEnd;) {
    if (!known.count(at)) {
      std::string text;
      for (auto [name, coordinate] : llvm::zip_equal(names, at))
        text += (text.empty() ? "" : ", ") + name + " = " +
                std::to_string(coordinate);
      InFlightDiagnostic error = program.emitOpError()
                                 << "has no stage for the devices where "
                                 << text;
      error.attachNote() << "every device runs one stage; add one: plan.stage "
                            "@name where {"
                         << text << "}";
      return error;
    }
    isEnd = true;
    for (size_t i = at.size(); i-- > 0 && isEnd;) {
      isEnd = ++at[i] == mesh.find(names[i])->size;
      if (isEnd)
        at[i] = 0;
    }
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

/// Uneven splits may leave the devices of a stage nothing but padding.
bool StageVerifier::holdsPart(StageOp stage, OutputOp output) const {
  auto whole = cast<RankedTensorType>(output.getGlobalType());
  for (auto [size, dim] :
       llvm::zip_equal(whole.getShape(), output.getLayout().getValue().dims)) {
    if (findAxesError(dim.axes, mesh))
      return true; // An error of its own.
    // The first device of the stage holds the most.
    int64_t device = 0;
    for (auto [axis, coordinate] :
         llvm::zip_equal(stage.getAxes().getValue(), stage.getCoordinates()))
      device = abi::deviceAt(digitsOf({axis}, mesh), device, coordinate);
    if (localInterval(size, dim.axes, mesh, device).valid == 0)
      return false;
  }
  return true;
}

LogicalResult StageVerifier::verifyOutputs(StageOp stage) {
  llvm::DenseSet<Value> written;
  stage.walk([&](Operation *op) {
    for (Value buffer : getWrittenBuffers(op))
      written.insert(getMemory(buffer));
  });
  for (auto output : program.getOps<OutputOp>()) {
    if (written.contains(output.getBuffer()) || !holdsPart(stage, output))
      continue;
    InFlightDiagnostic error =
        stage.emitOpError()
        << "@" << stage.getName() << " does not write output \""
        << output.getName() << "\", of which its devices hold a part";
    error.attachNote(output.getLoc())
        << "the output is " << output.getLayout().getValue().str()
        << "; send it to the stage by a joint collective, such as a sum over "
        << axesText()
        << " to which the other stages add zeros, or give it a dimension that "
           "is split along "
        << axesText();
    return error;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Joint steps
//===----------------------------------------------------------------------===//

bool StageVerifier::isJoint(CollectiveOp op) const {
  const std::vector<AxisRef> &axes = op.getAxes().getValue();
  abi::Step step;
  if (std::optional<dist::AxesAttr> to = op.getTo()) {
    if (auto moves = permuteMoves(axes, to->getValue(), mesh))
      step.moves = *moves;
    else
      step.targets = permuteTargets(axes, to->getValue(), mesh);
  } else if (op.getTargets()) {
    step.targets = op.getTargets()->vec();
  } else {
    step.digits = digitsOf(axes, mesh);
  }
  return abi::isJoint(step, digits);
}

CollectiveOp StageVerifier::jointStepOf(Operation *op) const {
  CollectiveOp found;
  op->walk([&](CollectiveOp inner) {
    if (!isJoint(inner))
      return WalkResult::advance();
    found = inner;
    return WalkResult::interrupt();
  });
  return found;
}

SmallVector<Operation *> StageVerifier::jointStepsOf(Region &region) const {
  SmallVector<Operation *> joint;
  for (Operation &op : region.getOps())
    if (jointStepOf(&op))
      joint.push_back(&op);
  return joint;
}

/// Joint steps are in the stage itself and in loops.
LogicalResult StageVerifier::verifyPlaces(StageOp stage) {
  WalkResult result = stage.walk([&](CollectiveOp op) {
    if (!isJoint(op))
      return WalkResult::advance();
    Operation *outer = op->getParentOp();
    while (isa<LoopOp>(outer))
      outer = outer->getParentOp();
    if (outer == stage)
      return WalkResult::advance();
    InFlightDiagnostic error =
        op.emitOpError() << "joins devices of several stages, but whether it "
                            "runs is known to this stage alone";
    error.attachNote(outer->getLoc())
        << "it is inside this " << outer->getName()
        << "; put it in front of or behind it, or into a plan.loop, which all "
           "stages run equally often";
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

LogicalResult StageVerifier::reportAlone(Operation *op, StageOp own,
                                         StageOp without) {
  InFlightDiagnostic error = jointStepOf(op).emitOpError()
                             << "joins devices of several stages, but stage @"
                             << without.getName()
                             << " has no step that meets it";
  if (isa<LoopOp>(op))
    error.attachNote(op->getLoc()) << "it is inside this loop, which all "
                                      "stages need as well";
  error.attachNote(without.getLoc())
      << "stages are told apart by " << axesText()
      << "; put the same collective here, as all stages take part in it, or "
         "leave these axes out of those of the one in @"
      << own.getName();
  return error;
}

/// In what two collectives differ that are to be one, or nothing.
static StringRef differenceOf(CollectiveOp a, CollectiveOp b) {
  if (a.getKind() != b.getKind())
    return "kind";
  if (a.getInputType() != b.getInputType() ||
      a.getOutputType() != b.getOutputType())
    return "type";
  if (a.getAxes() != b.getAxes())
    return "group";
  if (a.getTo() != b.getTo() || a.getTargetsAttr() != b.getTargetsAttr())
    return "receiver";
  if (a.getDimAttr() != b.getDimAttr() ||
      a.getConcatDimAttr() != b.getConcatDimAttr())
    return "dimension";
  return a.getReduction() != b.getReduction() ? "reduction" : "";
}

LogicalResult StageVerifier::verifyPair(StageOp first, Operation *a,
                                        StageOp other, Operation *b) {
  auto fail = [&](Operation *at, const Twine &problem,
                  const Twine &wayOut) -> LogicalResult {
    InFlightDiagnostic error = at->emitOpError() << problem;
    error.attachNote(a->getLoc())
        << "the step of stage @" << first.getName() << " is here; " << wayOut;
    return error;
  };
  auto loopA = dyn_cast<LoopOp>(a), loopB = dyn_cast<LoopOp>(b);
  auto stepA = dyn_cast<CollectiveOp>(a), stepB = dyn_cast<CollectiveOp>(b);
  if (loopA && loopB) {
    if (loopA.getCount() != loopB.getCount())
      return fail(b,
                  "runs " + Twine(loopB.getCount()) +
                      " times, but meets a loop that runs " +
                      Twine(loopA.getCount()) + " times",
                  "stages meet in each iteration, so that both run equally "
                  "often");
    return verifyMeeting(first, loopA.getBody(), other, loopB.getBody());
  }
  if (!stepA || !stepB)
    return fail(jointStepOf(b),
                "joins devices of several stages, but meets a step of another "
                "kind",
                "one is inside a loop and one is not: all stages have the same "
                "collectives, in loops of the same count");
  StringRef difference = differenceOf(stepA, stepB);
  if (difference.empty())
    return success();
  return fail(b,
              "joins devices of several stages, but has another " + difference +
                  " than the step that it meets",
              "they are one collective, and differ in their buffers alone; "
              "stages have such steps in the same order");
}

LogicalResult StageVerifier::verifyMeeting(StageOp first, Region &firstSteps,
                                           StageOp other, Region &otherSteps) {
  SmallVector<Operation *> as = jointStepsOf(firstSteps);
  SmallVector<Operation *> bs = jointStepsOf(otherSteps);
  for (auto [a, b] : llvm::zip(as, bs))
    if (failed(verifyPair(first, a, other, b)))
      return failure();
  if (as.size() > bs.size())
    return reportAlone(as[bs.size()], first, other);
  if (bs.size() > as.size())
    return reportAlone(bs[as.size()], other, first);
  return success();
}

LogicalResult StageVerifier::verify() {
  for (StageOp stage : stages)
    if (failed(verifyCoordinates(stage)))
      return failure();
  if (failed(verifyCoverage()))
    return failure();
  for (const AxisRef &axis : stages.front().getAxes().getValue())
    llvm::append_range(digits, digitsOf({axis}, mesh));
  for (StageOp stage : stages)
    if (failed(verifyPlaces(stage)) ||
        failed(verifyMeeting(stages.front(), stages.front().getBody(), stage,
                             stage.getBody())) ||
        failed(verifyOutputs(stage)))
      return failure();
  return success();
}

LogicalResult tessera::plan::verifyStages(ProgramOp program, const Mesh &mesh) {
  return StageVerifier(program, mesh).verify();
}
