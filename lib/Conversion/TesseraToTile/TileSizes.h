// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// How large the blocks of kernels are on each target.
#ifndef TESSERA_LIB_CONVERSION_TESSERATOTILE_TILESIZES_H
#define TESSERA_LIB_CONVERSION_TESSERATOTILE_TILESIZES_H

#include "dialects/Tile/IR/Tile.h"

#include <cstdint>
#include <utility>
#include <vector>

namespace tessera {

/// Rows and columns of the result of a product, if they leave so many programs
/// or more that all threads have work.
struct ProductBlock {
  int64_t rows, columns, programs;
};

/// What a product has at least that is worth the launch of a kernel that packs
/// its right factor.
struct SharingBounds {
  int64_t multiplications = 0, columns = 0;
};

struct TileSizes {
  /// Largest first: each program reads all of its rows and columns of the
  /// factors. The last one leaves as many programs as it does.
  std::vector<ProductBlock> productBlocks;
  /// Before these, for a product whose left factor has the summed elements
  /// apart in memory: each program packs both factors.
  std::vector<ProductBlock> packedBlocks;
  /// Instead of these, for a product whose right factor is packed once for all
  /// programs, in panels of so many columns; 0 columns: none is shared.
  std::vector<ProductBlock> sharedBlocks;
  int64_t panelColumns = 0;
  /// Rows and panels that one block of the kernel that packs them copies.
  struct {
    int64_t rows = 0, panels = 0;
  } panelBlock;
  /// Where the left factor could be read in place, which is packed then, too;
  /// and where each program packs it in any case.
  SharingBounds sharedInPlace, sharedPacked;
  int64_t sharedElements = 0; ///< At most, of panels, which memory holds, too.
  /// Of what a block keeps that reads such panels; it packs its left factor,
  /// too.
  int64_t sharedScratchBytes = 0;
  /// Before all others, for a product of at most so many rows whose right
  /// factor has columns side by side in memory: it is read once, at memory's
  /// speed, where each program reads long pieces of its rows.
  ProductBlock fewRowsBlock = {0, 0, 0};
  int64_t fewRowsElements = 0; ///< Of that factor, multiplied at one time.
  /// Before all others, for a product of one row whose right factor has the
  /// summed elements side by side in memory: nothing is packed, and each
  /// program reads whole rows of that memory, or long pieces.
  std::vector<ProductBlock> oneRowBlocks;
  int64_t oneRowDepth = 0, oneRowElements = 0; ///< Multiplied at one time.
  int64_t productDepth; ///< Summed at one time, of others.
  /// What parts of products are whole numbers of where sizes do not divide.
  int64_t productUnit;
  int64_t attentionQueries;
  int64_t attentionKeys;
  int64_t gradientQueries; ///< Of gradients of attention: more tiles are alive.
  /// By the most keys of causal attention: no more queries and keys than this.
  /// Of blocks on the diagonal, half is computed in vain.
  std::vector<std::pair<int64_t, int64_t>> causalChunks;
  int64_t attentionElements; ///< Of a block's queries, or keys, of all columns.
  /// From how many rows on those that a loop over others reads in every turn
  /// are the columns of the scores, transposed and scaled before it: the factor
  /// of the product that is packed. Else they are the other factor.
  int64_t attentionFixedColumns;
  /// Key heads in all from which on one block computes all gradients of a key
  /// head, with fewest products; fewer leave cores without work.
  int64_t attentionGradientHeads;
  int64_t rowElements;       ///< Of all rows of a row kernel's block.
  int64_t pointwiseElements; ///< Of a pointwise kernel's block.
  int64_t reduceElements;    ///< Read at one time by a reduction.
  int64_t reduceColumns;     ///< Side by side, of a reduction down columns.
  int64_t reduceBlocks;      ///< Of fewer, a reduction is split.
  int64_t scatterBlocks;     ///< Of fewer, a scatter's have some rows each.
  int64_t transposeSide;     ///< Of the square that a transposition moves.
  int64_t cumulativeRows;    ///< Side by side, of a cumulative op's block.
  int64_t scratchBytes;      ///< Of tiles kept by a block without products.
};

/// cpu: a block of the right factor and of the result stay in a core's second
/// level cache; cuda: two blocks of threads fit a processor's shared memory.
TileSizes tileSizesFor(tile::TargetAttr target);

/// What a block of `rows` x `columns` of a product sums at one time.
int64_t mostDepth(const TileSizes &sizes, int64_t rows, int64_t columns);

/// The same of one row, whose other factor is not packed.
int64_t mostDepthOfRow(const TileSizes &sizes, int64_t columns);

/// Queries and keys that a block of an attention, or of its gradients, computes
/// at one time.
struct AttentionChunks {
  int64_t queries, keys;
};

/// Those of so many queries and keys in all, whose rows have `headSize`
/// elements.
AttentionChunks chooseAttentionChunks(const TileSizes &sizes,
                                      AttentionChunks whole, int64_t headSize,
                                      bool isCausal);

/// A size for cutting `extent`: the largest divisor not above `most` when it is
/// at least half of it; else `most`, or where `unit` is given as many of it as
/// make parts even (the last block is then partly outside).
int64_t chooseChunk(int64_t extent, int64_t most, int64_t unit = 0);

/// Cuts `shape` into blocks of at most `most` elements, taking whole dimensions
/// from the last one on; dimensions flagged in `whole` are never cut.
std::vector<int64_t> chooseBlock(const std::vector<int64_t> &shape,
                                 const std::vector<bool> &whole, int64_t most,
                                 int64_t unit = 0);

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TESSERATOTILE_TILESIZES_H
