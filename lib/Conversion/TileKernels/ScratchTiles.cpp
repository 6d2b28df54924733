// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ScratchTiles.h"
#include "ExpandFunctions.h"

#include "dialects/Tile/IR/KernelAnalysis.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

/// A polynomial approximation and a division, in simple instructions, roughly.
constexpr double costOfFunction = 25, costOfDivision = 8;

/// Simple instructions for one vector of the op's own work.
static double ownCost(Operation *op) {
  if (isa<BroadcastOp, ReshapeOp, TransOp>(op))
    return 0;
  if (isLibraryFunction(op))
    return costOfFunction;
  if (isa<arith::DivFOp, math::SqrtOp, math::RsqrtOp, arith::DivSIOp,
          arith::RemSIOp, arith::RemFOp>(op))
    return costOfDivision;
  return 1;
}

static bool isRepeated(Operation *op) {
  return !op->getResult(0).hasOneUse() ||
         isa<BroadcastOp>(*op->getResult(0).user_begin());
}

llvm::DenseSet<Value> tessera::getKeptTiles(KernelOp kernel) {
  llvm::DenseSet<Value> kept, onlyStored = getOnlyStoredTiles(kernel);
  llvm::DenseMap<Value, double> costs; // Of virtual tiles.
  auto costOf = [&](Value tile) {
    Operation *op = tile.getDefiningOp();
    if (op && isa<arith::ConstantOp, SplatOp, IotaOp>(op))
      return 0.0;
    // A tile that is not virtual is in a buffer.
    auto known = costs.find(tile);
    return known == costs.end() || kept.contains(tile) ? 1.0 : known->second;
  };
  kernel.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (!isVirtualTileOp(op))
      return;
    if (isa<LoadOp, GatherOp>(op)) {
      costs[op->getResult(0)] = 1;
      return;
    }
    double cost = ownCost(op);
    for (Value operand : op->getOperands())
      if (isTile(operand))
        cost += costOf(operand);
    Value tile = op->getResult(0);
    costs[tile] = cost;
    bool isMovement = isa<BroadcastOp, ReshapeOp, TransOp, SplatOp, IotaOp,
                          arith::ConstantOp>(op);
    if (!isMovement && cost > costOfDivision && isRepeated(op) &&
        !onlyStored.contains(tile))
      kept.insert(tile);
  });
  return kept;
}

/// Rows are padded to whole vectors.
static int64_t paddedBytes(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  int64_t row = tensor.getRank() == 0 ? 1 : tensor.getShape().back();
  int64_t padded = row < 8 ? row : llvm::alignTo(row, 32);
  int64_t elements = tensor.getNumElements() / std::max<int64_t>(1, row);
  int64_t bytes = llvm::divideCeil(tensor.getElementTypeBitWidth(), 8);
  return llvm::alignTo(elements * padded * bytes, 64);
}

int64_t tessera::estimateScratchBytes(KernelOp kernel) {
  int64_t bytes = 0;
  for (Value tile : getKeptTiles(kernel))
    bytes += paddedBytes(tile.getType());
  kernel.walk([&](Operation *op) {
    if (isa<ReduceOp, ScanOp>(op))
      for (Type type : op->getResultTypes())
        bytes += paddedBytes(type);
    auto dot = dyn_cast<DotOp>(op);
    if (dot && !accumulatesInPlace(dot))
      bytes += paddedBytes(dot.getType());
    // A carried tile and its next value, which may be one.
    if (auto loop = dyn_cast<scf::ForOp>(op))
      for (BlockArgument argument : loop.getRegionIterArgs()) {
        if (!isTile(argument))
          continue;
        bool isInnermost = !getCarriedInside(argument);
        int64_t count = isAccumulator(argument) ? isInnermost : 2;
        bytes += count * paddedBytes(argument.getType());
      }
  });
  return bytes;
}
