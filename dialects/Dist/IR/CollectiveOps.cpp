// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Verification.h"

#include "tessera/Analysis/MeshGroups.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::dist;

#define GET_OP_CLASSES
#include "dialects/Dist/IR/CollectiveOps.cpp.inc"

std::optional<CollectiveKind> tessera::dist::getCollectiveKind(Operation *op) {
  using Kind = std::optional<CollectiveKind>;
  return llvm::TypeSwitch<Operation *, Kind>(op)
#define TESSERA_COLLECTIVE(NAME, ...)                                          \
  .Case([](NAME##Op) { return CollectiveKind::NAME; })
#include "tessera/ABI/CollectiveKinds.inc"
      .Default(Kind());
}

//===----------------------------------------------------------------------===//
// What can be checked without the mesh
//===----------------------------------------------------------------------===//

static ArrayRef<int64_t> shapeOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}

/// Operand and result have one element type and one shape but for `dims`, which
/// exist.
static LogicalResult verifyAllButDims(Operation *op, ArrayRef<int64_t> dims) {
  auto from = cast<RankedTensorType>(op->getOperand(0).getType());
  auto to = cast<RankedTensorType>(op->getResult(0).getType());
  if (from.getElementType() != to.getElementType())
    return op->emitOpError() << "keeps the element type, but its input has "
                             << from.getElementType() << " and its result "
                             << to.getElementType();
  if (from.getRank() != to.getRank())
    return op->emitOpError()
           << "keeps the rank, but its input has " << from.getRank()
           << " and its result " << to.getRank();
  for (int64_t dim : dims)
    if (dim < 0 || dim >= from.getRank())
      return op->emitOpError()
             << "has dimension " << dim << ", but the tensor has rank "
             << from.getRank() << "; dimensions count from 0";
  for (int64_t d = 0; d < from.getRank(); ++d)
    if (!llvm::is_contained(dims, d) && from.getDimSize(d) != to.getDimSize(d))
      return op->emitOpError()
             << "keeps dimension " << d << ", but its input has "
             << from.getDimSize(d) << " elements there and its result "
             << to.getDimSize(d);
  return success();
}

/// Sums and products of truth values have no meaning.
static LogicalResult verifyReducible(Operation *op, ReductionKind kind) {
  if (!getElementTypeOrSelf(op->getOperand(0)).isInteger(1) ||
      kind == ReductionKind::max || kind == ReductionKind::min)
    return success();
  InFlightDiagnostic error = op->emitOpError()
                             << "cannot form the "
                             << stringifyReductionKind(kind) << " of i1 values";
  error.attachNote() << "use max for 'any' and min for 'all', or convert the "
                        "value to i32 first";
  return error;
}

LogicalResult AllReduceOp::verify() {
  return verifyReducible(*this, getKind());
}
LogicalResult AllGatherOp::verify() {
  return verifyAllButDims(*this, {static_cast<int64_t>(getDim())});
}
LogicalResult AllSliceOp::verify() {
  return verifyAllButDims(*this, {static_cast<int64_t>(getDim())});
}
LogicalResult ReduceScatterOp::verify() {
  if (failed(verifyReducible(*this, getKind())))
    return failure();
  return verifyAllButDims(*this, {static_cast<int64_t>(getDim())});
}
LogicalResult AllToAllOp::verify() {
  int64_t split = getSplitDim(), concat = getConcatDim();
  if (split != concat)
    return verifyAllButDims(*this, {split, concat});
  InFlightDiagnostic error = emitOpError()
                             << "splits and joins the same dimension " << split;
  error.attachNote() << "the value would not change: drop the op";
  return error;
}

/// Either the axes or the targets are given. `targets` names every device of
/// the mesh once, which needs the mesh; here only that it can be a permutation.
LogicalResult PermuteOp::verify() {
  if (getFrom().has_value() != getTo().has_value() ||
      getFrom().has_value() == getTargets().has_value()) {
    InFlightDiagnostic error =
        emitOpError() << "expects either axes, 'from' and 'to', or targets";
    error.attachNote() << "such as: from {dp, tp} to {tp, dp}";
    return error;
  }
  if (!getTargets())
    return success();
  SmallVector<int64_t> sorted(*getTargets());
  llvm::sort(sorted);
  for (auto [device, target] : llvm::enumerate(sorted))
    if (target != static_cast<int64_t>(device))
      return emitOpError() << "expects each of the devices 0 to "
                           << sorted.size() - 1
                           << " once among its targets, got [" << *getTargets()
                           << "]";
  return success();
}

std::vector<int64_t> PermuteOp::getTargetsOn(const Mesh &mesh) {
  if (getTargets())
    return getTargets()->vec();
  return permuteTargets(getFromAttr().getValue(), getToAttr().getValue(), mesh);
}

//===----------------------------------------------------------------------===//
// What depends on the mesh
//===----------------------------------------------------------------------===//

/// Dimension `dim` of `part` has ceil(n/k) elements, n being that of `whole`
/// and k the size of the group.
static LogicalResult verifyChunk(Operation *op, Value whole, Value part,
                                 int64_t dim, int64_t parts, AxesAttr axes) {
  int64_t size = shapeOf(whole)[dim];
  int64_t chunk = (size + parts - 1) / parts;
  if (shapeOf(part)[dim] == chunk)
    return success();
  auto nameOf = [&](Value value) {
    return value.getDefiningOp() == op ? "result" : "input";
  };
  InFlightDiagnostic error = op->emitOpError()
                             << "cuts dimension " << dim << " of size " << size
                             << " into " << parts << " chunks along " << axes
                             << ": expects " << chunk << " elements in the "
                             << nameOf(part) << ", got " << shapeOf(part)[dim];
  error.attachNote(op->getOperand(0).getLoc())
      << "input has type " << op->getOperand(0).getType();
  error.attachNote() << "a chunk has ceil(n/k) elements, the last ones may be "
                        "padding; mend the "
                     << nameOf(part) << "'s type or the axes";
  return error;
}

/// The number of devices in each group of a collective, which must act along
/// one axis at least.
template <typename CollectiveOp>
static FailureOr<int64_t> verifyGroup(CollectiveOp op,
                                      SymbolTableCollection &symbols) {
  FailureOr<Mesh> mesh =
      findMeshOfAxes(op, symbols, op.getMeshAttr(), op.getAxes());
  if (failed(mesh))
    return failure();
  if (op.getAxes().getValue().empty()) {
    InFlightDiagnostic error = op.emitOpError() << "acts along no axis";
    error.attachNote() << "drop the op: its result would be its input";
    return failure();
  }
  return tessera::groupSize(op.getAxes().getValue(), *mesh);
}

LogicalResult AllReduceOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyGroup(*this, symbols);
}

LogicalResult AllGatherOp::verifySymbolUses(SymbolTableCollection &symbols) {
  FailureOr<int64_t> parts = verifyGroup(*this, symbols);
  if (failed(parts))
    return failure();
  return verifyChunk(*this, getResult(), getInput(), getDim(), *parts,
                     getAxes());
}

LogicalResult AllSliceOp::verifySymbolUses(SymbolTableCollection &symbols) {
  FailureOr<int64_t> parts = verifyGroup(*this, symbols);
  if (failed(parts))
    return failure();
  return verifyChunk(*this, getInput(), getResult(), getDim(), *parts,
                     getAxes());
}

LogicalResult
ReduceScatterOp::verifySymbolUses(SymbolTableCollection &symbols) {
  FailureOr<int64_t> parts = verifyGroup(*this, symbols);
  if (failed(parts))
    return failure();
  return verifyChunk(*this, getInput(), getResult(), getDim(), *parts,
                     getAxes());
}

LogicalResult AllToAllOp::verifySymbolUses(SymbolTableCollection &symbols) {
  FailureOr<int64_t> parts = verifyGroup(*this, symbols);
  if (failed(parts) || failed(verifyChunk(*this, getResult(), getInput(),
                                          getConcatDim(), *parts, getAxes())))
    return failure();
  return verifyChunk(*this, getInput(), getResult(), getSplitDim(), *parts,
                     getAxes());
}

LogicalResult PermuteOp::verifySymbolUses(SymbolTableCollection &symbols) {
  FailureOr<Mesh> mesh = findMesh(*this, symbols, getMeshAttr());
  if (failed(mesh))
    return failure();
  if (getTargets()) {
    int64_t devices = mesh->numDevices();
    if (static_cast<int64_t>(getTargets()->size()) == devices)
      return success();
    return emitOpError() << "names " << getTargets()->size()
                         << " targets, but mesh " << getMeshAttr() << " has "
                         << devices << " devices; give one target per device";
  }
  if (failed(findMeshOfAxes(*this, symbols, getMeshAttr(), getFromAttr())) ||
      failed(findMeshOfAxes(*this, symbols, getMeshAttr(), getToAttr())))
    return failure();
  if (spanSameDevices(getFromAttr().getValue(), getToAttr().getValue(), *mesh))
    return success();
  auto text = [](AxesAttr axes) {
    return toString(DimLayout{axes.getValue(), false, std::nullopt});
  };
  InFlightDiagnostic error =
      emitOpError() << "sends from " << text(getFromAttr()) << " to "
                    << text(getToAttr()) << ", which span other devices";
  error.attachNote() << "'to' has the axes and sub-axes of 'from' in another "
                        "order";
  return error;
}
