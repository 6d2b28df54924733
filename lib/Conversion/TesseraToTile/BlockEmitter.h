// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Computes one block of a value inside a kernel, and of what it needs blocks of
// other values, down to the kernel's inputs in memory.
#ifndef TESSERA_LIB_CONVERSION_TESSERATOTILE_BLOCKEMITTER_H
#define TESSERA_LIB_CONVERSION_TESSERATOTILE_BLOCKEMITTER_H

#include "TileSizes.h"
#include "dialects/Tessera/IR/Tessera.h"
#include "dialects/Tile/IR/Reductions.h"
#include "dialects/Tile/IR/Tile.h"
#include "lib/Conversion/TileKernels/ForLoop.h"

#include <map>

namespace tessera {

/// A box of a value: the index of its first element and its size per dimension.
/// Scalars count as tensors of shape [1].
struct BlockBox {
  llvm::SmallVector<mlir::Value> offsets;
  llvm::SmallVector<int64_t> sizes;
};

/// The same kind in the tile dialect, which does not know dist.
tile::ReductionKind toTileKind(dist::ReductionKind kind);

/// Unsigned numbers in the order of the elements that they stand for.
struct SortKeys {
  mlir::Value tile;
  /// The bits, end exclusive, that decide which of two keys is less.
  int64_t lowBit = 0, highBit = 0;
};

/// One of `count` parts, of about the same number of rows each.
struct RowPart {
  mlir::Value number;
  int64_t count = 1;
};

class BlockEmitter {
public:
  /// `memories` maps the values that are in memory to the kernel's arguments.
  BlockEmitter(mlir::OpBuilder &builder, TileSizes sizes,
               llvm::DenseMap<mlir::Value, mlir::Value> memories)
      : builder(builder), sizes(sizes), memories(std::move(memories)) {}

  /// The tile `box` of `value`, of the value's element type. Parts of the box
  /// outside the value hold anything, or zero where the value is in memory.
  /// Null, with a diagnostic, when the op cannot be emitted.
  mlir::Value emit(mlir::Value value, const BlockBox &box);

  mlir::Value constantIndex(int64_t value);
  mlir::Value addIndex(mlir::Value a, int64_t b);
  mlir::Value addIndices(mlir::Value a, mlir::Value b);
  /// The scalar `start` as an index, clamped to [0, last]. Null, with a
  /// diagnostic, when it cannot be emitted.
  mlir::Value emitStart(mlir::Value start, int64_t last);
  /// Updates memory `output` with the updates of `box`, which has some of the
  /// positions along the first dimension of the indices and takes all of them,
  /// chunk by chunk; of the rows only those of `part`. False, with a
  /// diagnostic, when something cannot be emitted.
  bool scatter(ScatterOp op, mlir::Value output, BlockBox box, RowPart part);
  /// The keys of the elements in `box`. Null, with a diagnostic, when the input
  /// cannot be emitted.
  SortKeys emitSortKeys(ArgsortOp op, const BlockBox &box);

  /// The block of an attention whose first query is `position`: of its result,
  /// [1, queries, 1, E], unless `value` is null, and of its logsumexp,
  /// [1, 1, queries]. AttentionBlocks.cpp.
  struct AttentionTiles {
    mlir::Value result, logsumexp;
  };
  std::optional<AttentionTiles> emitAttention(AttentionLogsumexpOp op,
                                              mlir::Value value,
                                              const BlockBox &box);

  /// Where a kernel puts the gradients of an attention by its operands: null
  /// for those that it does not compute. That of the queries, if there are
  /// others, begins as zeros.
  struct AttentionGradients {
    mlir::Value query, key, value;
  };
  /// What a block of such a kernel computes of one batch element: of query head
  /// `head` the gradients by the queries from `first` on; or of key head `head`
  /// those by the keys from `first` on, and if it is null by all keys.
  struct GradientBlock {
    mlir::Value batch, head, first;
  };
  /// False, with a diagnostic, when something cannot be emitted.
  /// AttentionGradientBlocks.cpp.
  bool emitAttentionGradients(AttentionGradientOp op,
                              const AttentionGradients &outputs,
                              const GradientBlock &block);
  static AttentionChunks chooseGradientChunks(const TileSizes &sizes,
                                              AttentionGradientOp op);

  /// Packs `box` of the right factor of `op` into `output`, its panels: see
  /// SharedFactor. False, with a diagnostic, when the factor cannot be emitted.
  /// ProductBlocks.cpp.
  bool storePanels(ContractOp op, const BlockBox &box, mlir::Value output);
  /// `op` is to read its right factor from `value`, its panels.
  void readPanels(ContractOp op, mlir::Value value) { panels[op] = value; }

  /// Visits `box` in pieces along the dimension of `op`, which is whole in it,
  /// in the order in which `op` combines; `body` emits what is to be done with
  /// a piece, and may emit `op` itself. CumulativeBlocks.cpp.
  void forEachPiece(CumulativeOp op, const BlockBox &box,
                    llvm::function_ref<void(const BlockBox &)> body);

  /// Stores `box` of a concatenation, each input's part of it by itself, where
  /// `box` has all of the dimension, or is in one input whichever block it is.
  /// False, with a diagnostic, when an input cannot be emitted.
  bool storeParts(ConcatenateOp op, const BlockBox &box, mlir::Value output);
  static bool canStoreParts(ConcatenateOp op, llvm::ArrayRef<int64_t> block);
  /// `tile` to memory, where booleans are i8.
  void store(mlir::Value tile, mlir::Value memory, mlir::ValueRange offsets);

  /// Shape of a value, scalars as [1].
  static llvm::SmallVector<int64_t> shapeOf1(mlir::Value value);
  /// Columns of the widest of an attention's queries, keys and values.
  static int64_t headElements(mlir::Value query, mlir::Value value);
  /// The chunks of attention, or of attention_logsumexp with the values of an
  /// attention beside it, if there is one.
  template <typename Op>
  static AttentionChunks chooseChunks(const TileSizes &sizes, Op op,
                                      mlir::Value value) {
    return chooseAttentionChunks(
        sizes, {shapeOf(op.getQuery())[1], shapeOf(op.getKey())[1]},
        headElements(op.getQuery(), value), op.getCausal());
  }

private:
  mlir::Value compute(mlir::Value value, const BlockBox &box);
  mlir::Value load(mlir::Value value, const BlockBox &box);

  /// A tile as loaded from memory, whose booleans are i8, in `elementType`.
  mlir::Value fromMemory(mlir::Value tile, mlir::Type elementType);
  /// The same memory with other strides.
  mlir::Value viewOf(mlir::Value memory, int64_t offset,
                     llvm::ArrayRef<int64_t> shape,
                     llvm::ArrayRef<int64_t> strides);

  // ElementwiseBlocks.cpp
  mlir::Value emitElementwise(mlir::Operation *op, const BlockBox &box);
  mlir::Value emitUnary(mlir::Operation *op, mlir::Value x);
  mlir::Value emitBinary(mlir::Operation *op, mlir::Value x, mlir::Value y);
  mlir::Value emitCompare(CompareOp op, mlir::Value lhs, mlir::Value rhs);
  mlir::Value emitSign(mlir::Value x);
  mlir::Value emitLog(mlir::Value x);
  mlir::Value emitExp(mlir::Value x);
  mlir::Value keepZero(mlir::Value x, mlir::Value result);
  mlir::Value emitLogistic(mlir::Value x);
  mlir::Value emitGelu(GeluOp op, mlir::Value x);
  template <typename Op>
  mlir::Value emitShift(mlir::Value x, mlir::Value y,
                        std::optional<int64_t> otherwise);

  // FunctionBlocks.cpp
  class Formula;
  mlir::Value emitInverseErf(mlir::Value x);
  mlir::Value emitNextafter(mlir::Value x, mlir::Value y);
  mlir::Value emitIntegerPower(mlir::Value x, mlir::Value y, bool isUnsigned);
  mlir::Value emitAtan2(mlir::Value y, mlir::Value x);
  mlir::Value safeDivisor(mlir::Value number, mlir::Value divisor,
                          bool isUnsigned);

  // ConvertBlocks.cpp
  mlir::Value emitConvert(mlir::Value value, mlir::Type from, mlir::Type to);
  mlir::Value isNotZero(mlir::Value value);
  mlir::Value toOddF32(mlir::Value value);
  mlir::Value floatToFloat(mlir::Value value, mlir::Type to);
  mlir::Value floatToInteger(mlir::Value value, mlir::Type to);
  mlir::Value integerToFloat(mlir::Value value, mlir::Type from, mlir::Type to);
  mlir::Value integerToInteger(mlir::Value value, mlir::Type from,
                               mlir::Type to);

  // MovementBlocks.cpp
  mlir::Value emitBroadcast(BroadcastOp op, const BlockBox &box);
  mlir::Value emitReshape(ReshapeOp op, const BlockBox &box);
  mlir::Value emitCut(ReshapeOp op, int64_t dim, const BlockBox &box);
  mlir::Value emitTranspose(TransposeOp op, const BlockBox &box);
  mlir::Value emitSlice(SliceOp op, const BlockBox &box);
  mlir::Value emitPad(PadOp op, const BlockBox &box);
  mlir::Value emitConcatenate(ConcatenateOp op, const BlockBox &box);
  mlir::Value emitIota(IotaOp op, const BlockBox &box);
  mlir::Value emitConstant(ConstantOp op, const BlockBox &box);

  // IndexingBlocks.cpp
  struct RowView;
  struct RowBox;
  mlir::Value emitDynamicSlice(DynamicSliceOp op, const BlockBox &box);
  mlir::Value emitGather(GatherOp op, const BlockBox &box);
  RowView viewAsRows(mlir::Value memory, const IndexedDims &dims);
  static RowBox cutIntoRows(const IndexedDims &dims, const BlockBox &box);
  /// The numbers of the rows of `view` that a box of slices of `source` reads
  /// or writes: a tile of rank 1. -1 where an index is out of range.
  mlir::Value emitRowNumbers(const IndexedDims &dims, mlir::ValueRange indices,
                             mlir::Value source, const RowView &view,
                             const RowBox &rows, const BlockBox &box);
  bool scatterRows(ScatterOp op, mlir::Value output, BlockBox box,
                   RowPart part);
  mlir::Value onlyRowsOf(RowPart part, int64_t numRows, mlir::Value numbers);

  // RowBlocks.cpp
  mlir::Value emitReduce(ReduceOp op, const BlockBox &box);
  BlockBox reducedBox(ReduceOp op, const BlockBox &box);
  mlir::Value flipForOrder(mlir::Operation *op, tile::ReductionKind kind,
                           mlir::Value tile);
  mlir::Value reduceTile(ReduceOp op, mlir::Value tile);
  mlir::Value reduceInChunks(ReduceOp op, BlockBox source);
  mlir::Value emitSoftmax(SoftmaxOp op, const BlockBox &box);
  mlir::Value emitLayerNorm(LayerNormOp op, const BlockBox &box);
  mlir::Value emitRmsNorm(RmsNormOp op, const BlockBox &box);
  mlir::Value emitNormTangent(NormTangentOp op, const BlockBox &box);

  // TotalBlocks.cpp
  struct RowTotals;
  struct RowScan;
  mlir::Value shiftOf(mlir::Value most);
  mlir::Value pickLabels(const RowScan &scan, mlir::Value tile,
                         mlir::Value position);
  std::optional<RowTotals> addPiece(const RowScan &scan, const BlockBox &box,
                                    mlir::Value position,
                                    std::optional<RowTotals> before);
  std::optional<RowTotals> totalsOf(const RowScan &scan);
  BlockBox rowsBox(mlir::Value input, int64_t dim, const BlockBox &box);
  mlir::Value emitLogsumexp(LogsumexpOp op, const BlockBox &box);
  mlir::Value emitCrossEntropy(CrossEntropyOp op, const BlockBox &box);

  // CumulativeBlocks.cpp
  mlir::Value emitCumulative(CumulativeOp op, const BlockBox &box);

  // ProductBlocks.cpp
  class ContractBlock;
  mlir::Value emitContract(ContractOp op, const BlockBox &box);

  // AttentionScores.h, AttentionBlocks.cpp, AttentionGradientBlocks.cpp
  class AttentionScores;
  class AttentionBlock;
  class AttentionGradientBlock;
  mlir::Value emitAttention(AttentionOp op, const BlockBox &box);

  // RandomBlocks.cpp
  class RngBlock;
  mlir::Value emitRng(RngOp op, const BlockBox &box);

  // Helpers on tiles.
  mlir::RankedTensorType tileType(llvm::ArrayRef<int64_t> shape,
                                  mlir::Type elementType);
  mlir::Value splat(llvm::ArrayRef<int64_t> shape, mlir::TypedAttr element);
  mlir::Value splatNumber(llvm::ArrayRef<int64_t> shape, mlir::Type type,
                          double value);
  mlir::Value reshape(mlir::Value tile, llvm::ArrayRef<int64_t> shape);
  mlir::Value broadcastTo(mlir::Value tile, llvm::ArrayRef<int64_t> shape);
  mlir::Value transpose(mlir::Value tile, llvm::ArrayRef<int64_t> permutation);
  mlir::Value reduce(tile::ReductionKind kind, mlir::Value tile, int64_t dim,
                     bool areNumbers = false);
  /// The largest element, for kernels that sum e^(element - largest): their
  /// result is NaN where an element is.
  mlir::Value reduceToMost(mlir::Value tile, int64_t dim) {
    return reduce(tile::ReductionKind::max, tile, dim, /*areNumbers=*/true);
  }
  /// Indices of a tile's elements along `dim`, counted from `offset`, in i32,
  /// or in i64 where they or `end` may not fit.
  mlir::Value indicesAlong(llvm::ArrayRef<int64_t> shape, int64_t dim,
                           mlir::Value offset, int64_t end = 0);
  /// Indices in i64.
  mlir::Value toI64(mlir::Value tile);
  /// i1 tile: 0 <= offset + i < end along `dim`.
  mlir::Value insideAlong(llvm::ArrayRef<int64_t> shape, int64_t dim,
                          mlir::Value offset, int64_t end);
  /// What elements of a type are summed in: f32 for narrower floats.
  mlir::Type accumulatorType(mlir::Type elementType);
  mlir::Value toF32(mlir::Value tile);
  mlir::Value fromF32(mlir::Value tile, mlir::Type elementType);

  /// for (i = 0; i < end; i += step) carried = body(i, carried).
  llvm::SmallVector<mlir::Value> forLoop(int64_t end, int64_t step,
                                         mlir::ValueRange inits, LoopBody body);
  llvm::SmallVector<mlir::Value> forLoop(mlir::Value end, int64_t step,
                                         mlir::ValueRange inits, LoopBody body);
  llvm::SmallVector<mlir::Value> forLoop(LoopRange range,
                                         mlir::ValueRange inits, LoopBody body);

  mlir::OpBuilder &builder;
  mlir::Location loc = builder.getUnknownLoc();
  TileSizes sizes;
  llvm::DenseMap<mlir::Value, mlir::Value> memories;
  llvm::DenseMap<mlir::Operation *, mlir::Value> panels; ///< Of products.
  /// What a cumulative op has come to before this piece, and after it.
  mlir::Value carry, nextCarry;
  using Key = std::pair<void *, std::vector<std::pair<void *, int64_t>>>;
  /// Blocks already computed at this point of the program.
  std::map<Key, mlir::Value> memo;
  /// log(sum(exp(x))) of rows is `shift + log`.
  struct LogSum {
    mlir::Value shift, log;
  };
  /// Of the rows of a box along a dimension, at this point of the program.
  std::map<Key, LogSum> logSums;
  static Key keyOf(const RowScan &scan);
  /// Sums of an index and a constant at this point of the program.
  std::map<std::pair<void *, int64_t>, mlir::Value> sums;
  /// Constants, one op each, so that equal boxes have equal offsets.
  std::map<int64_t, mlir::Value> constants;
};

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TESSERATOTILE_BLOCKEMITTER_H
