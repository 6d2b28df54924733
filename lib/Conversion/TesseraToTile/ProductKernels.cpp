// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ProductKernels.h"
#include "RootBlocks.h"

using namespace mlir;
using namespace tessera;

/// The letter of the dimension of `factor`, whose dimensions have `letters`,
/// along which neighbours in memory lie; 0 where it is computed in the kernel,
/// or is one element.
static char innermostLetter(Value factor, StringRef letters,
                            function_ref<bool(Value)> isInMemory) {
  SmallVector<char> names(letters.begin(), letters.end());
  while (!isInMemory(factor)) {
    Operation *def = factor.getDefiningOp();
    if (!isa_and_nonnull<TransposeOp, ConvertOp>(def))
      return 0;
    if (auto transpose = dyn_cast<TransposeOp>(def)) {
      SmallVector<char> before(names.size());
      for (auto [to, from] : llvm::enumerate(transpose.getPermutation()))
        before[from] = names[to];
      names = before;
    }
    factor = def->getOperand(0);
  }
  for (auto [name, size] :
       llvm::reverse(llvm::zip_equal(names, shapeOf(factor))))
    if (size != 1)
      return name;
  return 0;
}

/// Whether the kernel reads a factor of `op`, whose dimensions have `letters`,
/// from memory in which neighbours are elements of different rows or columns of
/// the result, and not summed.
static bool hasSummedApart(const KernelGroup &group, Value factor,
                           StringRef letters, StringRef resultLetters) {
  char name = innermostLetter(factor, letters, [&](Value value) {
    return !group.members.contains(value.getDefiningOp());
  });
  return name != 0 && resultLetters.contains(name);
}

/// Rows and columns of a product are cut apart, each from its last dimension
/// on.
static SmallVector<int64_t> chooseBlockOf(ContractOp product,
                                          ArrayRef<ProductBlock> candidates,
                                          int64_t rowUnit, int64_t columnUnit) {
  ContractOp::Indices indices = product.getIndices();
  SmallVector<int64_t> shape = BlockEmitter::shapeOf1(product.getResult());
  std::vector<int64_t> rows(shape.size(), 1), columns(shape.size(), 1);
  std::vector<bool> notRow(shape.size(), true), notColumn(shape.size(), true);
  for (auto [d, letter] : llvm::enumerate(indices.out)) {
    bool inLhs = indices.lhs.find(letter) != std::string::npos;
    bool inRhs = indices.rhs.find(letter) != std::string::npos;
    if (inLhs && inRhs)
      continue;
    (inLhs ? rows : columns)[d] = shape[d];
    (inLhs ? notRow : notColumn)[d] = false;
  }
  SmallVector<int64_t> block(shape.size());
  for (const ProductBlock &candidate : candidates) {
    std::vector<int64_t> rowBlock =
        chooseBlock(rows, notRow, candidate.rows, rowUnit);
    std::vector<int64_t> columnBlock =
        chooseBlock(columns, notColumn, candidate.columns, columnUnit);
    int64_t programs = 1;
    for (size_t d = 0; d < shape.size(); ++d) {
      block[d] = rowBlock[d] * columnBlock[d];
      programs *= block[d] == 0 ? 1 : llvm::divideCeil(shape[d], block[d]);
    }
    if (programs >= candidate.programs)
      break;
  }
  return block;
}

static bool packsLeft(const KernelGroup &group, ContractOp product) {
  ContractOp::Indices indices = product.getIndices();
  return hasSummedApart(group, product.getLhs(), indices.lhs, indices.out);
}

static int64_t countRows(ContractOp product) {
  ContractOp::Indices indices = product.getIndices();
  int64_t rows = 1;
  for (auto [letter, size] :
       llvm::zip(indices.out, shapeOf(product.getResult())))
    if (indices.rhs.find(letter) == std::string::npos)
      rows *= size;
  return rows;
}

bool tessera::isRowTimesRows(ContractOp product,
                             function_ref<bool(Value)> isInMemory) {
  ContractOp::Indices indices = product.getIndices();
  char chunked = 0;
  for (char letter : indices.lhs)
    if (indices.out.find(letter) == std::string::npos)
      chunked = letter;
  // Of several, a column would be no row of a matrix in memory.
  int64_t columnDims = 0;
  for (auto [letter, size] : llvm::zip(indices.rhs, shapeOf(product.getRhs())))
    columnDims += size != 1 && indices.lhs.find(letter) == std::string::npos;
  return chunked != 0 && columnDims == 1 && countRows(product) == 1 &&
         innermostLetter(product.getRhs(), indices.rhs, isInMemory) == chunked;
}

SmallVector<int64_t> tessera::chooseProductBlock(const KernelGroup &group,
                                                 ContractOp product,
                                                 const TileSizes &sizes) {
  std::vector<ProductBlock> candidates = sizes.productBlocks;
  if (packsLeft(group, product))
    candidates.insert(candidates.begin(), sizes.packedBlocks.begin(),
                      sizes.packedBlocks.end());
  ContractOp::Indices indices = product.getIndices();
  if (countRows(product) <= sizes.fewRowsBlock.rows &&
      hasSummedApart(group, product.getRhs(), indices.rhs, indices.out))
    candidates.insert(candidates.begin(), sizes.fewRowsBlock);
  if (isRowTimesRows(product, [&](Value value) {
        return !group.members.contains(value.getDefiningOp());
      }))
    candidates.insert(candidates.begin(), sizes.oneRowBlocks.begin(),
                      sizes.oneRowBlocks.end());
  return chooseBlockOf(product, candidates, sizes.productUnit,
                       sizes.productUnit);
}

//===----------------------------------------------------------------------===//
// Shared factors
//===----------------------------------------------------------------------===//

/// What `factor` is a transpose of in the kernel of `group`; null where that is
/// computed there, and not in memory.
static Value sourceOf(const KernelGroup &group, Value factor) {
  while (Operation *def = factor.getDefiningOp()) {
    if (!group.members.contains(def))
      return isFreeOp(def) ? Value() : factor;
    if (!isa<TransposeOp, ConvertOp>(def))
      return {};
    factor = def->getOperand(0);
  }
  return factor;
}

/// The blocks of `shape` along the dimensions whose letters `factor` has.
static int64_t countBlocks(const ContractOp::Indices &indices,
                           ArrayRef<int64_t> shape, ArrayRef<int64_t> block,
                           StringRef factor) {
  int64_t count = 1;
  for (auto [d, letter] : llvm::enumerate(indices.out))
    if (factor.contains(letter) && block[d] != 0)
      count *= llvm::divideCeil(shape[d], block[d]);
  return count;
}

std::optional<SharedFactor> tessera::findSharedFactor(const KernelGroup &group,
                                                      const TileSizes &sizes) {
  auto product = dyn_cast_or_null<ContractOp>(group.heavy);
  if (!product || sizes.panelColumns == 0)
    return std::nullopt;
  ContractOp::Indices indices = product.getIndices();
  Type type = getElementTypeOrSelf(product.getRhs().getType());
  if (!type.isF32() || !getElementTypeOrSelf(product.getType()).isF32())
    return std::nullopt;
  // Of the right factor's dimensions one numbers columns; others are summed.
  std::string own;
  for (char letter : indices.rhs)
    if (indices.lhs.find(letter) == std::string::npos ||
        indices.out.find(letter) != std::string::npos)
      own += letter;
  if (own.size() != 1 || indices.lhs.find(own) != std::string::npos)
    return std::nullopt;
  size_t column = indices.out.find(own);
  SmallVector<int64_t> summed;
  for (auto [letter, size] :
       llvm::zip_equal(indices.lhs, shapeOf(product.getLhs())))
    if (indices.out.find(letter) == std::string::npos)
      summed.push_back(size);
  SmallVector<int64_t> shape = BlockEmitter::shapeOf1(product.getResult());
  int64_t columns = shape[column];
  int64_t multiplications =
      ShapedType::getNumElements(shapeOf(product.getLhs())) * columns;
  const SharingBounds &bounds =
      packsLeft(group, product) ? sizes.sharedPacked : sizes.sharedInPlace;
  if (summed.empty() || columns < bounds.columns ||
      multiplications < bounds.multiplications)
    return std::nullopt;
  SmallVector<int64_t> block = chooseBlockOf(
      product, sizes.sharedBlocks, sizes.productUnit, sizes.panelColumns);
  block[column] = llvm::alignTo(block[column], sizes.panelColumns);
  // One block with all rows would share the panels with none.
  if (countBlocks(indices, shape, block, indices.lhs) < 2)
    return std::nullopt;
  Value source = sourceOf(group, product.getRhs());
  if (!source)
    return std::nullopt;
  int64_t chunk =
      chooseChunk(summed.back(), sizes.productDepth, sizes.productUnit);
  SmallVector<int64_t> panels = summed;
  panels.back() = llvm::divideCeil(summed.back(), chunk);
  panels.push_back(llvm::divideCeil(columns, block[column]) * block[column] /
                   sizes.panelColumns);
  panels.append({chunk, sizes.panelColumns});
  // Panels of few columns are mostly padding.
  if (ShapedType::getNumElements(panels) > sizes.sharedElements)
    return std::nullopt;
  return SharedFactor{product, RankedTensorType::get(panels, type), block,
                      source};
}

bool tessera::halveRows(SharedFactor &factor) {
  ContractOp::Indices indices = factor.product.getIndices();
  for (auto [letter, size] : llvm::zip_equal(indices.out, factor.block))
    if (size > 1 && indices.lhs.find(letter) != std::string::npos) {
      size = llvm::divideCeil(size, 2);
      return true;
    }
  return false;
}

tile::KernelOp tessera::buildPackingKernel(OpBuilder &builder,
                                           const SharedFactor &factor,
                                           const TileSizes &sizes) {
  ContractOp product = factor.product;
  Location loc = product.getLoc();
  ArrayRef<int64_t> shape = factor.type.getShape();
  SmallVector<int64_t> block(shape.size(), 1), counts;
  block.end()[-3] = std::min(shape.end()[-3], sizes.panelBlock.panels);
  block.end()[-2] = chooseChunk(shape.end()[-2], sizes.panelBlock.rows);
  block.back() = shape.back();
  int64_t programs = 1;
  for (auto [extent, size] : llvm::zip_equal(shape, block)) {
    counts.push_back(llvm::divideCeil(extent, size));
    programs *= counts.back();
  }
  auto kernel = tile::KernelOp::create(
      builder, loc, builder.getStringAttr("kernel"),
      builder.getDenseI64ArrayAttr({programs}), builder.getI64IntegerAttr(1),
      /*initial=*/DenseI64ArrayAttr());
  Block *body = builder.createBlock(&kernel.getBody());
  llvm::DenseMap<Value, Value> memories;
  memories[factor.source] = body->addArgument(memoryTypeOf(factor.source), loc);
  Value output = body->addArgument(
      MemRefType::get(shape, factor.type.getElementType()), loc);
  builder.setInsertionPointToEnd(body);
  BlockEmitter emitter(builder, sizes, memories);
  BlockBox box = blockOfProgram(builder, loc, emitter, block, counts);
  if (!emitter.storePanels(product, box, output)) {
    kernel.erase();
    return {};
  }
  tile::ReturnOp::create(builder, loc);
  return kernel;
}
