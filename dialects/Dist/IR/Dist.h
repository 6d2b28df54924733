// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The dist dialect: meshes, layouts, collectives.
#ifndef TESSERA_DIALECTS_DIST_IR_DIST_H
#define TESSERA_DIALECTS_DIST_IR_DIST_H

#include "tessera/Analysis/CollectiveCost.h"
#include "tessera/Analysis/Layout.h"
#include "tessera/Analysis/Mesh.h"

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace tessera {
llvm::hash_code hash_value(const Mesh &mesh);
llvm::hash_code hash_value(const AxisRef &axis);
llvm::hash_code hash_value(const std::vector<AxisRef> &axes);
llvm::hash_code hash_value(const Layout &layout);
} // namespace tessera

#include "dialects/Dist/IR/DistDialect.h.inc"
#include "dialects/Dist/IR/DistEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Dist/IR/DistAttrs.h.inc"

#define GET_OP_CLASSES
#include "dialects/Dist/IR/MeshOps.h.inc"
#define GET_OP_CLASSES
#include "dialects/Dist/IR/CollectiveOps.h.inc"

namespace tessera::dist {

/// Reads `[{tp}, {?}p1], partial = sum{dp}, reduced = {x}`; the mesh's name is
/// left as it is in `layout`.
mlir::ParseResult parseLayoutBody(mlir::AsmParser &parser, Layout &layout);
void printLayoutBody(mlir::AsmPrinter &printer, const Layout &layout);

/// lib/Analysis has the same kinds under the same numbers.
static_assert(
    static_cast<int>(ReductionKind::sum) == static_cast<int>(ReduceKind::Sum) &&
    static_cast<int>(ReductionKind::max) == static_cast<int>(ReduceKind::Max) &&
    static_cast<int>(ReductionKind::min) == static_cast<int>(ReduceKind::Min) &&
    static_cast<int>(ReductionKind::prod) ==
        static_cast<int>(ReduceKind::Prod));
inline ReduceKind toReduceKind(ReductionKind kind) {
  return static_cast<ReduceKind>(kind);
}
inline ReductionKind toReductionKind(ReduceKind kind) {
  return static_cast<ReductionKind>(kind);
}

/// The kind of collective that `op` is, if it is one.
std::optional<CollectiveKind> getCollectiveKind(mlir::Operation *op);

/// The mesh that `name` refers to at `from`, or nullopt when there is none.
std::optional<Mesh> lookupMesh(mlir::Operation *from, llvm::StringRef name);

} // namespace tessera::dist

#endif // TESSERA_DIALECTS_DIST_IR_DIST_H
