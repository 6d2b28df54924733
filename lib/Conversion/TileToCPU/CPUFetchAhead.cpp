// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Fetches, while a product is multiplied, what will be packed next: of the next
// turn of the loop around it, or of the next program in its first turn. Packing
// does little with each element, so that it would wait for memory; a product
// leaves memory idle.
#include "CPUProductEmitter.h"

#include "dialects/Tile/IR/KernelAnalysis.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

/// The second level cache is large enough for what is packed next.
constexpr int cacheLevel = 2;
constexpr int64_t bytesPerLine = 64;

/// The loads that the elements of `tile` come from.
static void findLoads(Value tile, SmallVectorImpl<LoadOp> &loads) {
  Operation *op = tile.getDefiningOp();
  if (!op)
    return;
  if (auto load = dyn_cast<LoadOp>(op))
    loads.push_back(load);
  else if (isa<TransOp, ReshapeOp>(op) ||
           OpTrait::hasElementwiseMappableTraits(op))
    for (Value operand : op->getOperands())
      if (isTile(operand))
        findLoads(operand, loads);
}

/// `value`, a scalar of the kernel, computed from those in `ahead` if it
/// depends on them; those that it leads to are added there.
static Value computeAhead(Value value, OpBuilder &builder, const IRMapping &now,
                          IRMapping &ahead) {
  if (Value known = ahead.lookupOrNull(value))
    return known;
  Operation *op = value.getDefiningOp();
  if (!op || op->getNumOperands() == 0 || !isPure(op) ||
      llvm::any_of(op->getOperands(), isTile)) {
    ahead.map(value, now.lookupOrDefault(value));
  } else {
    for (Value operand : op->getOperands())
      computeAhead(operand, builder, now, ahead);
    builder.clone(*op, ahead);
  }
  return ahead.lookup(value);
}

/// Which lines of `tile` each of `blocks` register blocks fetches; nothing
/// where its elements are not side by side in memory.
std::optional<CPUKernelEmitter::ProductEmitter::FactorAhead>
CPUKernelEmitter::ProductEmitter::factorAhead(Value tile, int64_t blocks) {
  SmallVector<LoadOp> loads;
  findLoads(tile, loads);
  if (loads.size() != 1)
    return std::nullopt;
  FactorAhead factor{tile, -1, 0, 0, 0};
  for (int dim : {1, 0})
    if (factor.contiguousDim < 0 && emitter.isContiguous(tile, dim))
      factor.contiguousDim = dim;
  if (factor.contiguousDim < 0)
    return std::nullopt;
  auto type = cast<RankedTensorType>(tile.getType());
  Type stored = getElementTypeOrSelf(loads[0].getType());
  factor.elementsPerLine = bytesPerLine / cpu::Code::bytesOf(stored);
  factor.linesPerRow = llvm::divideCeil(type.getDimSize(factor.contiguousDim),
                                        factor.elementsPerLine);
  int64_t lines =
      factor.linesPerRow * type.getDimSize(1 - factor.contiguousDim);
  factor.linesPerBlock = llvm::divideCeil(lines, blocks);
  return factor;
}

/// Whether each turn of the loop around `op` loads its factor `tile`.
static bool isLoadedByTurn(DotOp op, Value tile) {
  SmallVector<LoadOp> loads;
  findLoads(tile, loads);
  return isa<scf::ForOp>(op->getParentOp()) && !loads.empty() &&
         llvm::all_of(loads, [&](LoadOp load) {
           return load->getBlock() == op->getBlock();
         });
}

/// Whether a product in the block of `op` has what its left factor is loaded
/// from as its right one, and fetches that.
static bool isRightFactor(DotOp op) {
  SmallVector<LoadOp> loads, right;
  findLoads(op.getLhs(), loads);
  for (auto other : op->getBlock()->getOps<DotOp>())
    findLoads(other.getRhs(), right);
  return llvm::any_of(
      loads, [&](LoadOp load) { return llvm::is_contained(right, load); });
}

void CPUKernelEmitter::ProductEmitter::findFactorsAhead(Product &product,
                                                        bool isLeftPacked,
                                                        bool isRightPacked) {
  DotOp op = product.op;
  if (!product.isLastTurn && op->getParentOp() != emitter.kernel) {
    // In a loop with several products, whether packed or read row by row.
    isLeftPacked = isLoadedByTurn(op, op.getLhs()) && !isRightFactor(op);
    isRightPacked &= isLoadedByTurn(op, op.getRhs());
  }
  int64_t m = cast<RankedTensorType>(op.getType()).getDimSize(0);
  int64_t blocks = llvm::divideCeil(m, product.rows) * product.panels;
  if (isRightPacked)
    if (auto factor = factorAhead(op.getRhs(), blocks))
      product.ahead.push_back(*factor);
  if (isLeftPacked)
    if (auto factor = factorAhead(op.getLhs(), blocks))
      product.ahead.push_back(*factor);
  if (!product.ahead.empty())
    setScalarsAhead(product);
}

/// Programs follow one another in the order of their numbers.
void CPUKernelEmitter::ProductEmitter::setScalarsAhead(const Product &product) {
  Value block = emitter.block, blockAhead = code.add(block, 1);
  scalarsAhead = IRMapping();
  DotOp op = product.op;
  if (auto loop = dyn_cast<scf::ForOp>(op->getParentOp())) {
    Value next = arith::AddIOp::create(
        builder, loc, emitter.scalars.lookup(loop.getInductionVar()),
        emitter.scalars.lookup(loop.getStep()));
    if (product.isLastTurn) {
      Value first = emitter.scalars.lookup(loop.getLowerBound());
      next = arith::SelectOp::create(builder, loc, product.isLastTurn, first,
                                     next);
      blockAhead = arith::SelectOp::create(builder, loc, product.isLastTurn,
                                           blockAhead, block);
    } else {
      blockAhead = block;
    }
    scalarsAhead.map(loop.getInductionVar(), next);
  }
  emitter.block = blockAhead;
  for (auto id : emitter.kernel.getBlock().getOps<ProgramIdOp>())
    scalarsAhead.map(id.getResult(),
                     emitter.programId(static_cast<unsigned>(id.getDim())));
  emitter.block = block;
  for (const FactorAhead &factor : product.ahead) {
    SmallVector<LoadOp> loads;
    findLoads(factor.tile, loads);
    for (LoadOp load : loads)
      for (Value offset : load.getOffsets())
        computeAhead(offset, builder, emitter.scalars, scalarsAhead);
  }
}

/// Line `number` of the share of the register block of `firstRow` and
/// `panelIndex`.
void CPUKernelEmitter::ProductEmitter::fetchLine(const Product &product,
                                                 const FactorAhead &factor,
                                                 Value firstRow,
                                                 Value panelIndex,
                                                 Value number) {
  Value block = arith::DivUIOp::create(builder, loc, firstRow,
                                       emitter.constant(product.rows));
  block = code.add(code.multiply(block, product.panels), panelIndex);
  Value line = code.add(code.multiply(block, factor.linesPerBlock), number);
  Value lines = emitter.constant(factor.linesPerRow);
  Indices indices(2);
  indices[1 - factor.contiguousDim] =
      arith::DivUIOp::create(builder, loc, line, lines);
  indices[factor.contiguousDim] =
      code.multiply(arith::RemUIOp::create(builder, loc, line, lines),
                    factor.elementsPerLine);
  std::swap(emitter.scalars, scalarsAhead);
  emitter.prefetchElement(factor.tile, indices, cacheLevel);
  std::swap(emitter.scalars, scalarsAhead);
}

/// Lines that a register block fetches before its loop over the depth; a check
/// in each turn of that loop costs more than so few hold up.
constexpr int64_t mostLinesBefore = 8;

void CPUKernelEmitter::ProductEmitter::fetchBefore(const Product &product,
                                                   Value firstRow,
                                                   Value panelIndex) {
  for (const FactorAhead &factor : product.ahead)
    for (int64_t i = 0;
         factor.linesPerBlock <= mostLinesBefore && i < factor.linesPerBlock;
         ++i)
      fetchLine(product, factor, firstRow, panelIndex, emitter.constant(i));
}

/// Of the others a line in each turn of the loop, of `unrolledDepth` columns,
/// until the block has all.
void CPUKernelEmitter::ProductEmitter::fetchAhead(const Product &product,
                                                  Value firstRow,
                                                  Value panelIndex,
                                                  Value depth) {
  Value turn = arith::DivUIOp::create(builder, loc, depth,
                                      emitter.constant(unrolledDepth));
  for (const FactorAhead &factor : product.ahead) {
    if (factor.linesPerBlock <= mostLinesBefore)
      continue;
    FreshElements fresh(emitter);
    auto check = scf::IfOp::create(
        builder, loc,
        code.isBelow(turn, emitter.constant(factor.linesPerBlock)), false);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(check.thenBlock()->getTerminator());
    fetchLine(product, factor, firstRow, panelIndex, turn);
  }
}
