// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// In which order the steps of a program run, as numbers that lives of values
// are stated in.
#ifndef TESSERA_DIALECTS_TESSERA_IR_STEPORDER_H
#define TESSERA_DIALECTS_TESSERA_IR_STEPORDER_H

#include "mlir/IR/Operation.h"
#include "llvm/ADT/DenseMap.h"

namespace tessera {

/// Numbers the ops and regions below a region in program order. An op with
/// regions begins before them and ends behind them.
class StepOrder {
public:
  struct Place {
    int64_t begin = 0, end = 0;
  };

  explicit StepOrder(mlir::Region &region) { number(region); }

  Place of(mlir::Operation *op) const { return places.find(op)->second; }
  Place of(mlir::Region *region) const { return regions.find(region)->second; }

  /// Up to where `use` needs its value, whose memory is held in `block`. What
  /// happens inside of an op of this block may happen again, up to the op's
  /// end.
  int64_t endOf(mlir::OpOperand &use, mlir::Block *block) const;

private:
  void number(mlir::Region &region);

  int64_t next = 0;
  llvm::DenseMap<mlir::Operation *, Place> places;
  llvm::DenseMap<mlir::Region *, Place> regions;
};

} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_IR_STEPORDER_H
