// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "TileSizes.h"

#include "tessera/ABI/KernelABI.h"

#include <algorithm>
#include <limits>

namespace tessera {

TileSizes tileSizesFor(tile::TargetAttr target) {
  TileSizes sizes;
  if (!target.isGPU()) {
    sizes.productBlocks = {{1024, 192, 16}, {512, 192, 1}};
    sizes.packedBlocks = {{512, 768, 12}, {512, 384, 4}};
    sizes.sharedBlocks = {{256, 2048, 8}, {128, 2048, 8}, {64, 1024, 1}};
    sizes.sharedInPlace = {int64_t(1) << 30, 512};
    sizes.sharedPacked = {int64_t(1) << 24, 1};
    sizes.sharedElements = int64_t(1) << 22;
    sizes.sharedScratchBytes = abi::maxKernelScratch / 4 * 3;
    sizes.panelColumns = tile::TargetAttr::vectorsOfPanel * target.getLanes();
    sizes.panelBlock = {64, 8};
    sizes.fewRowsBlock = {16, 1024, 4};
    sizes.fewRowsElements = 1 << 15;
    sizes.oneRowBlocks = {{1, 256, 16}, {1, 64, 8}, {1, 32, 1}};
    sizes.oneRowDepth = 1536;
    sizes.oneRowElements = 3 << 17;
    sizes.productDepth = 384;
    sizes.productUnit = 16;
    sizes.attentionQueries = 128;
    sizes.attentionKeys = 256;
    sizes.gradientQueries = 64;
    sizes.causalChunks = {{512, 64},
                          {std::numeric_limits<int64_t>::max(), 128}};
    sizes.attentionElements = 1 << 18;
    sizes.attentionFixedColumns = 16;
    sizes.attentionGradientHeads = 4;
    sizes.rowElements = 4096;
    sizes.pointwiseElements = 8192;
    sizes.reduceElements = 16384;
    sizes.reduceColumns = 1024;
    sizes.reduceBlocks = 32;
    sizes.scatterBlocks = 8;
    sizes.transposeSide = 64;
    sizes.cumulativeRows = 64;
    sizes.scratchBytes = abi::maxKernelScratch / 2;
  } else {
    sizes.productBlocks = {{64, 64, 1}};
    sizes.productDepth = 32;
    sizes.productUnit = 0;
    sizes.attentionQueries = 32;
    sizes.attentionKeys = 32;
    sizes.gradientQueries = 32;
    sizes.attentionElements = 8192;
    sizes.attentionFixedColumns = std::numeric_limits<int64_t>::max();
    sizes.attentionGradientHeads = std::numeric_limits<int64_t>::max();
    sizes.rowElements = 4096;
    sizes.pointwiseElements = 1024;
    sizes.reduceElements = 4096;
    sizes.reduceColumns = 64;
    sizes.reduceBlocks = 256;
    sizes.scatterBlocks = 1;
    sizes.transposeSide = 32;
    sizes.cumulativeRows = 32;
    // Tiles that are not needed at one time share memory.
    sizes.scratchBytes = 2 * target.getSharedBytes();
  }
  return sizes;
}

int64_t mostDepth(const TileSizes &sizes, int64_t rows, int64_t columns) {
  if (rows > sizes.fewRowsBlock.rows)
    return sizes.productDepth;
  int64_t depth = sizes.fewRowsElements / std::max<int64_t>(1, columns);
  return std::clamp<int64_t>(depth, sizes.productUnit, sizes.productDepth);
}

int64_t mostDepthOfRow(const TileSizes &sizes, int64_t columns) {
  int64_t depth = sizes.oneRowElements / std::max<int64_t>(1, columns);
  return std::clamp<int64_t>(depth, sizes.productUnit, sizes.oneRowDepth);
}

AttentionChunks chooseAttentionChunks(const TileSizes &sizes,
                                      AttentionChunks whole, int64_t headSize,
                                      bool isCausal) {
  AttentionChunks most = {sizes.attentionQueries, sizes.attentionKeys};
  for (auto [keys, side] : sizes.causalChunks)
    if (isCausal && whole.keys <= keys) {
      most = {std::min(most.queries, side), std::min(most.keys, side)};
      break;
    }
  auto choose = [&](int64_t extent, int64_t rows) {
    while (rows > 1 && rows * headSize > sizes.attentionElements)
      rows /= 2;
    return chooseChunk(extent, rows);
  };
  return {choose(whole.queries, most.queries), choose(whole.keys, most.keys)};
}

int64_t chooseChunk(int64_t extent, int64_t most, int64_t unit) {
  if (extent <= most)
    return extent;
  for (int64_t size = most; 2 * size >= most; --size)
    if (extent % size == 0)
      return size;
  if (unit == 0)
    return most;
  int64_t parts = (extent + most - 1) / most;
  int64_t even = (extent + parts - 1) / parts;
  return std::min(most, (even + unit - 1) / unit * unit);
}

std::vector<int64_t> chooseBlock(const std::vector<int64_t> &shape,
                                 const std::vector<bool> &whole, int64_t most,
                                 int64_t unit) {
  std::vector<int64_t> block(shape.size(), 1);
  int64_t elements = 1;
  for (size_t d = 0; d < shape.size(); ++d)
    if (whole[d]) {
      block[d] = shape[d];
      elements *= shape[d];
    }
  for (size_t d = shape.size(); d-- > 0;) {
    if (whole[d] || elements >= most)
      continue;
    int64_t size =
        chooseChunk(shape[d], std::max<int64_t>(1, most / elements), unit);
    block[d] = size;
    elements *= size;
    if (size < shape[d])
      break;
  }
  return block;
}

} // namespace tessera
