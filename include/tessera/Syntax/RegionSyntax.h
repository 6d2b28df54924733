// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Regions in the custom syntax of ops: custom<Region>($body),
// custom<Regions>($branches).
#ifndef TESSERA_SYNTAX_REGIONSYNTAX_H
#define TESSERA_SYNTAX_REGIONSYNTAX_H

#include "mlir/IR/OpImplementation.h"

namespace tessera {

/// A region of one block, which may be empty: `{ }`. Refuses one whose values
/// are used outside of it. No valid program has such uses, but MLIR's parser
/// takes a name that was used before for a value that a later region defines,
/// isolated ones included, and leaves the use behind where it deletes the
/// region after a later error.
mlir::ParseResult parseRegion(mlir::OpAsmParser &parser, mlir::Region &region);
void printRegion(mlir::OpAsmPrinter &printer, mlir::Operation *op,
                 mlir::Region &region);

/// Any number of such regions: `{ }, { }`.
mlir::ParseResult
parseRegions(mlir::OpAsmParser &parser,
             llvm::SmallVectorImpl<std::unique_ptr<mlir::Region>> &regions);
void printRegions(mlir::OpAsmPrinter &printer, mlir::Operation *op,
                  mlir::RegionRange regions);

} // namespace tessera

#endif // TESSERA_SYNTAX_REGIONSYNTAX_H
