// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Verification.h"

using namespace mlir;
using namespace tessera;

std::string tessera::shapeToString(ArrayRef<int64_t> shape) {
  std::string text = "[";
  for (auto [i, size] : llvm::enumerate(shape))
    text += (i ? ", " : "") + std::to_string(size);
  return text + "]";
}

LogicalResult tessera::explain(InFlightDiagnostic error, Operation *op,
                               ArrayRef<NamedValue> causes, StringRef wayOut) {
  // The op's own results stand in the line of the error.
  for (auto [value, name] : causes)
    if (value.getDefiningOp() != op)
      error.attachNote(value.getLoc())
          << name << " has type " << value.getType();
  if (!wayOut.empty())
    error.attachNote() << wayOut;
  return error;
}

LogicalResult tessera::verifyOneMesh(Operation *op) {
  std::optional<std::string> mesh;
  std::optional<Location> builtinLoc;
  auto check = [&](Value value) -> LogicalResult {
    auto meshTensor = dyn_cast<MeshTensorType>(value.getType());
    if (!meshTensor) {
      auto builtin = dyn_cast<RankedTensorType>(value.getType());
      if (builtin && builtin.getRank() > 0)
        builtinLoc = value.getLoc();
      return success();
    }
    const std::string &name = meshTensor.getLayout().mesh;
    if (!mesh)
      mesh = name;
    if (*mesh == name)
      return success();
    InFlightDiagnostic error = op->emitOpError()
                               << "mixes tensors of mesh @" << *mesh
                               << " and mesh @" << name;
    error.attachNote() << "an op works on one mesh; give its operands the same";
    return error;
  };
  for (Value operand : op->getOperands())
    if (failed(check(operand)))
      return failure();
  for (Value result : op->getResults())
    if (failed(check(result)))
      return failure();
  if (!mesh || !builtinLoc)
    return success();
  InFlightDiagnostic error =
      op->emitOpError() << "mixes mesh tensors and builtin tensors; a program "
                           "holds mesh tensors before partitioning and builtin "
                           "tensors after it";
  error.attachNote(*builtinLoc) << "this is a builtin tensor; as a mesh tensor "
                                   "its type is !tessera.mesh_tensor<..., @"
                                << *mesh << ">";
  return error;
}

LogicalResult tessera::verifyShape(Operation *op, Value value, StringRef name,
                                   ArrayRef<int64_t> shape, StringRef hint) {
  if (shapeOf(value) == shape)
    return success();
  bool isResult = value.getDefiningOp() == op;
  if (hint.empty() && isResult)
    hint = "its operands and attributes make it so; write that shape in the "
           "result's type";
  InFlightDiagnostic error = op->emitOpError()
                             << "expects " << name << " of shape "
                             << shapeToString(shape) << ", got "
                             << shapeToString(shapeOf(value));
  // A wrong result type follows from the operands. The first is the most
  // informative; the others have been compared with it.
  NamedValue cause = {value, name};
  if (isResult && op->getNumOperands() != 0)
    cause = {op->getOperand(0), "the first operand"};
  return explain(std::move(error), op, cause, hint);
}

LogicalResult tessera::verifyElementType(Operation *op, Value value,
                                         StringRef name, Type type) {
  Type got = getElementTypeOrSelf(value.getType());
  if (got == type)
    return success();
  return explain(op->emitOpError() << "expects " << name << " of element type "
                                   << type << ", got " << got,
                 op, {},
                 "element types are never converted silently; use "
                 "tessera.convert");
}

InferredType tessera::likeOperand(Operation *op, unsigned index) {
  Value operand = op->getOperand(index);
  return {SmallVector<int64_t>(shapeOf(operand)),
          getElementTypeOrSelf(operand)};
}

LogicalResult tessera::verifyInferredResult(Operation *op, StringRef hint,
                                            bool checksElements) {
  InferredType inferred = cast<ResultTypeInterface>(op).inferResultType();
  Value result = op->getResult(0);
  if (inferred.shape &&
      failed(verifyShape(op, result, "a result", *inferred.shape, hint)))
    return failure();
  if (!checksElements || !inferred.elementType)
    return success();
  return verifyElementType(op, result, "a result", inferred.elementType);
}

/// "the result has dimensions 0 to 2".
static std::string dimsOf(NamedValue tensor) {
  size_t rank = shapeOf(tensor.value).size();
  return tensor.name.str() +
         (rank == 0   ? " has no dimensions"
          : rank == 1 ? " has dimension 0"
                      : " has dimensions 0 to " + std::to_string(rank - 1));
}

LogicalResult tessera::verifyDim(Operation *op, int64_t dim,
                                 NamedValue tensor) {
  auto rank = static_cast<int64_t>(shapeOf(tensor.value).size());
  if (dim >= 0 && dim < rank)
    return success();
  return explain(op->emitOpError()
                     << "has dimension " << dim << ", but the tensor has rank "
                     << rank << "; dimensions count from 0",
                 op, tensor, dimsOf(tensor));
}

LogicalResult tessera::verifyAscendingDims(Operation *op, StringRef name,
                                           ArrayRef<int64_t> dims,
                                           NamedValue tensor) {
  auto rank = static_cast<int64_t>(shapeOf(tensor.value).size());
  for (auto [i, dim] : llvm::enumerate(dims)) {
    if (dim < 0 || dim >= rank)
      return explain(op->emitOpError()
                         << name << " " << shapeToString(dims) << " holds "
                         << dim << ", but the tensor has rank " << rank,
                     op, tensor, dimsOf(tensor));
    if (i == 0 || dims[i - 1] < dim)
      continue;
    SmallVector<int64_t> sorted(dims);
    llvm::sort(sorted);
    sorted.erase(llvm::unique(sorted), sorted.end());
    return explain(op->emitOpError() << name << " " << shapeToString(dims)
                                     << " must ascend without repetition",
                   op, {},
                   "in order they are " + shapeToString(sorted) +
                       "; tessera.transpose puts dimensions in another order");
  }
  return success();
}

/// The shape of `type` behind `drop` leading dimensions.
static ArrayRef<int64_t> trailingShape(Type type, unsigned drop) {
  return cast<ShapedType>(type).getShape().drop_front(drop);
}

/// Whether `a` and `b` can be the same value up to their layouts: shapes behind
/// the dropped dimensions, element types and meshes are equal.
static bool isSameValue(Type a, unsigned dropA, Type b, unsigned dropB) {
  const Layout *layoutA = layoutOf(a), *layoutB = layoutOf(b);
  if (!layoutA != !layoutB || (layoutA && layoutA->mesh != layoutB->mesh))
    return false;
  return getElementTypeOrSelf(a) == getElementTypeOrSelf(b) &&
         trailingShape(a, dropA) == trailingShape(b, dropB);
}

namespace {
/// One end of an edge in messages: "the block argument".
struct EdgeEnd {
  Type type;
  std::string name;
  unsigned drop; ///< Leading dimensions that the edge does not have.
};
} // namespace

/// Names of an edge's ends, sources first. The first yield of a loop is what
/// its only terminator gives.
static SmallVector<EdgeEnd> endsOf(Operation *op, const DataFlowEdge &edge) {
  SmallVector<EdgeEnd> ends;
  for (OpOperand *source : edge.sources)
    ends.push_back({source->get().getType(),
                    source->getOwner() == op ? "an operand" : "a yielded value",
                    edge.hasLeadingSource()});
  for (Value target : edge.targets)
    ends.push_back(
        {target.getType(),
         isa<BlockArgument>(target) ? "a block argument" : "a result",
         edge.hasLeadingTarget()});
  return ends;
}

LogicalResult tessera::verifyEdges(DataFlowInterface op) {
  for (const DataFlowEdge &edge : op.getDataFlowEdges()) {
    SmallVector<EdgeEnd> ends = endsOf(op, edge);
    const EdgeEnd &first = ends.front();
    for (const EdgeEnd &end : ArrayRef(ends).drop_front())
      if (!isSameValue(first.type, first.drop, end.type, end.drop)) {
        InFlightDiagnostic error = op->emitOpError()
                                   << edge.describe() << " is " << first.name
                                   << " of type " << first.type << ", but "
                                   << end.name << " of type " << end.type;
        error.attachNote()
            << "element type and mesh stay the same, and so does the shape"
            << (edge.hasLeadingSource()   ? " behind the sequence's leading "
                                            "dimension"
                : edge.hasLeadingTarget() ? " behind the stacked result's "
                                            "leading dimension"
                                          : "");
        return error;
      }
  }
  return success();
}

ParseResult tessera::parseTypes(OpAsmParser &parser,
                                SmallVectorImpl<Type> &types) {
  return parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren, [&] {
    return parser.parseType(types.emplace_back());
  });
}

void tessera::printTypes(OpAsmPrinter &printer, Operation *, TypeRange types) {
  printer << '(';
  llvm::interleaveComma(types, printer);
  printer << ')';
}

LogicalResult tessera::verifySameTensor(Operation *op) {
  if (failed(verifyOneMesh(op)) ||
      failed(verifyShape(op, op->getOperand(0), "the input",
                         shapeOf(op->getResult(0)))))
    return failure();
  return verifyElementType(op, op->getOperand(0), "the input",
                           getElementTypeOrSelf(op->getResult(0).getType()));
}
