// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// How the results of a kernel are cut into blocks, one for each program of its
// grid.
#ifndef TESSERA_LIB_CONVERSION_TESSERATOTILE_ROOTBLOCKS_H
#define TESSERA_LIB_CONVERSION_TESSERATOTILE_ROOTBLOCKS_H

#include "BlockEmitter.h"
#include "KernelGroups.h"

namespace tessera {

/// The block of each root's value that one program of the kernel computes.
llvm::SmallVector<int64_t> chooseRootBlock(const KernelGroup &group,
                                           const TileSizes &sizes);

/// The same for a reduction alone.
llvm::SmallVector<int64_t> chooseReductionBlock(ReduceOp reduce,
                                                const TileSizes &sizes);

/// The block of sizes `block` that this program of the kernel computes, of
/// `counts` blocks along each dimension, the last one numbered fastest, or the
/// last of `order`, which has all dimensions.
BlockBox blockOfProgram(mlir::OpBuilder &builder, mlir::Location loc,
                        BlockEmitter &emitter, llvm::ArrayRef<int64_t> block,
                        llvm::ArrayRef<int64_t> counts,
                        llvm::ArrayRef<size_t> order = {});

/// Of attention: blocks of one head follow one another, since they read the
/// same keys and values, which stay in a core's second level cache.
constexpr size_t orderOfHeads[] = {0, 2, 1, 3};

/// Memory of a kernel argument: i8 for booleans, signless integers, shape [1]
/// for scalars.
mlir::MemRefType memoryTypeOf(mlir::Value value);

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TESSERATOTILE_ROOTBLOCKS_H
