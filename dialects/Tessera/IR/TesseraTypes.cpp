// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/Tessera.h"
#include "tessera/Analysis/ValueStates.h"

using namespace mlir;
using namespace tessera;

static bool isProgramElement(Type type) {
  return type.isF32() || type.isBF16() || type.isF16() || type.isF64() ||
         type.isInteger(1) || type.isSignlessInteger(32) ||
         type.isSignlessInteger(64) || type.isUnsignedInteger(32);
}

bool tessera::isProgramTensor(Type type) {
  // Sizes and elements of a mesh tensor are checked where the type is made.
  if (isa<MeshTensorType>(type))
    return true;
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.hasStaticShape() &&
         isProgramElement(tensor.getElementType());
}

/// Every verifier and rule asks for shapes, so without the look-up of an
/// interface for the types that most values have.
static ArrayRef<int64_t> shapeOfType(Type type) {
  if (auto meshTensor = dyn_cast<MeshTensorType>(type))
    return meshTensor.getShape();
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    return tensor.getShape();
  return cast<ShapedType>(type).getShape();
}

ArrayRef<int64_t> tessera::shapeOf(Value value) {
  return shapeOfType(value.getType());
}

std::vector<int64_t> tessera::shapeVector(Type type) {
  return shapeOfType(type).vec();
}

OpShapes tessera::opShapesOf(Operation *op) {
  OpShapes shapes;
  shapes.operands.reserve(op->getNumOperands());
  shapes.results.reserve(op->getNumResults());
  for (Type type : op->getOperandTypes())
    shapes.operands.push_back(shapeVector(type));
  for (Type type : op->getResultTypes())
    shapes.results.push_back(shapeVector(type));
  return shapes;
}

bool tessera::isFreeInAnyLayout(Value value) {
  auto op = value.getDefiningOp<KernelInterface>();
  auto isWhole = [](Type type) {
    const Layout *layout = layoutOf(type);
    return !layout || (layout->partial.empty() && layout->varying.empty());
  };
  return op && op.isCheapToClone() && isWhole(value.getType()) &&
         llvm::all_of(op->getOperandTypes(), [&](Type type) {
           return shapeVector(type).empty() && isWhole(type);
         });
}

const Layout *tessera::layoutOf(Type type) {
  auto meshTensor = dyn_cast<MeshTensorType>(type);
  return meshTensor ? &meshTensor.getLayout() : nullptr;
}

std::vector<AxisRef> tessera::varyingOfOperands(Operation *op,
                                                const Mesh &mesh) {
  std::vector<AxisRef> varying;
  for (Type type : op->getOperandTypes())
    if (const Layout *layout = layoutOf(type))
      if (!layout->varying.empty())
        varying = joinVarying(varying, layout->varying, mesh);
  return varying;
}

/// mesh_tensor ::= `<` shape element `,` @mesh (`,` layout-body)? `>`
Type MeshTensorType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape;
  Type elementType;
  StringAttr mesh;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() ||
      parser.parseDimensionList(shape, /*allowDynamic=*/false) ||
      parser.parseType(elementType) || parser.parseComma() ||
      parser.parseSymbolName(mesh))
    return {};
  Layout layout;
  if (succeeded(parser.parseOptionalComma())) {
    if (dist::parseLayoutBody(parser, layout))
      return {};
  } else {
    layout = Layout::open("", shape.size());
  }
  layout.mesh = mesh.getValue().str();
  if (parser.parseGreater())
    return {};
  if (failed(verifyInvariants([&] { return parser.emitError(loc); }, shape,
                              elementType, layout)))
    return {};
  return get(parser.getContext(), shape, elementType, std::move(layout));
}

void MeshTensorType::print(AsmPrinter &printer) const {
  printer << "<";
  printer.printDimensionList(getShape());
  if (!getShape().empty())
    printer << "x";
  printer << getElementType() << ", ";
  printer.printSymbolName(getLayout().mesh);
  if (!getLayout().isFullyOpen()) {
    printer << ", ";
    dist::printLayoutBody(printer, getLayout());
  }
  printer << ">";
}

LogicalResult
MeshTensorType::verifyInvariants(function_ref<InFlightDiagnostic()> emitError,
                                 ArrayRef<int64_t> shape, Type elementType,
                                 const Layout &layout) {
  if (!isProgramElement(elementType))
    return emitError() << "element type " << elementType
                       << " is not supported; expected f32, bf16, f16, f64, "
                          "i32, i64, ui32 or i1";
  if (layout.dims.size() != shape.size())
    return emitError() << "layout " << layout.str() << " has "
                       << layout.dims.size() << " dimensions, the tensor has "
                       << shape.size();
  // Far above any machine; keeps products of sizes from overflowing.
  constexpr int64_t maxElements = int64_t(1) << 48;
  int64_t elements = 1;
  for (int64_t size : shape) {
    if (size != 0 && elements > maxElements / size)
      return emitError() << "tensor has more than " << maxElements
                         << " elements";
    elements *= size;
  }
  return success();
}

ShapedType MeshTensorType::cloneWith(std::optional<ArrayRef<int64_t>> shape,
                                     Type elementType) const {
  if (!shape || shape->size() == getShape().size())
    return get(getContext(), shape.value_or(getShape()), elementType,
               getLayout());
  return get(getContext(), *shape, elementType,
             Layout::open(getLayout().mesh, shape->size()));
}

MeshTensorType MeshTensorType::withLayout(const Layout &layout) const {
  // Most ops keep their layouts, and finding a type again takes longer.
  if (layout == getLayout())
    return *this;
  return get(getContext(), getShape(), getElementType(), layout);
}

RankedTensorType MeshTensorType::getLocalType(const Mesh &mesh) const {
  return RankedTensorType::get(getLayout().localShape(getShape().vec(), mesh),
                               getElementType());
}
