// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the targets' emitters of tile kernels share: the walk over a kernel's
// statements, its memrefs, its scalars, and arithmetic that depends on no
// target. A target says how a tile is stored, reduced, multiplied and carried
// through a loop.
#ifndef TESSERA_LIB_CONVERSION_TILEKERNELS_KERNELEMITTERBASE_H
#define TESSERA_LIB_CONVERSION_TILEKERNELS_KERNELEMITTERBASE_H

#include "KernelConstants.h"
#include "dialects/Tile/IR/Reductions.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

namespace tessera {

class KernelEmitterBase {
public:
  virtual ~KernelEmitterBase() = default;

  /// Emits the kernel at the builder's insertion point.
  mlir::LogicalResult run();

protected:
  using Indices = llvm::SmallVector<mlir::Value, 4>;

  /// A memref as pointer, strides and offset, all but the pointer static.
  struct Memory {
    mlir::Value pointer;
    mlir::Type elementType;
    llvm::SmallVector<int64_t> shape, strides;
    int64_t offset = 0;
  };

  /// `pointers` are the addresses of the kernel's memrefs, `entry` the block of
  /// the function that dominates all, where constants are made. `target` is how
  /// errors call what the kernel is for.
  KernelEmitterBase(tile::KernelOp kernel, mlir::OpBuilder &builder,
                    mlir::ValueRange pointers, mlir::Block *entry,
                    llvm::StringRef target);

  // What a target defines.
  virtual mlir::Value programId(unsigned dim) = 0;
  virtual mlir::LogicalResult emitFor(mlir::scf::ForOp loop) = 0;
  /// Stores of one box of memories of one shape: computes an element of each
  /// before it stores any, as outputs may share memory with inputs.
  virtual void emitStores(llvm::ArrayRef<tile::StoreOp> ops) = 0;
  virtual void emitReduce(tile::ReduceOp op) = 0;
  virtual void emitScan(tile::ScanOp op) = 0;
  virtual void emitDot(tile::DotOp op) = 0;
  virtual void emitScatter(tile::ScatterOp op) = 0;
  virtual void emitArgsort(tile::ArgsortOp op) = 0;
  /// The element of a tile of one element, as every thread needs it.
  virtual mlir::Value extractElement(tile::ExtractOp op) = 0;
  /// An op whose elements may be computed where they are used.
  virtual void emitVirtual(mlir::Operation *op) {}

  mlir::LogicalResult emitBlock(mlir::Block &block);
  mlir::LogicalResult emitOp(mlir::Operation *op);
  /// The loop with its scalars, then the values `more`, its body still empty;
  /// moves the builder into the body. Tiles are the caller's.
  mlir::scf::ForOp beginFor(mlir::scf::ForOp loop, mlir::ValueRange more = {});
  /// Yields the scalars of `loop`, then `more`, at the end of the emitted body.
  void yieldScalars(mlir::scf::ForOp loop, mlir::ValueRange more = {});

  mlir::Value constant(int64_t value) { return constants.index(value); }
  mlir::Value number(mlir::Type type, double value) {
    return constants.number(type, value);
  }
  mlir::Value constantOf(mlir::TypedAttr value) { return constants.of(value); }
  /// As tile.reduce does: scalars or vectors.
  mlir::Value combine(tile::ReductionKind kind, mlir::Value a, mlir::Value b) {
    return tile::combine(builder, loc, kind, a, b);
  }

  /// What a scatter leaves of `old` and `row`: scalars or vectors.
  mlir::Value combine(tile::ScatterKind kind, mlir::Value old, mlir::Value row);

  tile::KernelOp kernel;
  mlir::OpBuilder &builder;
  mlir::Location loc;
  mlir::Block *entry;
  KernelConstants constants;
  mlir::IRMapping scalars;
  llvm::DenseMap<mlir::Value, Memory> memories;
  /// Ops that a target emitted with one before them: the walk passes them over.
  llvm::DenseSet<mlir::Operation *> emittedBefore;

private:
  mlir::LogicalResult emitCast(mlir::memref::ReinterpretCastOp op);

  llvm::StringRef target;
};

/// Erases ops of a module, which may use one another's values in any order.
void eraseOps(llvm::ArrayRef<mlir::Operation *> ops);

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TILEKERNELS_KERNELEMITTERBASE_H
