// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Element types and constants of MLIR as those of the evaluator.
#include "tessera/Interpreter/Interpreter.h"

#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;
using namespace tessera;

std::optional<ElementKind> tessera::elementKindOf(Type type) {
  if (type.isF32())
    return ElementKind::F32;
  if (type.isBF16())
    return ElementKind::BF16;
  if (type.isF16())
    return ElementKind::F16;
  if (type.isF64())
    return ElementKind::F64;
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer)
    return std::nullopt;
  if (integer.getWidth() == 1)
    return ElementKind::I1;
  if (integer.getWidth() == 32)
    return integer.isUnsigned() ? ElementKind::UI32 : ElementKind::I32;
  if (integer.getWidth() == 64 && !integer.isUnsigned())
    return ElementKind::I64;
  return std::nullopt;
}

static double toDouble(APFloat value) {
  bool losesInfo;
  value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                &losesInfo);
  return value.convertToDouble();
}

static int64_t toInt(const APInt &value, ElementKind kind) {
  bool isUnsigned = kind == ElementKind::UI32 || kind == ElementKind::I1;
  return isUnsigned ? static_cast<int64_t>(value.getZExtValue())
                    : value.getSExtValue();
}

FailureOr<Tensor> tessera::tensorOf(ElementsAttr attr, Shape shape) {
  std::optional<ElementKind> kind = elementKindOf(attr.getElementType());
  if (!kind)
    return failure();
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(attr)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    int64_t bytes = countElements(shape) * byteSize(*kind);
    if (!blob || static_cast<int64_t>(blob->getData().size()) != bytes)
      return failure();
    return readBuffer(blob->getData().data(), std::move(shape), *kind);
  }
  auto dense = dyn_cast<DenseElementsAttr>(attr);
  if (!dense)
    return failure();
  Tensor tensor(std::move(shape), *kind);
  if (isFloat(*kind))
    for (auto [to, from] :
         llvm::zip_equal(tensor.floats, dense.getValues<APFloat>()))
      to = toDouble(from);
  else
    for (auto [to, from] :
         llvm::zip_equal(tensor.ints, dense.getValues<APInt>()))
      to = toInt(from, *kind);
  return tensor;
}
