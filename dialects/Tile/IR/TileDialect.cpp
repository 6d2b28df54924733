// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tile/IR/Tile.h"
#include "tessera/Analysis/GpuChips.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tessera::tile;

#include "dialects/Tile/IR/TileDialect.cpp.inc"
#include "dialects/Tile/IR/TileEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Tile/IR/TileAttrs.cpp.inc"

static bool isElementType(Type type) {
  return type.isF64() || type.isF32() || type.isBF16() || type.isF16() ||
         type.isSignlessInteger(1) || type.isSignlessInteger(8) ||
         type.isSignlessInteger(32) || type.isSignlessInteger(64);
}

/// Every target walks over the dimensions, and takes no step over none of them.
static bool hasElements(ShapedType type) {
  return type.hasStaticShape() && type.getRank() > 0 &&
         type.getNumElements() > 0;
}

bool tessera::tile::isTileType(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && hasElements(tensor) &&
         isElementType(tensor.getElementType());
}

bool tessera::tile::isMemoryType(Type type) {
  auto memory = dyn_cast<MemRefType>(type);
  return memory && hasElements(memory) &&
         !memory.getElementType().isInteger(1) &&
         isElementType(memory.getElementType());
}

Operation *TileDialect::materializeConstant(OpBuilder &builder, Attribute value,
                                            Type type, Location loc) {
  return arith::ConstantOp::materialize(builder, value, type, loc);
}

LogicalResult
TargetAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError,
                   TargetKind kind, StringRef chip, int64_t vectorBits) {
  if (kind == TargetKind::cpu) {
    if (llvm::is_contained({0, 128, 256, 512}, vectorBits))
      return success();
    return emitError() << "a CPU with vectors of " << vectorBits
                       << " bits is not supported; expected 128, 256 or 512";
  }
  if (vectorBits != 0)
    return emitError() << "vectorBits describes a CPU; leave it out for cuda";
  if (chip.empty() || tessera::findGpuChip(chip))
    return success();
  InFlightDiagnostic error = emitError() << "unknown GPU \"" << chip
                                         << "\"; expected one of";
  for (const tessera::GpuChip &known : tessera::gpuChips)
    error << " " << known.name;
  return error;
}

int64_t TargetAttr::getSharedBytes() const {
  int64_t least = tessera::gpuChips.front().sharedBytes;
  for (const tessera::GpuChip &chip : tessera::gpuChips) {
    if (getChip() == StringRef(chip.name))
      return chip.sharedBytes;
    least = std::min(least, chip.sharedBytes);
  }
  return least;
}

TargetAttr TargetAttr::of(Operation *op) {
  while (op) {
    if (auto target = op->getAttrOfType<TargetAttr>(attrName))
      return target;
    op = op->getParentOp();
  }
  return {};
}

LogicalResult TileDialect::verifyOperationAttribute(Operation *op,
                                                    NamedAttribute attribute) {
  if (attribute.getName() == nonPositiveAttrName) {
    auto exp = dyn_cast<math::ExpOp>(op);
    if (exp && getElementTypeOrSelf(exp.getType()).isF32() &&
        isa<UnitAttr>(attribute.getValue()))
      return success();
    return op->emitError() << nonPositiveAttrName
                           << " is a unit attribute of math.exp of f32";
  }
  if (attribute.getName() != TargetAttr::attrName ||
      (isa<ModuleOp>(op) && isa<TargetAttr>(attribute.getValue())))
    return success();
  return op->emitError() << TargetAttr::attrName
                         << " is an attribute of modules and of type "
                            "#tile.target, such as #tile.target<cuda, "
                            "chip = \"sm_90a\">";
}

void TileDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Tile/IR/TileAttrs.cpp.inc"
      >();
#include "dialects/Tile/IR/TileOps.inc"
}
