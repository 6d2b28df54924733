// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Which tensors of a host function share memory, and which memory that is.
#ifndef TESSERA_LIB_CONVERSION_HOSTTOPLAN_STORAGE_H
#define TESSERA_LIB_CONVERSION_HOSTTOPLAN_STORAGE_H

#include "dialects/Tessera/IR/Effects.h"
#include "dialects/Tessera/IR/StepOrder.h"
#include "dialects/Tessera/IR/Tessera.h"
#include "dialects/Tile/IR/Tile.h"
#include "tessera/Analysis/BufferSharing.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace tessera {

/// Where the tensors of one set are.
struct Memory {
  enum class Kind {
    Arena,
    Argument, ///< `value` is the argument of the function.
    Output,   ///< Of result `output`, which is tied to no argument.
    Constant, ///< Of the op that defines `value`.
    Window,   ///< An entry of `value`, a loop's sequence or stacked result.
    Index,    ///< `value` is the index of a loop.
  };
  Kind kind = Kind::Arena;
  mlir::Value value;
  int output = -1;
  mlir::Operation *loop = nullptr; ///< Of a window.
  /// The innermost block around all that is in it, and around what it must
  /// outlive.
  mlir::Block *scope = nullptr;
};

/// A value that a loop carries from one iteration to the next.
struct CarriedValue {
  mlir::Value init, argument, next, result;
  /// `next` has memory of its own that is exchanged with that of `argument`.
  /// Otherwise it is written there, or copied there at the end.
  bool isExchanged = false;
};

/// Whether it is filled at run time, in memory that steps write.
bool isFilled(ConstantOp constant);

struct StorageOptions {
  /// Bytes at whose multiples kernels need their arguments to begin. Entries of
  /// sequences and stacked results that do not are copied.
  int64_t windowAlignment = 1;
};

/// Drops ties of arguments to results, with a remark, that are not of one type
/// and layout. Fails where a tie names no result, or one twice.
mlir::LogicalResult checkTies(mlir::func::FuncOp function);

/// Decides for a whole function. Copies are left where values that should
/// share memory are live at the same time.
class Storage {
public:
  Storage(mlir::func::FuncOp function, const StorageOptions &options);

  const Memory &memoryOf(mlir::Value value) const {
    return memories[sharing.setOf(idOf(value))];
  }
  /// Numbers the memory: equal for tensors that share one.
  int setOf(mlir::Value value) const { return sharing.setOf(idOf(value)); }
  bool isTogether(mlir::Value a, mlir::Value b) const {
    return setOf(a) == setOf(b);
  }
  /// The values that a scan or while carries, in order.
  llvm::ArrayRef<CarriedValue> carriesOf(mlir::Operation *loop) const {
    return carries.find(loop)->second;
  }
  /// The value whose bytes `value` names by another type.
  mlir::Value rootOf(mlir::Value value) const;
  /// Whether `value` is computed by a step of `block` into memory that steps
  /// write.
  bool isComputedIn(mlir::Value value, mlir::Block *block) const;
  /// Whether the memory of `value` is a piece of the arena that outlives `op`.
  bool isOutside(mlir::Value value, mlir::Operation *op) const;
  /// Whether the entries of a scan's stacked result are written where those of
  /// one of its sequences were.
  bool isUpdated(ScanOp op, unsigned result) const;
  /// The result that an argument gives its memory to, and the reverse.
  std::optional<unsigned> tiedResultOf(unsigned argument) const {
    return tiedResults[argument];
  }
  std::optional<unsigned> tiedArgumentOf(unsigned result) const {
    return tiedArguments[result];
  }

private:
  int idOf(mlir::Value value) const;
  void addAliases();
  void addValues();
  void addValue(mlir::Value value);
  LiveRange rangeOf(mlir::Value root) const;
  int64_t lastUseOf(mlir::Value value) const;
  void allowInPlace(mlir::Operation *op);
  bool join(mlir::Value a, mlir::Value b);
  bool moveOut(mlir::Value value, mlir::Block *scope);
  void updateSequences(ScanOp op);
  bool updateSequence(ScanOp op, unsigned result, unsigned sequence);
  void bindResults();
  void shareIn(mlir::Operation *op);
  void shareLoop(mlir::Operation *loop, mlir::Block *body,
                 std::optional<int64_t> trips);
  bool exchange(CarriedValue &carry, mlir::Operation *loop, mlir::Block *body,
                std::optional<int64_t> trips);
  bool isAligned(mlir::Type entry) const;
  void shareUpdated(tile::LaunchOp launch);
  void shareOverwritten(tile::LaunchOp launch);
  void shareScan(ScanOp op);
  void shareWhile(WhileOp op);
  void shareCond(CondOp op);

  mlir::func::FuncOp function;
  StorageOptions options;
  StepOrder order;
  std::vector<std::optional<unsigned>> tiedResults, tiedArguments;
  llvm::DenseMap<mlir::Value, mlir::Value> aliases;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<mlir::Value, 1>> aliasesOf;
  llvm::DenseMap<mlir::Value, int> ids;
  BufferSharing sharing;
  std::vector<Memory> memories; ///< By set.
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<CarriedValue>> carries;
};

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_HOSTTOPLAN_STORAGE_H
