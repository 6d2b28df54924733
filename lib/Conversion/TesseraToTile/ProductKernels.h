// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// How products are cut into blocks, and which of them read a right factor that
// a kernel of its own has packed.
#ifndef TESSERA_LIB_CONVERSION_TESSERATOTILE_PRODUCTKERNELS_H
#define TESSERA_LIB_CONVERSION_TESSERATOTILE_PRODUCTKERNELS_H

#include "BlockEmitter.h"
#include "KernelGroups.h"

namespace tessera {

/// The block of the result of `product` that one program of the kernel of
/// `group` computes, packing its right factor by itself.
llvm::SmallVector<int64_t> chooseProductBlock(const KernelGroup &group,
                                              ContractOp product,
                                              const TileSizes &sizes);

/// Whether `product` is of one row, and the last dimension in memory of its
/// right factor is the one that is summed in chunks. `isInMemory` says which
/// values a kernel reads.
bool isRowTimesRows(ContractOp product,
                    llvm::function_ref<bool(mlir::Value)> isInMemory);

/// A right factor that is packed once for all blocks of rows, on a CPU. Packing
/// in each program is then saved, and with it what limits blocks to columns
/// whose factor stays in a core's cache.
struct SharedFactor {
  ContractOp product;
  /// tensor<summed... x chunks x panels x depth x panelColumns>: what is
  /// multiplied at one time lies together. Panel p of chunk c has the columns
  /// from p * panelColumns on of the rows, along the last summed dimension,
  /// from c * depth on; what is past the factor's end is zero.
  mlir::RankedTensorType type;
  llvm::SmallVector<int64_t> block; ///< Of the product's result.
  mlir::Value source; ///< In memory: what the factor is a transpose of.
};

/// Nothing where `group` is no product, or each of its programs would do as
/// well to pack the factor.
std::optional<SharedFactor> findSharedFactor(const KernelGroup &group,
                                             const TileSizes &sizes);

/// Makes blocks of about half as many rows; false where they have one.
bool halveRows(SharedFactor &factor);

/// The kernel that packs: of `factor.source`, its only input. Null, with a
/// diagnostic, where it cannot be built.
tile::KernelOp buildPackingKernel(mlir::OpBuilder &builder,
                                  const SharedFactor &factor,
                                  const TileSizes &sizes);

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TESSERATOTILE_PRODUCTKERNELS_H
