// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Plan/IR/Plan.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tessera::plan;

#include "dialects/Plan/IR/PlanDialect.cpp.inc"
#include "dialects/Plan/IR/PlanEnums.cpp.inc"
#include "dialects/Plan/IR/PlanInterfaces.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/Plan/IR/PlanTypes.cpp.inc"

/// CollectiveKinds.inc and the cases of Plan_CollectiveKind are one list.
enum class KindOfABI {
#define TESSERA_COLLECTIVE(NAME, TEXT, ...) TEXT,
#include "tessera/ABI/CollectiveKinds.inc"
  end
};
static_assert(getMaxEnumValForCollectiveKind() + 1 ==
              static_cast<unsigned>(KindOfABI::end));
#define TESSERA_COLLECTIVE(NAME, TEXT, ...)                                    \
  static_assert(static_cast<int>(CollectiveKind::TEXT) ==                      \
                static_cast<int>(KindOfABI::TEXT));
#include "tessera/ABI/CollectiveKinds.inc"

void PlanDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/Plan/IR/PlanTypes.cpp.inc"
      >();
#include "dialects/Plan/IR/PlanOps.inc"
}

LogicalResult BufferType::verify(function_ref<InFlightDiagnostic()> emitError,
                                 int64_t bytes) {
  if (bytes >= 0)
    return success();
  return emitError() << "a buffer has " << bytes
                     << " bytes; expected 0 or more";
}

int64_t tessera::plan::byteSizeOf(Type tensor) {
  auto shaped = cast<ShapedType>(tensor);
  int64_t bits = shaped.getElementTypeBitWidth();
  return shaped.getNumElements() * ((bits + 7) / 8);
}
